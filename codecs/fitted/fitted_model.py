"""Networks that are fitted to one picture or clip, and what their files come to.

head's integers --> cost, held against limits --> network --> parameters, through a port
                                                                  |
                                                      frames, when they are asked for
"""

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kodec.codecs.coding_model import CodingModel
from kodec.codecs.fitted_families import Family
from kodec.codecs.model_size import ModelSize
from kodec.entropy import SymbolPort
from kodec.native import BitstreamError, InvalidInputError, UnsupportedError

from .fitting import Budget, Fitting, Show, nothing_shown
from .schedule import Schedule

MAX_SAMPLES = 1 << 31
"""Most samples of a clip that is fitted, which is held in memory whole."""
MAX_PARAMETERS = 1 << 26
MAX_MACS_PER_PIXEL = 1 << 22
MAX_MACS_OF_SMALL_FRAMES = 1 << 34
"""Of a whole frame: more a pixel than the limit, where there are few."""
MAX_PEAK_BYTES = 1 << 34


@dataclass(frozen=True)
class FittedSize:
    """What a network is fitted to: frames (1: a picture) of width x height samples."""

    width: int
    height: int
    frames: int = 1
    components: int = 3
    bit_depth: int = 8

    @property
    def pixels(self) -> int:
        """Of all frames."""
        return self.width * self.height * self.frames


@dataclass(frozen=True)
class Clip:
    """What is fitted: uint8 (T, H, W, 1 or 3), or uint16 of a bit depth above 8; at most
    `MAX_SAMPLES` samples. rate: frames a second. Raises `InvalidInputError`."""

    pixels: NDArray[Any]
    bit_depth: int = 8
    rate: Fraction = Fraction(25)

    def __post_init__(self) -> None:
        shape = self.pixels.shape
        kind = np.uint8 if self.bit_depth == 8 else np.uint16
        if len(shape) != 4 or 0 in shape or shape[3] not in (1, 3) or self.pixels.dtype != kind:
            raise InvalidInputError(
                f"a clip is {np.dtype(kind)} of shape TxHxWx1 or TxHxWx3, not "
                f"{self.pixels.dtype} of {'x'.join(map(str, shape))}"
            )
        if self.pixels.size > MAX_SAMPLES:
            raise InvalidInputError(
                f"a clip of {self.pixels.size:,} samples is too long to be fitted, which holds all "
                f"of it in memory: give at most {MAX_SAMPLES:,}, fewer --frames say"
            )

    @property
    def size(self) -> FittedSize:
        """Its size."""
        frames, height, width, components = self.pixels.shape
        return FittedSize(width, height, frames, components, self.bit_depth)

    @property
    def digest(self) -> str:
        """What tells it from others."""
        pixels = np.ascontiguousarray(self.pixels)
        return hashlib.sha256(str(pixels.shape).encode() + pixels.data).hexdigest()[:16]

    def tensor(self, frame: int) -> Tensor:
        """A frame, float32 (C, H, W) in [0, 1]."""
        pixels = self.pixels[frame].astype(np.float32) / (2**self.bit_depth - 1)
        return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))


@dataclass(frozen=True)
class Goal:
    """What a fit is to come to.

    quality: 0 to 63, of families that trade rate for distortion. size: of those that do not.
    seed: of all random numbers. preset: of the family's own. device: where it runs.
    """

    quality: int | None = None
    size: ModelSize | None = None
    seed: int = 0
    preset: str | None = None
    device: str = "cpu"

    @property
    def words(self) -> frozenset[str]:
        """Of a preset, which may be several with commas between them."""
        return frozenset(words_of(self.preset))


def words_of(preset: str | None) -> list[str]:
    """Of a preset, in order; spaces do not count."""
    return [] if preset is None else [word.strip() for word in preset.split(",")]


@dataclass(frozen=True)
class Cost:
    """What a network takes, known from the integers in a file's head.

    macs_per_pixel: multiplications of decoding, a pixel of a frame. peak_bytes: of memory, for its
    parameters and for one frame. symbols: how many a packet's stream may hold. packets: how many
    the file has.
    """

    parameters: int
    macs_per_pixel: int
    peak_bytes: int
    symbols: range
    packets: int = 1


