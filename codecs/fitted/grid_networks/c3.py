"""C3's files: two networks in integers, then grids of latents.

Source: "C3: High-performance and low-complexity neural compression from a single image or video"
(2024).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

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
from kodec.codecs.fitted.schedule import Schedule, read_schedule
from kodec.codecs.fitted_families import C3
from kodec.entropy import GridLatents, SymbolPort
from kodec.entropy.parameters import CODING_BYTES
from kodec.models.fields.c3_synthesis import c3_synthesis, stacked
from kodec.native import BitstreamError, InvalidInputError

from .c3_architecture import C3Architecture, arm_of, synthesis_of
from .c3_fitting import PHASES, C3Fitting
from .c3_networks import search_networks
from .cool_chic import weight_of_rate
from .cool_chic_parameters import IntegerNetworks, code_networks, coder_of

PACKAGED = Path(__file__).with_name("c3.yaml")
# Grids, features and two hidden layers of a pixel, in float32, and what convolutions need beside.
PLANES = 8


class C3Picture(FittedModel):
    """Architecture: see `C3Architecture`."""

    family = C3

    def __init__(self, architecture: tuple[int, ...], size: FittedSize) -> None:
        super().__init__(architecture, size)
        self.shape = C3Architecture.of(architecture)
        self.grids = self.shape.grids(size.height, size.width)

    @classmethod
    def cost_of(cls, architecture: tuple[int, ...], size: FittedSize) -> Cost:
        """See `FittedModel`."""
        shape = C3Architecture.of(architecture)
        if size.frames != 1:
            raise BitstreamError("a c3 file holds one picture: the file is damaged")
        shapes = shape.shapes(size.components)
        parameters = shape.parameters(size.components)
        positions = shape.positions(size.height, size.width)
        planes = PLANES + 2 * shape.levels + 3 * shape.synthesis + 4 * size.components
        networks = coder_of(shapes).symbols
        return Cost(
            parameters,
            shape.macs_per_pixel(size.components),
            4 * planes * size.pixels + CODING_BYTES * parameters,
            range(positions + networks[0], positions + networks[-1] + 1),
        )

    @classmethod
    def build(cls, architecture: tuple[int, ...], size: FittedSize) -> Self:
        """See `FittedModel`."""
        cls.cost_of(architecture, size)
        return cls(architecture, size)

    def code(
        self, parameters: Mapping[str, Any] | None, port: SymbolPort, packet: int = 0
    ) -> Mapping[str, Any]:
        """Pass "networks" (`IntegerNetworks`) and "latents" (a list of grids) through the port."""
        given = None if parameters is None else parameters["networks"]
        networks = code_networks(given, self.shape.shapes(self.size.components), port)
        latents = None
        if parameters is not None:
            latents = [grid[None, None] for grid in parameters["latents"]]
        grids = self._latents(networks).code(latents, port)
        return {"networks": networks, "latents": [grid[0, 0].float() for grid in grids]}

    def _latents(self, networks: IntegerNetworks) -> GridLatents:
        try:
            return GridLatents(self.grids, arm_of(networks.integers, networks.exponents))
        except InvalidInputError as error:
            raise BitstreamError(f"the file's entropy network is none: {error}") from None

    def reconstruct(self, parameters: Mapping[str, Any]) -> Reconstruction:
        """The picture that the synthesis makes."""
        networks: IntegerNetworks = parameters["networks"]
        weights = synthesis_of(networks.values())

        def render(number: int) -> Tensor:
            return c3_synthesis(stacked(parameters["latents"]), weights)[0]

        return Reconstruction(self.size, render)

    @classmethod
    def fitting(cls, clip: Clip, goal: Goal) -> FileFitting:
        """See `FittedModel`."""
        return C3PictureFitting(clip, goal)

    @classmethod
    def schedule(cls, goal: Goal, budget: Budget | None) -> Schedule:
        """One for all."""
        return read_schedule("c3", PACKAGED, PHASES)


class C3PictureFitting(C3Fitting, FileFitting):
    """The fitting of a picture, at a quality."""

    def __init__(self, clip: Clip, goal: Goal) -> None:
        self.clip_size = clip.size
        weight = weight_of_rate(goal.quality)
        super().__init__(clip.tensor(0)[None], C3Architecture(), weight, goal.seed)

    def result(self, show: Show = nothing_shown) -> tuple[FittedModel, Mapping[str, Any]]:
        """With the networks in integers."""
        networks = search_networks(self)
        model = C3Picture(self.architecture.integers, self.clip_size)
        return model, {"networks": networks, "latents": self.split(self.integers())}
