"""kodec: train learned image and video codecs, code real files with them, compute BD-rate."""

from importlib.metadata import version

from kodec.native import (
    BitstreamError,
    InvalidInputError,
    KodecError,
    MismatchError,
    UnsupportedError,
)

__version__ = version("kodec")

__all__ = [
    "BitstreamError",
    "InvalidInputError",
    "KodecError",
    "MismatchError",
    "UnsupportedError",
    "__version__",
]
