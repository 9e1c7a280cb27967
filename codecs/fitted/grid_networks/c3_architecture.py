"""What a C3 picture is built from: grids, and the shapes of its two networks' weights."""

from collections.abc import Mapping
from dataclasses import astuple, dataclass

import torch
from torch import Tensor

from kodec.entropy import Grid, SteppedLayer, grids_of
from kodec.entropy.latents.gelu_arm import WINDOW_CONTEXTS, GeluArm
from kodec.models.fields.c3_synthesis import C3Synthesis
from kodec.models.fields.grid_synthesis import Convolution
from kodec.native import BitstreamError

PARTS = ("arm", "synthesis")
KINDS = ("weight", "bias")
# The core's programs have layers of 256 outputs, 13 for each of a hidden layer.
MAX_HIDDEN = 18
MAX_SYNTHESIS = 256
MAX_LEVELS = 15
RESIDUALS = 2
HIDDEN_LAYERS = 2


@dataclass(frozen=True)
class C3Architecture:
    """The integers that stand in a file's head.

    entropy, synthesis: widths of the hidden layers, two each. levels: grids at 1/1, 1/2, ...
    """

    entropy: int = 18
    synthesis: int = 18
    levels: int = 7

    def __post_init__(self) -> None:
        """Raise `BitstreamError` for what no encoder writes."""
        for name, most in (
            ("entropy", MAX_HIDDEN),
            ("synthesis", MAX_SYNTHESIS),
            ("levels", MAX_LEVELS),
        ):
            value = getattr(self, name)
            if not 1 <= value <= most:
                raise BitstreamError(
                    f"a c3 picture has 1 to {most} of {name}, not {value}: the file is damaged"
                )

    @staticmethod
    def of(integers: tuple[int, ...]) -> "C3Architecture":
        """From a head's integers; raises `BitstreamError`."""
        if len(integers) != 3:
            raise BitstreamError(
                f"a c3 picture is built from 3 integers, not {len(integers)}: the file is damaged"
            )
        return C3Architecture(*integers)

    @property
    def integers(self) -> tuple[int, ...]:
        """As they stand in the head."""
        return astuple(self)

    def grids(self, height: int, width: int) -> list[Grid]:
        """Finest first; they are coded from the last to the first."""
        return grids_of(height, width, (0, self.levels - 1), None)

    def positions(self, height: int, width: int) -> int:
        """Latents in all."""
        return sum(grid.rows * grid.columns for grid in self.grids(height, width))

    def shapes(self, colours: int) -> dict[str, tuple[int, ...]]:
        """Of the networks' weights, by name, in the order in which they are coded."""
        shapes: dict[str, tuple[int, ...]] = {}

        def layer(name: str, *weight: int) -> None:
            shapes[f"{name}.weight"] = weight
            shapes[f"{name}.bias"] = (weight[0],)

        widths = (len(WINDOW_CONTEXTS), *[self.entropy] * HIDDEN_LAYERS, 2)
        for number, (a, b) in enumerate(zip(widths, widths[1:])):
            layer(f"arm.layer.{number}", b, a)
        widths = (self.levels, *[self.synthesis] * HIDDEN_LAYERS, colours)
        for number, (a, b) in enumerate(zip(widths, widths[1:])):
            layer(f"synthesis.layer.{number}", b, a, 1, 1)
        for number in range(RESIDUALS):
            layer(f"synthesis.residual.{number}", colours, colours, 3, 3)
        return shapes

    def parameters(self, colours: int) -> int:
        """Weights and biases in all."""
        return sum(torch.Size(shape).numel() for shape in self.shapes(colours).values())

    def macs_per_pixel(self, colours: int) -> int:
        """Multiplications of decoding, rounded up: grids have 4/3 of the pixels."""
        count = {part: 0 for part in PARTS}
        for name, shape in self.shapes(colours).items():
            if name.endswith("weight"):
                count[name.split(".")[0]] += torch.Size(shape).numel()
        return -(-4 * count["arm"] // 3) + count["synthesis"] + 4 * self.levels


def layers_of(values: Mapping[str, Tensor], name: str) -> tuple[Convolution, ...]:
    """The layers `name`.0, `name`.1, ... of all weights by name."""
    count = sum(key.startswith(f"{name}.") and key.endswith(".weight") for key in values)
    return tuple(
        Convolution(values[f"{name}.{i}.weight"], values[f"{name}.{i}.bias"]) for i in range(count)
    )


def synthesis_of(values: Mapping[str, Tensor]) -> C3Synthesis:
    """The synthesis's weights."""
    return C3Synthesis(
        layers_of(values, "synthesis.layer"), layers_of(values, "synthesis.residual")
    )


def arm_of(integers: Mapping[str, Tensor], exponents: Mapping[str, int]) -> GeluArm:
    """The entropy network; raises `InvalidInputError` where it can't be proved exact."""
    return GeluArm(
        [
            SteppedLayer(weight.long(), bias.long(), exponents["arm.weight"], exponents["arm.bias"])
            for weight, bias in layers_of(integers, "arm.layer")
        ]
    )
