"""The coders and their tables in C++; no torch, no files, no policy."""

from ._core import Decoder, Encoder, Tables, crc32c, scale_indexes, set_threads, simd
from .errors import (
    BitstreamError,
    DeviceError,
    InvalidInputError,
    KodecError,
    MismatchError,
    UnsupportedError,
)

__all__ = [
    "BitstreamError",
    "Decoder",
    "DeviceError",
    "Encoder",
    "InvalidInputError",
    "KodecError",
    "MismatchError",
    "Tables",
    "UnsupportedError",
    "crc32c",
    "scale_indexes",
    "set_threads",
    "simd",
]
