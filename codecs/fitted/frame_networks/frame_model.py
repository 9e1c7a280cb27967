"""Files of frame networks: NeRV, E-NeRV, HNeRV, NeRV++ and the boosted ones."""

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

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
from kodec.codecs.fitted.schedule import Phase, Ramp, Schedule
from kodec.codecs.fitted_families import family_named
from kodec.codecs.model_size import ModelSize
from kodec.entropy import SymbolPort
from kodec.entropy.parameters import ParameterCoder
from kodec.entropy.roles import as_role
from kodec.models.fields import ConvNeXtEncoder, FrameDesign, GridDesign, System, encoder_widths
from kodec.native import BitstreamError, InvalidInputError

from .flow_consistency import FlowConsistency
from .frame_architecture import BITS, design_for, design_of, integers_of, sent
from .frame_coding import EMBEDDING, FrameCoding, layout_of
from .frame_fitting import KEPT, RATE, ROUNDED, FrameFitting, FrameRecipe, measured_every
from .grid_architecture import grid_design_for, grid_design_of, grid_integers_of
from .published_sizes import PUBLISHED

# Where no size is asked for.
DEFAULT_SIZE = ModelSize(0.3, "bpp")
# The frames whose embeddings are scaled where a fit begins.
AT_START = 8
STEPS = (0, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600)
# Of the steps, and of the learning rate: the phase in which weights are as they will be decoded.
ROUNDED_SHARE, ROUNDED_RATE = 0.2, 0.2
# The same of the phase with a penalty for rate, and what a bit a parameter counts in it.
PENALISED_SHARE, PENALISED_RATE, BIT = 0.4, 0.5, 0.2
# What weights and the loss may have beside: see docs/cli.md. Of "Scene Matters: Model-based Deep
# Video Compression" (2023), a reading, are "flow" and "frequency".
PRESETS = ("pruned", "penalised", "flow", "frequency")
# The share of weights that pruning keeps, and of the steps that they are fitted on in, in floats.
PRUNED_TO, PRUNED_SHARE = 0.85, 0.2


