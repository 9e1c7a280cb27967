"""JPEG, JPEG 2000, WebP and AVIF, as Pillow writes them."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import AvifImagePlugin, Image, features
from PIL import __version__ as pillow_version

from kodec.codecs import decode_image
from kodec.native import InvalidInputError, KodecError, UnsupportedError

from .framing import framed, unframed

Options = dict[str, Any]

AVIF_SPEED, AVIF_SPEEDS = 6, range(11)


@dataclass(frozen=True)
class Family:
    """One format of Pillow's, and how it is asked for a quality."""

    format: str
    feature: str
    """Pillow's name of the library, for `PIL.features`."""
    library: str
    stated: dict[str, str | int | bool]
    """The settings of results files."""
    options: Callable[[int, int, int], Options]
    """Pillow's options for a quality, the smaller side and the number of components."""
    codes_gray: bool
    """Whether a gray picture comes back as one component."""


def _jpeg_2000(quality: int, smaller_side: int, components: int) -> Options:
    # A resolution halves the sides; OpenJPEG refuses more of them than the sides have halves.
    return {
        "quality_mode": "dB",
        "quality_layers": [quality],
        "irreversible": True,
        "mct": int(components == 3),
        "no_jp2": True,
        "num_resolutions": min(6, smaller_side.bit_length()),
    }


FAMILIES = {
    "jpeg": Family(
        "JPEG",
        "jpg",
        "libjpeg-turbo",
        {
            "quality": "libjpeg's, 0 to 100",
            "chroma": "4:2:0",
            "matrix": "bt601",
            "range": "full",
            "huffman": "standard tables",
            "progressive": False,
        },
        lambda quality, side, components: {
            "quality": quality,
            **({"subsampling": "4:2:0"} if components == 3 else {}),
        },
        codes_gray=True,
    ),
    "jpeg2000": Family(
        "JPEG2000",
        "jpg_2000",
        "openjpeg",
        {
            "quality": "OpenJPEG's target PSNR in dB",
            "file": "codestream (.j2k), one layer",
            "wavelet": "irreversible 9/7",
            "colour transform": "irreversible (bt601, full range), 4:4:4",
            "resolutions": 6,
        },
        _jpeg_2000,
        codes_gray=True,
    ),
    "webp": Family(
        "WEBP",
        "webp",
        "libwebp",
        {
            "quality": "libwebp's, 0 to 100",
            "chroma": "4:2:0",
            "matrix": "bt601",
            "range": "limited",
            "method": 4,
        },
        lambda quality, side, components: {"quality": quality, "method": 4},
        codes_gray=False,
    ),
    "avif": Family(
        "AVIF",
        "avif",
        "libavif",
        {
            "quality": "libavif's, 0 to 100",
            "chroma": "4:4:4 (4:0:0 of gray)",
            "matrix": "bt601",
            "range": "full",
            "speed": AVIF_SPEED,
            "encoder": "aom",
            "tune": "psnr",
            "bit depth": 8,
        },
        lambda quality, side, components: {
            "quality": quality,
            "speed": AVIF_SPEED,
            "codec": "aom",
            # As x264, x265 and SVT-AV1 are tuned here; libavif's own choice is a perceptual one.
            "advanced": {"tune": "psnr"},
            "subsampling": "4:4:4" if components == 3 else "4:0:0",
            "range": "full",
            "max_threads": 1,
        },
        codes_gray=False,
    ),
}


@dataclass(frozen=True)
class PillowCodec:
    """A picture codec of Pillow's: one thread, no metadata, from and to memory.

    speed: of AVIF alone, libavif's, 0 (the slowest and best) to 10; else 6. Raises
    InvalidInputError for another, UnsupportedError where Pillow was built without the codec.
    """

    name: str
    speed: int | None = None
    family: Family = field(init=False)

    def __post_init__(self) -> None:
        if self.speed is not None and (self.name != "avif" or self.speed not in AVIF_SPEEDS):
            raise InvalidInputError(f"{self.name} has no speed {self.speed}: AVIF has 0 to 10")
        object.__setattr__(self, "family", FAMILIES[self.name])
        kind = features.check_module if self.name in ("webp", "avif") else features.check_codec
        if not kind(self.family.feature):
            raise UnsupportedError(
                f"this Pillow ({pillow_version}) was built without {self.name}: install another"
            )
        # Of decoding; it is said to encoding each time.
        AvifImagePlugin.DEFAULT_MAX_THREADS = 1

    @property
    def settings(self) -> dict[str, str | int | bool]:
        """What the bytes and pixels depend on besides the quality."""
        speed = {} if self.speed is None else {"speed": self.speed}
        return {"through": "Pillow", **self.family.stated, **speed}

    @property
    def versions(self) -> dict[str, str]:
        """Of the library that encodes."""
        # AVIF's is a module's version, JPEG's that of a variant of the library.
        turbo = self.name == "jpeg" and features.check_feature("libjpeg_turbo")
        found = features.version("libjpeg_turbo" if turbo else self.family.feature)
        return {self.family.library: str(found)}

    def encode(self, image: NDArray[np.uint8], quality: int | None) -> bytes:
        """The file of a picture (H, W, C). Raises KodecError where the library refuses."""
        height, width, components = image.shape
        options = self.family.options(quality or 0, min(height, width), components)
        options |= {} if self.speed is None else {"speed": self.speed}
        picture = Image.fromarray(image[:, :, 0] if components == 1 else image)
        if components == 1 and not self.family.codes_gray:
            picture = picture.convert("RGB")
        file = io.BytesIO()
        try:
            picture.save(file, self.family.format, **options)
        except (OSError, ValueError) as error:
            raise KodecError(f"{self.family.library} refused {width}x{height}: {error}") from error
        data = file.getvalue()
        if components == 1 and not self.family.codes_gray:
            return framed(data, width, height, components)
        return data

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """The picture (H, W, C) in a file. Raises BitstreamError where it is damaged."""
        data, head = unframed(data)
        pixels = decode_image(data, self.family.format)
        return pixels if head is None else pixels[:, :, : head[2]]
