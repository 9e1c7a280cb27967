"""Cool-chic pictures: a file is its networks, as integers, then the grids of latents.

    head's integers --> architecture
    parameters --> integers of ARM, IFCE, upsampling, synthesis, and their steps
    latents, predicted by ARM and IFCE in integers: the same on every machine
    latents --upsampling--synthesis--> picture, in float32

Source: "Cool-Chic" 5.0.1 (Orange, 2025).
"""

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor

from kodec.codecs.fitted.fitted_model import (
    Clip,
    Cost,
    FileFitting,
    FittedModel,
    FittedSize,
    Goal,
    Reconstruction,
)
from kodec.codecs.fitted.fitting import Budget, Show, nothing_shown
from kodec.codecs.fitted.schedule import Schedule
from kodec.codecs.fitted_families import COOL_CHIC
from kodec.codecs.objective import Objective
from kodec.entropy import SymbolPort
from kodec.entropy.parameters import CODING_BYTES
from kodec.models.fields.grid_synthesis import synthesise
from kodec.models.fields.grid_upsampling import upsample
from kodec.native import BitstreamError, InvalidInputError

from .cool_chic_architecture import (
    PRESETS,
    CoolChicArchitecture,
    filters_of,
    synthesis_of,
)
from .cool_chic_fitting import CoolChicFitting, usual_schedule
from .cool_chic_latents import grid_latents
from .cool_chic_parameters import code_networks, coder_of
from .cool_chic_steps import search_steps

DEFAULT_PRESET = "hop"

# Those of the default model: a quality stands for the same lambda.
OBJECTIVE = Objective("mse", 0.0005, 0.4)


def weight_of_rate(quality: int | None) -> float:
    """What a bit per pixel counts beside the squared error of values in [0, 1]."""
    return 1 / (OBJECTIVE.lambda_at(quality) * 255**2)


class CoolChic(FittedModel):
    """One picture's grids and networks."""

    family = COOL_CHIC
    presets = tuple(PRESETS)

    @classmethod
    def cost_of(cls, architecture: tuple[int, ...], size: FittedSize) -> Cost:
        """From the integers; raises `BitstreamError`."""
        if size.frames != 1:
            raise BitstreamError("a cool-chic file holds one picture: the file is damaged")
        shape = CoolChicArchitecture.of(architecture)
        height, width, colours = size.height, size.width, size.components
        pixels = height * width
        parameters = shape.parameters(colours)
        positions = shape.positions(height, width)
        # Features while they are doubled, the picture; latents. Hidden values are in memory for a
        # few pixels at a time.
        values = 6 * (shape.levels + colours) * pixels + 4 * positions
        macs = -(-shape.macs(height, width, colours) // pixels)
        most = coder_of(shape.shapes(colours)).symbols
        symbols = range(positions + most.start, positions + most.stop)
        return Cost(parameters, macs, 4 * values + CODING_BYTES * parameters, symbols)

    @classmethod
    def build(cls, architecture: tuple[int, ...], size: FittedSize) -> Self:
        """Raises `BitstreamError`."""
        cls.cost_of(architecture, size)
        return cls(architecture, size)

    def __init__(self, architecture: tuple[int, ...], size: FittedSize) -> None:
        super().__init__(architecture, size)
        self.shape = CoolChicArchitecture.of(architecture)
        self.grids = self.shape.grids(size.height, size.width)

    def code(
        self, parameters: Mapping[str, Any] | None, port: SymbolPort, packet: int = 0
    ) -> Mapping[str, Any]:
        """`networks`, `IntegerNetworks`, and `latents`, (1, 1, h, w) of each grid, finest first."""
        given = None if parameters is None else parameters["networks"]
        networks = code_networks(given, self.shape.shapes(self.size.components), port)
        try:
            order = grid_latents(self.shape, self.grids, networks)
        except InvalidInputError as error:
            if parameters is not None:
                raise
            raise BitstreamError(f"{error}: the file is damaged") from None
        latents = order.code(None if parameters is None else parameters["latents"], port)
        return {"networks": networks, "latents": latents}

    def reconstruct(self, parameters: Mapping[str, Any]) -> Reconstruction:
        """The picture."""
        values = parameters["networks"].values()
        latents = parameters["latents"]

        def render(number: int) -> Tensor:
            seen = [
                latent[0, 0].float()
                for latent, grid in zip(latents, self.grids, strict=True)
                if not grid.hyper
            ]
            picture = synthesise(upsample(seen, filters_of(values)), synthesis_of(values))
            return picture[0]

        return Reconstruction(self.size, render)

    @classmethod
    def fitting(cls, clip: Clip, goal: Goal) -> FileFitting:
        """The encoder's."""
        return CoolChicFileFitting(clip, goal)

    @classmethod
    def schedule(cls, goal: Goal, budget: Budget | None) -> Schedule:
        """Longer fits have longer beginnings."""
        return usual_schedule(None if budget is None else budget.steps)


class CoolChicFileFitting(CoolChicFitting, FileFitting):
    """A fit that becomes a file."""

    def __init__(self, clip: Clip, goal: Goal) -> None:
        if torch.device(goal.device).type != "cpu":
            raise InvalidInputError("cool-chic is fitted on a CPU: leave --device out")
        size = clip.size
        preset = PRESETS[goal.preset or DEFAULT_PRESET]
        architecture = preset.at(size.height, size.width)
        super().__init__(
            clip.tensor(0)[None],
            architecture,
            weight_of_rate(goal.quality),
            goal.seed,
            size.bit_depth,
        )
        self.size = size

    def result(self, show: Show = nothing_shown) -> tuple[FittedModel, Mapping[str, Any]]:
        """The networks' steps are searched."""
        return result_of(self, self.size.bit_depth)


def result_of(fitting: CoolChicFitting, bit_depth: int = 8) -> tuple[CoolChic, Mapping[str, Any]]:
    """The model of a fit, and what its `code` takes; its networks become integers."""
    networks = search_steps(fitting)
    latents = [grid[None, None] for grid in fitting.split(fitting.integers())]
    _, colours, height, width = fitting.x.shape
    size = FittedSize(width, height, components=colours, bit_depth=bit_depth)
    model = CoolChic.build(fitting.architecture.integers, size)
    return model, {"networks": networks, "latents": latents}
