"""kodec: train learned image and video codecs, code real files with them, compute BD-rate.

    codec = kodec.load()                      # the embedded default model; or a name, or a file
    data = codec.encode(image, quality=32)    # uint8 array (H, W), (H, W, 1 or 3) or Pillow image
    pixels = kodec.decode(data)               # uint8 array (H, W, 1 or 3)

    codec = kodec.load_video()                # a model of videos, or one of pictures
    with codec.encoder(file, kodec.VideoFormat(416, 240)) as encoder:
        encoder.push(frame)                   # planes, an array or a PyAV frame, as they come
    for shown in kodec.read_video("clip.kdc"):
        shown.picture                         # planes, in display order

    codec = kodec.load_fitted(family, minutes=5)   # a network fitted to each picture
    found = kodec.open_fitted(file)           # found.reconstruction.frame(0): uint8 array (H, W, C)

What needs torch is imported when it is first asked for: `import kodec` takes no time.
"""

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING

from kodec.native import (
    BitstreamError,
    InvalidInputError,
    KodecError,
    MismatchError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from kodec.codecs import (
        Codec,
        Encoded,
        FittedCodec,
        VideoCodec,
        VideoFormat,
        decode,
        load,
        load_fitted,
        load_video,
        open_fitted,
        read_video,
    )
else:

    def __getattr__(name: str) -> object:
        """Import a public name that needs torch, at its first use (PEP 562)."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module("kodec.codecs"), name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__version__ = version("kodec")

__all__ = [
    "BitstreamError",
    "Codec",
    "Encoded",
    "FittedCodec",
    "InvalidInputError",
    "KodecError",
    "MismatchError",
    "UnsupportedError",
    "VideoCodec",
    "VideoFormat",
    "__version__",
    "decode",
    "load",
    "load_fitted",
    "load_video",
    "open_fitted",
    "read_video",
]