@dataclass(frozen=True)
class Limits:
    """What the network of a file may take; more is refused before any of it is built."""

    parameters: int = MAX_PARAMETERS
    macs_per_pixel: int = MAX_MACS_PER_PIXEL
    peak_bytes: int = MAX_PEAK_BYTES

    def check(self, cost: Cost, size: FittedSize) -> None:
        """Raise `UnsupportedError` for more."""
        pixels = size.width * size.height
        macs = max(self.macs_per_pixel, MAX_MACS_OF_SMALL_FRAMES // pixels)
        for what, value, most in (
            ("parameters", cost.parameters, self.parameters),
            ("multiplications a pixel", cost.macs_per_pixel, macs),
            ("bytes of memory", cost.peak_bytes, self.peak_bytes),
        ):
            if value > most:
                raise UnsupportedError(
                    f"the file's network takes {value:,} {what}, above the limit of {most:,}: a "
                    "damaged file, or one that this machine is not to decode"
                )


@dataclass(frozen=True)
class Reconstruction:
    """What a file decodes to: frames, made when they are asked for.

    render: a frame by its number, (1 or 3, H, W) around [0, 1]; for most networks in any order.
    """

    size: FittedSize
    render: Callable[[int], Tensor] = field(repr=False)

    @torch.no_grad()
    def frame(self, number: int) -> NDArray[Any]:
        """A frame, uint8 (H, W, C), or uint16 above 8 bits.

        Raises `InvalidInputError` for a number that there is not, `BitstreamError` where what it
        comes to is not finite.
        """
        size = self.size
        if not 0 <= number < size.frames:
            raise InvalidInputError(f"there are frames 0 to {size.frames - 1}, not {number}")
        x = self.render(number).detach()
        if x.shape != (size.components, size.height, size.width):
            raise InvalidInputError(f"a frame came out as {tuple(x.shape)}, not as {size}")
        if not torch.isfinite(x).all():
            raise BitstreamError("what the file decodes to is not finite: a damaged file")
        peak = 2**size.bit_depth - 1
        codes = torch.round(x.float() * peak).clamp(0, peak).permute(1, 2, 0).cpu().numpy()
        kind = np.uint8 if size.bit_depth == 8 else np.uint16
        return np.ascontiguousarray(codes.astype(kind))

    def frames(self) -> Iterator[NDArray[Any]]:
        """All of them, in order."""
        return (self.frame(number) for number in range(self.size.frames))


class FileFitting(Fitting):
    """A fitting whose values are to become a file."""

    @abstractmethod
    def result(self, show: Show = nothing_shown) -> "tuple[FittedModel, Mapping[str, Any]]":
        """The network for the values as they are, and what its `code` takes.

        Everything that is left to decide, such as quantisation steps, is decided here.
        """


class FittedModel(CodingModel):
    """A kind of network that is fitted to one picture or clip.

    Subclasses say `family`, give their networks the role "decoder" (`as_role`), and register the
    family. architecture: the integers in the head, 0 to 2^32 - 1. model_id: of weights that all
    files of the family share, else None. takes_quality, takes_size: what a `Goal` may have;
    presets: its presets, and combines: whether there may be several.
    """

    family: ClassVar[Family]
    takes_quality: ClassVar[bool] = True
    takes_size: ClassVar[bool] = False
    presets: ClassVar[tuple[str, ...]] = ()
    combines: ClassVar[bool] = False
    model_id: bytes | None = None

    def __init__(self, architecture: tuple[int, ...], size: FittedSize) -> None:
        super().__init__("guarded")
        self.architecture = architecture
        self.size = size

    @classmethod
    @abstractmethod
    def cost_of(cls, architecture: tuple[int, ...], size: FittedSize) -> Cost:
        """What the network would take; from the integers alone, nothing is allocated.

        They are not to be trusted. Raises `BitstreamError` where they are no architecture.
        """

    @classmethod
    def build(cls, architecture: tuple[int, ...], size: FittedSize) -> Self:
        """The network, whose cost was held against limits; raises as `cost_of`."""
        return cls(architecture, size)

    @classmethod
    def build_for(
        cls,
        architecture: tuple[int, ...],
        size: FittedSize,
        model_id: bytes | None,
        model: str | Path | None = None,
    ) -> Self:
        """As `build`, with the shared weights of that id, of the file or the embedded `model`.

        By default a family has none. Raises `UnsupportedError` for those that it does not have.
        """
        if model_id is not None or model is not None:
            raise UnsupportedError(
                f"{cls.family.name} has no weights that files share, but the file or the command "
                "names some: a damaged file, or leave --model out"
            )
        return cls.build(architecture, size)

    def cost(self) -> Cost:
        """What this network takes."""
        return self.cost_of(self.architecture, self.size)

    @abstractmethod
    def code(
        self, parameters: Mapping[str, Any] | None, port: SymbolPort, packet: int = 0
    ) -> Mapping[str, Any]:
        """Pass a packet's parameters through the port; returns what the decoder will see of them.

        One program for both sides: None where a port reads. Names differ between packets.
        """

    @property
    def sessions(self) -> tuple[int, ...]:
        """Frames of each video, where a file holds several, a packet each; by default none."""
        return ()

    def extension(self, parameters: Mapping[str, Any], clip: Clip, goal: Goal) -> FileFitting:
        """What is fitted to hold a clip more behind what a file's parameters hold.

        By default there is none. Raises `UnsupportedError` where a family's files hold one video,
        `InvalidInputError` for a clip that can't be added.
        """
        raise UnsupportedError(
            f"a file of {self.family.name} holds one video: add to an archive of pfnr"
        )

    @abstractmethod
    def reconstruct(self, parameters: Mapping[str, Any]) -> Reconstruction:
        """What the parameters of all packets, as `code` returned them, come to."""

    @classmethod
    @abstractmethod
    def fitting(cls, clip: Clip, goal: Goal) -> FileFitting:
        """The encoder's: what is fitted; raises `InvalidInputError` for what it can't be."""

    @classmethod
    @abstractmethod
    def schedule(cls, goal: Goal, budget: Budget | None) -> Schedule:
        """How it is fitted within a budget (None: not known yet), and the steps of each effort."""