class FrameModel(FittedModel):
    """A frame network and its frames' embeddings, if it has such, in one packet.

    Frames are padded, by repetition, to multiples of the network's stride. Parameters are in equal
    steps a tensor. Any frame is rendered without those before it.
    """

    takes_quality = False
    takes_size = True
    combines = True
    system: ClassVar[System]
    boosted: ClassVar[bool] = False
    recipe: ClassVar[FrameRecipe] = FrameRecipe()
    coding: ClassVar[FrameCoding] = FrameCoding(weight_bits=6.0)
    rate: ClassVar[float] = 1e-3
    warm_up: ClassVar[float] = 0.1

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        cls.presets = (*PRESETS, *PUBLISHED.get(cls.family.name, ()))

    def __init__(self, architecture: tuple[int, ...], size: FittedSize) -> None:
        super().__init__(architecture, size)
        self.design = self._design(architecture, size)
        self.network = as_role("decoder", self.design.build())

    @classmethod
    def _design(cls, architecture: tuple[int, ...], size: FittedSize) -> FrameDesign | GridDesign:
        if size.components != 3:
            raise BitstreamError(f"{cls.family.name} codes frames of 3 components: a damaged file")
        return cls.design_of(architecture, size)

    @classmethod
    def design_of(cls, integers: tuple[int, ...], size: FittedSize) -> FrameDesign | GridDesign:
        """The network of a head's integers; raises `BitstreamError` where they are none."""
        return design_of(cls.system, cls.boosted, integers, size)

    @classmethod
    def integers_for(cls, size: FittedSize, budget: int) -> tuple[int, ...]:
        """Of the widest network within a budget; raises `InvalidInputError` where there is none."""
        return integers_of(design_for(cls.system, cls.boosted, size, budget))

    @classmethod
    def cost_of(cls, architecture: tuple[int, ...], size: FittedSize) -> Cost:
        """See `FittedModel`."""
        design = cls._design(architecture, size)
        cost = design.cost()
        height, width = design.frame_size
        return Cost(
            sent(design, size.frames),
            -(-cost.macs // (height * width)),
            cost.peak_bytes + 8 * size.frames * prod(design.embedding_shape),
            ParameterCoder(layout_of(design, size.frames)).symbols,
        )

    def code(
        self, parameters: Mapping[str, Any] | None, port: SymbolPort, packet: int = 0
    ) -> Mapping[str, Any]:
        """See `FittedModel`; parameters: `Quantised` by name."""
        return ParameterCoder(layout_of(self.design, self.size.frames)).code(parameters, port)

    def reconstruct(self, parameters: Mapping[str, Any]) -> Reconstruction:
        """See `FittedModel`."""
        values = {name: value.dequantise() for name, value in parameters.items()}
        if isinstance(self.design, FrameDesign):
            # Convolutions of single frames take 0.6 of the time with channels last.
            values = {
                name: value.contiguous(memory_format=torch.channels_last)
                if value.dim() == 4
                else value
                for name, value in values.items()
            }
        return Reconstruction(self.size, lambda number: self._frame(values, number))

    def _frame(self, values: Mapping[str, Tensor], number: int) -> Tensor:
        own = {name: value for name, value in values.items() if name != EMBEDDING}
        times = self.recipe.times(torch.tensor([number]), self.size.frames)
        embedding = (values[EMBEDDING][number : number + 1],) if EMBEDDING in values else ()
        out: Tensor = functional_call(self.network, own, (times, *embedding))
        return out[0, :, : self.size.height, : self.size.width]

    @classmethod
    def fitting(cls, clip: Clip, goal: Goal) -> FileFitting:
        """See `FittedModel`."""
        if clip.size.components != 3:
            raise InvalidInputError(f"{cls.family.name} codes frames of 3 components, not of 1")
        integers = cls._integers(clip.size, goal)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(goal.seed)
            model, encoder = cls(integers, clip.size), None
            design = model.design
            if isinstance(design, FrameDesign) and design.embedding:
                strides = [stage.stride for stage in design.stages if stage.stride > 1]
                widths = encoder_widths(strides, embedding=design.embedding)
                encoder = ConvNeXtEncoder(strides, widths)
        found = FrameFileFitting(model, clip, encoder, goal)
        if goal.words & {"pruned", "penalised"}:
            found.adapt(model.coding.track(found.sent()))
        return found

    @classmethod
    def _integers(cls, size: FittedSize, goal: Goal) -> tuple[int, ...]:
        published = PUBLISHED.get(cls.family.name, {})
        names = sorted(goal.words & published.keys())
        if not names:
            budget = (goal.size or DEFAULT_SIZE).parameters(size.pixels, BITS)
            return cls.integers_for(size, budget)
        if len(names) > 1 or goal.size is not None:
            raise InvalidInputError(f"{names[0]} is a size: name no other, and leave --size out")
        design = published[names[0]](size)
        if isinstance(design, GridDesign):
            return grid_integers_of(design)
        return integers_of(design)

    @classmethod
    def schedule(cls, goal: Goal, budget: Budget | None) -> Schedule:
        """See `FittedModel`: half a cosine, behind a warm-up; then others, as presets say."""
        every, words = measured_every(budget), goal.words
        rate = Ramp(cls.rate, 0.0, "cosine", cls.warm_up, 0.1 if cls.warm_up else 0.0)
        last, slower = ROUNDED_SHARE, ROUNDED_RATE
        knobs = {ROUNDED: Ramp(1.0, 1.0)}
        if "penalised" in words:
            last, slower = PENALISED_SHARE, PENALISED_RATE
            knobs[RATE] = Ramp(BIT, BIT)
        phases = []
        if "pruned" in words:
            after = Ramp(cls.rate * slower, 0.0, "cosine")
            kept = {KEPT: Ramp(PRUNED_TO, PRUNED_TO)}
            phases.append(
                Phase(
                    PRUNED_SHARE, after, kept, measure_every=every, new_optimiser=True, forget=True
                )
            )
        first = 1 - last - sum(phase.share for phase in phases)
        phases.insert(0, Phase(first, rate, measure_every=every))
        phases.append(
            Phase(
                last,
                Ramp(cls.rate * slower, 0.0, "cosine"),
                knobs,
                measure_every=every,
                new_optimiser=True,
                forget=RATE in knobs,
            )
        )
        return Schedule(tuple(phases), STEPS)


class FrameFileFitting(FrameFitting, FileFitting):
    """The fitting of a `FrameModel`."""

    def __init__(
        self, model: FrameModel, clip: Clip, encoder: ConvNeXtEncoder | None, goal: Goal
    ) -> None:
        self.model = model
        recipe = model.recipe
        if "frequency" in goal.words:
            recipe = replace(recipe, distortion="frequency")
        recipe = recipe.for_frames(*model.design.frame_size)
        pixels = torch.from_numpy(clip.pixels.astype(np.int32 if clip.bit_depth > 8 else np.uint8))
        super().__init__(
            model.network,
            pixels.permute(0, 3, 1, 2),
            model.coding,
            recipe,
            encoder,
            model.design.frame_size,
            {"architecture": str(model.architecture)},
            goal.seed,
            2**clip.bit_depth - 1,
        )
        # Where a fit has to find the video's brightness first, it ends half a decibel lower; where
        # it has to find embeddings that differ from one another, up to two.
        model.network.begin_at(self.frames.float().mean((0, 2, 3)) / self.peak)
        if encoder is not None:
            encoder.begin_evenly(self.some_pixels(AT_START))
        if "flow" in goal.words:
            self.flow = FlowConsistency(self.frames, self.peak)

    def result(self, show: Show = nothing_shown) -> tuple[FittedModel, Mapping[str, Any]]:
        """See `FileFitting`."""
        assert isinstance(self.coding, FrameCoding)
        return self.model, self.coding.quantised(self.sent())


class NeRV(FrameModel):
    """ "NeRV: Neural Representations for Videos" (2021)."""

    family = family_named("nerv")
    system = "nerv"
    recipe = FrameRecipe("l1-ssim", 1)
    rate, warm_up = 5e-4, 0.2


class ENeRV(FrameModel):
    """ "E-NeRV: Expedite Neural Video Representation" (2022)."""

    family = family_named("e-nerv")
    system = "e-nerv"
    recipe = FrameRecipe("l1-ssim", 1, clock="ends")
    rate, warm_up = 5e-4, 0.2


class HNeRV(FrameModel):
    """ "HNeRV: A Hybrid Neural Representation for Videos" (2023)."""

    family = family_named("hnerv")
    system = "hnerv"
    recipe = FrameRecipe("mse", 2)


class NeRVPlusPlus(FrameModel):
    """ "NeRV++: An Enhanced Implicit Neural Video Representation" (2024)."""

    family = family_named("nerv++")
    system = "nerv++"
    recipe = FrameRecipe("l1-ssim", 1)
    rate, warm_up = 5e-4, 0.2


class BoostedNeRV(FrameModel):
    """NeRV of "Boosting Neural Representations for Videos with a Conditional Decoder" (2024)."""

    family = family_named("nerv-boost")
    system, boosted = "nerv", True
    recipe = FrameRecipe("frequency", 1, "adan", clock="ends")
    rate, warm_up = 3e-3, 0.1


class BoostedENeRV(FrameModel):
    """E-NeRV of "Boosting Neural Representations for Videos with a Conditional Decoder" (2024)."""

    family = family_named("e-nerv-boost")
    system, boosted = "e-nerv", True
    recipe = FrameRecipe("frequency", 1, "adan", clock="ends")
    rate, warm_up = 1.5e-3, 0.1


class BoostedHNeRV(FrameModel):
    """HNeRV of "Boosting Neural Representations for Videos with a Conditional Decoder" (2024)."""

    family = family_named("hnerv-boost")
    system, boosted = "hnerv", True
    recipe = FrameRecipe("frequency", 1, "adan", clock="ends")
    rate, warm_up = 3e-3, 0.1


class HiNeRV(FrameModel):
    """ "HiNeRV: Video Compression with Hierarchical Encoding-based Neural Representation" (2023).

    Whole frames are fitted, where the published code takes patches of large ones: what comes out is
    the same function.
    """

    family = family_named("hinerv")
    recipe = FrameRecipe("l1-ms-ssim", 2, clock="counts")
    rate, warm_up = 2e-3, 0.1

    @classmethod
    def design_of(cls, integers: tuple[int, ...], size: FittedSize) -> GridDesign:
        """See `FrameModel`."""
        return grid_design_of(integers, size)

    @classmethod
    def integers_for(cls, size: FittedSize, budget: int) -> tuple[int, ...]:
        """See `FrameModel`."""
        return grid_integers_of(grid_design_for(size, budget))
