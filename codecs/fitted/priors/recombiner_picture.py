"""RECOMBINER's files: the indexes of a picture's blocks, beside weights that all pictures share."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

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
from kodec.codecs.fitted.schedule import Schedule, read_schedule
from kodec.codecs.fitted_families import RECOMBINER
from kodec.entropy import SymbolPort, as_role
from kodec.entropy.ports.passed_values import places_of
from kodec.entropy.relative_entropy import check_bits
from kodec.native import BitstreamError, InvalidInputError

from .recombiner import DEFAULT_BITS, Recombiner
from .recombiner_fitting import PHASES, RecombinerFitting
from .sample_plan import SamplePlan
from .shared_weights import SharedWeightsModel, shared_weights

OFFERED_BITS = range(8, 13)
MAX_SEED = 1 << 32
# A decoder's memory and work, with room for wider networks than the packaged one's.
BYTES_PER_PIXEL = 2048
MACS_PER_PIXEL = 1 << 15
PARAMETERS_OF_WEIGHTS = 1 << 20

PACKAGED = Path(__file__).with_name("recombiner.yaml")


class RecombinerPicture(SharedWeightsModel[Recombiner]):
    """Architecture: bits of a block, the file's seed, the number of blocks.

    A preset names the bits: encoding takes twice the time for each one more. The rate is the
    weights', so that there is no quality. Gray pictures are the mean of the three colours.
    """

    family = RECOMBINER
    shared = Recombiner
    takes_quality = False
    presets = tuple(f"{bits}-bit" for bits in OFFERED_BITS)

    def __init__(
        self,
        architecture: tuple[int, ...],
        size: FittedSize,
        weights: tuple[Recombiner, bytes] | None = None,
    ) -> None:
        super().__init__(architecture, size, weights)
        as_role("decoder", self.weights)
        self.settings = architecture[0], architecture[1]
        self.layout = self.weights.layout(size.height, size.width)

    @classmethod
    def cost_of(cls, architecture: tuple[int, ...], size: FittedSize) -> Cost:
        """See `FittedModel`; as much as any weights may take."""
        try:
            bits, seed, blocks = architecture
            check_bits(bits)
            if not (0 <= seed < MAX_SEED and 1 <= blocks and size.frames == 1):
                raise ValueError
        except (ValueError, InvalidInputError):
            raise BitstreamError(
                "a recombiner picture has the bits, the seed and the number of its blocks in its "
                "head: the file is damaged"
            ) from None
        symbols = blocks * len(places_of(1 << bits))
        peak = BYTES_PER_PIXEL * size.pixels + 4 * PARAMETERS_OF_WEIGHTS
        return Cost(PARAMETERS_OF_WEIGHTS, MACS_PER_PIXEL, peak, range(symbols, symbols + 1))

    @cached_property
    def plan(self) -> SamplePlan:
        """The picture's blocks."""
        return self.weights.plan(self.layout, *self.settings)

    def patch_macs(self) -> tuple[int, int]:
        """See `SharedWeightsModel`."""
        return self.weights.field.macs, self.layout.patches

    def check_weights(self) -> None:
        """See `SharedWeightsModel`."""
        # Each vector has a block at least: a few bytes' claim makes no large plan.
        if self.architecture[2] < self.layout.patches:
            raise BitstreamError("the file has fewer blocks than patches: it is damaged")
        if self.architecture[2] != self.plan.blocks:
            raise BitstreamError("the file has other blocks than its weights: it is damaged")

    def code(
        self, parameters: Mapping[str, Any] | None, port: SymbolPort, packet: int = 0
    ) -> Mapping[str, Any]:
        """Pass "indexes" (blocks,) through the port; with the "numbers" that they stand for."""
        shape = torch.Size((1, self.architecture[2]))
        given = None if parameters is None else parameters["indexes"].reshape(shape)
        coded = port.integers("indexes", given, 1 << self.settings[0], shape)
        indexes = coded.flatten().long()
        return {
            "indexes": indexes,
            "numbers": self.weights.numbers(self.plan, indexes, self.layout),
        }

    def reconstruct(self, parameters: Mapping[str, Any]) -> Reconstruction:
        """The picture that the samples make."""

        def render(number: int) -> Tensor:
            patches = self.weights.render(parameters["numbers"], self.layout)
            x = self.layout.picture(patches)[0, :, : self.size.height, : self.size.width]
            return x if self.size.components == 3 else x.mean(0, keepdim=True)

        return Reconstruction(self.size, render)

    @classmethod
    def fitting(cls, clip: Clip, goal: Goal) -> FileFitting:
        """See `FittedModel`."""
        return PictureFitting(clip, goal)

    @classmethod
    def schedule(cls, goal: Goal, budget: Budget | None) -> Schedule:
        """One for all."""
        return read_schedule("recombiner", PACKAGED, PHASES)


class PictureFitting(RecombinerFitting, FileFitting):
    """The fitting of a picture with the packaged weights."""

    def __init__(self, clip: Clip, goal: Goal) -> None:
        bits = DEFAULT_BITS if goal.preset is None else int(goal.preset.partition("-")[0])
        self.weights = shared_weights(Recombiner, RECOMBINER.name)
        self.clip_size = clip.size
        x = clip.tensor(0)[None]
        x = x.expand(-1, 3, -1, -1).contiguous()
        identity = {"weights": self.weights[1].hex()}
        super().__init__(self.weights[0], x, bits, goal.seed, identity)

    def result(self, show: Show = nothing_shown) -> tuple[FittedModel, Mapping[str, Any]]:
        """With what an interrupted fit left uncoded coded as it is."""
        self.code_until(self.plan.blocks)
        architecture = (self.bits, self.plan.seed, self.plan.blocks)
        model = RecombinerPicture(architecture, self.clip_size, self.weights)
        return model, {"indexes": torch.from_numpy(self.indexes.copy())}
