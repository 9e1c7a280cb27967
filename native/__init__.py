"""The coders and their tables in C++, and a few layers; no torch, no files, no policy."""

from ._core import (
    Decoder,
    Encoder,
    Tables,
    convolution,
    crc32c,
    divisive_normalisation,
    minimal_filtering,
    runs_layers,
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
    "InvalidInputError",
    "KodecError",
    "MismatchError",
    "Tables",
    "UnsupportedError",
    "convolution",
    "crc32c",
    "divisive_normalisation",
    "minimal_filtering",
    "runs_layers",
    "scale_indexes",
    "set_threads",
    "simd",
]
