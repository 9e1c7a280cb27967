"""What a Cool-chic picture is built from: its grids, and the shapes of its networks' weights.

    latents of all grids --ARM, IFCE--> bits
    those that are no hyper-grids --upsampling--synthesis--> picture

Source: "Cool-Chic" 5.0.1 (Orange, 2025).
"""

import math
from collections.abc import Mapping
from dataclasses import astuple, dataclass

from torch import Tensor

from kodec.entropy import Grid, grids_of
from kodec.entropy.contexts.grid_rate import Affine, GridArm
from kodec.entropy.latents.integer_arm import CONTEXTS
from kodec.models.fields.grid_synthesis import Convolution, GridSynthesis
from kodec.models.fields.grid_upsampling import GridFilters
from kodec.native import BitstreamError

# How many grids, from the finest on, are also predicted from coarser ones.
IFCE_GRIDS = 3
ARM_LAYERS = 2
HYPER_FROM = 4
MEGAPIXEL = 1_000_000

MAX_FEATURES = 16
MAX_HIDDEN = 256
MAX_RESIDUALS = 8
MAX_LEVEL = 14


@dataclass(frozen=True)
class CoolChicArchitecture:
    """The integers that stand in a file's head.

    neighbours: of a latent in its own grid, that predict it. features: from coarser grids.
    hidden: channels of the synthesis. residuals: its 3x3 layers. levels: grids of the picture, at
    1/1, 1/2, ... hyper_from: from this level on there is a hyper-grid too; `levels` for none.
    """

    neighbours: int
    features: int
    hidden: int
    residuals: int
    levels: int
    hyper_from: int

    @property
    def integers(self) -> tuple[int, ...]:
        """As they stand in the head."""
        return astuple(self)

    def __post_init__(self) -> None:
        """Raise `BitstreamError` for what no encoder writes."""
        for name, least, most in (
            ("neighbours", 1, len(CONTEXTS)),
            ("features", 0, MAX_FEATURES),
            ("hidden", 1, MAX_HIDDEN),
            ("residuals", 0, MAX_RESIDUALS),
            ("levels", IFCE_GRIDS + 1, MAX_LEVEL + 1),
            ("hyper_from", IFCE_GRIDS, self.levels),
        ):
            value = getattr(self, name)
            if not least <= value <= most:
                raise BitstreamError(
                    f"a cool-chic picture has {least} to {most} {name}, not {value}: the file is "
                    "damaged"
                )

    @staticmethod
    def of(integers: tuple[int, ...]) -> "CoolChicArchitecture":
        """From a head's integers; raises `BitstreamError`."""
        if len(integers) != 6:
            raise BitstreamError(
                f"a cool-chic picture is built from 6 integers, not {len(integers)}: the file is "
                "damaged"
            )
        return CoolChicArchitecture(*integers)

    @property
    def width(self) -> int:
        """Inputs, and width, of the network that predicts latents."""
        return self.neighbours + self.features

    def grids(self, height: int, width: int) -> list[Grid]:
        """All grids, finest first; they are coded from the last to the first."""
        hyper_from = self.hyper_from if self.hyper_from < self.levels else None
        return grids_of(height, width, (0, self.levels - 1), hyper_from)

    def positions(self, height: int, width: int) -> int:
        """Latents in all."""
        return sum(grid.rows * grid.columns for grid in self.grids(height, width))

    def shapes(self, colours: int) -> dict[str, tuple[int, ...]]:
        """Of the networks' weights, by name, in the order in which they are coded."""
        width = self.width
        shapes: dict[str, tuple[int, ...]] = {}

        def layer(name: str, *weight: int) -> None:
            shapes[f"{name}.weight"] = weight
            shapes[f"{name}.bias"] = (weight[0],)

        for number in range(ARM_LAYERS):
            layer(f"arm.hidden.{number}", width, width)
        layer("arm.output", 2, width)
        layer("arm.branch", 2, width)
        count = 2 * self.levels - self.hyper_from
        for number in range(IFCE_GRIDS if self.features else 0):
            layer(f"ifce.{number}", self.features, count - 1 - number)
        for kind in ("doubling", "lateral"):
            for step in range(self.levels - 1):
                shapes[f"upsampling.{kind}.{step}.weight"] = (4,)
        layer("synthesis.hidden", self.hidden, self.levels, 1, 1)
        layer("synthesis.output", colours, self.hidden, 1, 1)
        for number in range(self.residuals):
            layer(f"synthesis.residual.{number}", colours, colours, 3, 3)
        layer("synthesis.branch", colours, self.levels, 1, 1)
        return shapes

    def parameters(self, colours: int) -> int:
        """How many weights."""
        return sum(math.prod(shape) for shape in self.shapes(colours).values())

    def macs(self, height: int, width: int, colours: int) -> int:
        """Multiplications of decoding."""
        pixels = height * width
        predicting = self.width * (ARM_LAYERS * self.width + 4)
        count = 2 * self.levels - self.hyper_from
        inter = sum(
            self.features * (count - 1 - k) * (pixels >> 2 * (k + 1)) for k in range(IFCE_GRIDS)
        )
        # 4 taps along rows, then columns, for each coarser grid; twice 7 for each one that joins.
        upsampling = sum(6 * (pixels >> 2 * k) * (self.levels - 1 - k) for k in range(self.levels))
        upsampling += sum(14 * (pixels >> 2 * k) for k in range(self.levels - 1))
        synthesis = self.hidden * (self.levels + colours) + colours * self.levels
        synthesis += self.residuals * 9 * colours**2
        positions = self.positions(height, width)
        return predicting * positions + inter + upsampling + synthesis * pixels


