"""The coders and their tables in C++; no torch, no files, no policy."""

from ._core import Decoder, Encoder, Tables, crc32c, set_threads, simd
from .errors import (
    BitstreamError,
    InvalidInputError,
    KodecError,
    MismatchError,
    UnsupportedError,
)

__all__ = [
    "BitstreamError",
    "Decoder",
    "Encoder",
    "InvalidInputError",
    "KodecError",
    "MismatchError",
    "Tables",
    "UnsupportedError",
    "crc32c",
    "set_threads",
    "simd",
]
