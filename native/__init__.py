"""The coders and their tables in C++; no torch, no files, no policy."""

from ._core import (
    Decoder,
    Encoder,
    FrontProgram,
    ScanProgram,
    Tables,
    crc32c,
    scale_indexes,
    set_threads,
    simd,
)
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
    "FrontProgram",
    "InvalidInputError",
    "KodecError",
    "MismatchError",
    "ScanProgram",
    "Tables",
    "UnsupportedError",
    "crc32c",
    "scale_indexes",
    "set_threads",
    "simd",
]