@dataclass(frozen=True)
class Preset:
    """A size of the networks, by what its authors call it."""

    neighbours: int
    features: int
    hidden: int
    residuals: int

    def at(self, height: int, width: int) -> CoolChicArchitecture:
        """For a picture of this size: large ones have one or two coarser grids more."""
        pixels = height * width
        levels = 7 + (pixels > MEGAPIXEL) + (pixels > 3 * MEGAPIXEL)
        return CoolChicArchitecture(
            self.neighbours, self.features, self.hidden, self.residuals, levels, HYPER_FROM
        )


PRESETS = {
    "lop": Preset(6, 2, 8, 1),
    "mop": Preset(10, 4, 16, 2),
    "hop": Preset(14, 6, 48, 2),
    "vhop": Preset(20, 6, 64, 2),
}


def arm_of(values: Mapping[str, Tensor]) -> GridArm:
    """The entropy model's weights from all by name."""
    return GridArm(
        tuple(_affine(values, f"arm.hidden.{number}") for number in range(ARM_LAYERS)),
        _affine(values, "arm.output"),
        _affine(values, "arm.branch"),
        tuple(_affine(values, name) for name in _numbered(values, "ifce")),
    )


def filters_of(values: Mapping[str, Tensor]) -> GridFilters:
    """The upsampling's."""
    return GridFilters(
        *(
            tuple(values[f"{name}.weight"] for name in _numbered(values, f"upsampling.{kind}"))
            for kind in ("doubling", "lateral")
        )
    )


def synthesis_of(values: Mapping[str, Tensor]) -> GridSynthesis:
    """The synthesis's."""

    def layer(name: str) -> Convolution:
        return Convolution(*_affine(values, f"synthesis.{name}"))

    residual = tuple(
        Convolution(*_affine(values, name)) for name in _numbered(values, "synthesis.residual")
    )
    return GridSynthesis(layer("hidden"), layer("output"), residual, layer("branch"))


def _affine(values: Mapping[str, Tensor], name: str) -> Affine:
    return Affine(values[f"{name}.weight"], values[f"{name}.bias"])


def _numbered(values: Mapping[str, Tensor], prefix: str) -> list[str]:
    count = sum(name.startswith(prefix + ".") and name.endswith(".weight") for name in values)
    return [f"{prefix}.{number}" for number in range(count)]
