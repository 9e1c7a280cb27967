"""The baselines by name: what quality means to each, and how each is made."""

from dataclasses import dataclass
from pathlib import Path

from kodec.native import InvalidInputError

from .external import PROGRAMS, ExternalCodec, default_cache
from .libav_streams import ENCODERS, LibavCodec, Structure
from .pillow_files import AVIF_SPEEDS, FAMILIES, PillowCodec


@dataclass(frozen=True)
class Scale:
    """A codec's own scale of quality."""

    lowest: int
    highest: int
    usual: tuple[int, ...]
    """From about 0.1 to 2 bits per pixel on photographs, in order of rate."""
    unit: str
    usual_video: tuple[int, ...] | None = None
    """None: the codec takes pictures only."""


_QPS = (47, 42, 37, 32, 27, 22)
SCALES = {
    "jpeg": Scale(0, 100, (5, 15, 30, 50, 75, 90), "libjpeg's quality"),
    "jpeg2000": Scale(10, 100, (26, 28, 30, 33, 36, 40), "target PSNR in dB"),
    "webp": Scale(0, 100, (0, 10, 30, 55, 80, 92), "libwebp's quality"),
    "avif": Scale(0, 100, (8, 20, 36, 52, 66, 80), "libavif's quality"),
    "x264": Scale(1, 51, (48, 44, 39, 34, 29, 24), "QP", (37, 32, 27, 22)),
    "x265": Scale(0, 51, (48, 44, 39, 34, 29, 24), "QP", (37, 32, 27, 22)),
    "svt-av1": Scale(1, 63, (60, 52, 44, 36, 28, 18), "CRF", (55, 47, 39, 31)),
    "vtm": Scale(0, 63, _QPS, "QP", (37, 32, 27, 22)),
    "hm": Scale(0, 51, _QPS, "QP", (37, 32, 27, 22)),
    "vvenc": Scale(0, 63, _QPS, "QP", (37, 32, 27, 22)),
}
BASELINES = tuple(SCALES)
EXTERNAL = tuple(PROGRAMS)


@dataclass(frozen=True)
class Baseline:
    """Which baseline, and how it is set; `open` makes the codec, in whatever process."""

    name: str
    preset: str | None = None
    structure: Structure = "random-access"
    intra_period: int = 0
    binary: Path | None = None
    configs: tuple[Path, ...] = ()
    decoder: Path | None = None
    bit_depth: int = 8
    cache: Path | None = None

    def open(self) -> PillowCodec | LibavCodec | ExternalCodec:
        """The codec.

        Raises InvalidInputError for a name or an option the codec does not have, or an external
        encoder without a binary; UnsupportedError where the codec is not installed.
        """
        if self.name not in SCALES:
            raise InvalidInputError(f"no codec {self.name!r}: choose from {', '.join(BASELINES)}")
        external = self.name in EXTERNAL
        if external and self.binary is None:
            raise InvalidInputError(
                f"kodec brings no {self.name}: give --binary the path of its encoder"
            )
        if not external and (self.binary or self.configs or self.decoder or self.bit_depth != 8):
            raise InvalidInputError(
                "--binary, --config, --decoder and --bit-depth are for "
                f"{', '.join(EXTERNAL)}, not {self.name}"
            )
        without = self.name in ("vtm", "hm") or (self.name in FAMILIES and self.name != "avif")
        if self.preset is not None and without:
            raise InvalidInputError(f"{self.name} has no presets: leave --preset out")
        if self.name in FAMILIES:
            return PillowCodec(self.name, self._speed())
        if self.name in ENCODERS:
            return LibavCodec(self.name, self.preset, self.structure, self.intra_period)
        assert self.binary is not None
        extra = () if self.preset is None else (f"--preset={self.preset}",)
        return ExternalCodec(
            *(self.name, self.binary, self.cache or default_cache(), self.configs, self.decoder),
            *(self.bit_depth, extra),
        )

    def _speed(self) -> int | None:
        if self.preset is None:
            return None
        speeds = AVIF_SPEEDS
        if not self.preset.isdecimal() or int(self.preset) not in speeds:
            raise InvalidInputError(
                f"avif's presets are libavif's speeds, {speeds[0]} to {speeds[-1]}, "
                f"not {self.preset!r}"
            )
        return int(self.preset)

    def qualities(self, video: bool) -> list[int]:
        """The usual qualities, in order of rate."""
        scale = SCALES[self.name]
        return list((scale.usual_video or ()) if video else scale.usual)
