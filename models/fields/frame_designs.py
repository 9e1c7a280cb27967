"""Frame networks from whole numbers: what stands in a file's head, and the published sizes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Literal

import torch
from torch import nn

from .frame_blocks import (
    FactorisedUpBlock,
    GatedUpBlock,
    Head,
    Stage,
    UpBlock,
)
from .frame_network import FrameNetwork, initialise_evenly
from .network_cost import NetworkCost
from .positional import PositionalEncoding
from .spectral import SpectralUpBlock
from .stems import HEAD_WIDTH, DisentangledStem, EmbeddingStem, GatedStem, TimeStem
from .temporal import AdaptiveInstanceNorm, TemporalResidual, TimeCode

System = Literal["nerv", "e-nerv", "hnerv", "nerv++"]
# The width of the time's code in E-NeRV.
CODE = 128


@dataclass(frozen=True)
class StageDesign:
    """A block's stride, kernel (odd) and output channels."""

    stride: int
    kernel: int
    width: int


@dataclass(frozen=True)
class FrameDesign:
    """A frame network.

    boosted: with sine activations and a `TemporalResidual` behind each block ("Boosting Neural
    Representations for Videos with a Conditional Decoder", 2024). rows, columns, channels: of the
    first features. head_kernel: odd. base, levels: of the encoding of times; 0 levels for none.
    hidden: the stem's width; 0 for a stem of one layer. embedding: the channels of a frame's
    embedding (HNeRV), whose sides are rows / unfold and columns / unfold. code: the width of the
    time's code (E-NeRV: 128). sessions: whether times are (N, 2), a frame's and its session's, and
    spectral: the stage that is a `SpectralUpBlock`, -1 for none (PFNR).
    """

    system: System
    rows: int
    columns: int
    channels: int
    stages: tuple[StageDesign, ...]
    head_kernel: int = 1
    boosted: bool = False
    base: float = 1.25
    levels: int = 0
    hidden: int = 0
    embedding: int = 0
    unfold: int = 1
    code: int = 0
    sessions: bool = False
    spectral: int = -1

    @property
    def activation(self) -> str:
        """The one of the blocks."""
        if self.boosted:
            return "sine"
        return "swish" if self.pairs else "gelu"

    @property
    def pairs(self) -> bool:
        """Whether sines and cosines alternate, as in the code of NeRV and NeRV++."""
        return self.system == "nerv++" or (
            self.system == "nerv" and not self.boosted and self.hidden > 0
        )

    @property
    def stride(self) -> int:
        """Pixels a place of the first features."""
        return prod(stage.stride for stage in self.stages)

    @property
    def frame_size(self) -> tuple[int, int]:
        """Height and width of the frames."""
        return self.rows * self.stride, self.columns * self.stride

    @property
    def embedding_shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns of a frame's embedding."""
        return self.embedding, self.rows // self.unfold, self.columns // self.unfold

    def build(self) -> FrameNetwork:
        """The network, as the published code initialises it."""
        encoding = PositionalEncoding(self.base, self.levels, "pairs" if self.pairs else "halves")
        time = None
        if self.boosted:
            time = TimeCode(encoding.width, (2 * self.code, self.code), self.activation)
        elif self.system == "e-nerv":
            time = TimeCode(encoding.width, (self.code, self.code), self.activation)
        # Weights are drawn in this order, the published one: a seed is the same network then.
        stem, stages, width = self._stem(encoding), self._first(), self.channels
        for number, stage in enumerate(self.stages):
            stages.append(self._stage(number, width, stage))
            width = stage.width
        head = Head(self.stages[-1].width, self.head_kernel)
        network = FrameNetwork(stem, stages, head, None if time is None else encoding, time)
        if self.system == "nerv++":
            initialise_evenly(network)
        return network

    def cost(self) -> NetworkCost:
        """Of the network, without its embeddings; nothing is allocated."""
        with torch.device("meta"):
            network = self.build()
        found = NetworkCost(sum(value.numel() for value in network.parameters()))
        places = self.rows * self.columns
        if self.system == "e-nerv":
            # Attention among all places, of 1 + 8 heads.
            found.add(network.stem, places)
            found.macs += 2 * 9 * HEAD_WIDTH * places**2
            found.largest = max(found.largest, 8 * places**2)
        else:
            found.add(network.stem, 1)
        found.add(network.time, 1)
        if self.system == "hnerv":
            places //= self.unfold**2
        for stage in network.stages:
            assert isinstance(stage, Stage)
            found.add(stage.before, 1)
            if isinstance(stage.block, SpectralUpBlock):
                # Of complex numbers, and the transforms about as much again.
                weights = 4 * stage.block.real.numel()
                found.macs += 2 * weights
                found.largest = max(found.largest, weights, places * stage.block.stride**2)
                places *= stage.block.stride**2
                continue
            assert isinstance(stage.block, UpBlock | FactorisedUpBlock | GatedUpBlock)
            for part in stage.block.before:
                found.add(part, places)
            places *= stage.block.stride**2
            for part in stage.block.behind:
                found.add(part, places)
            if stage.after is not None:
                found.add(stage.after.inner, places)
                found.add(stage.after.outer, places)
        found.add(network.head, places)
        return found

    def _stem(self, encoding: PositionalEncoding) -> nn.Module:
        shape = (self.channels, self.rows, self.columns)
        if self.system == "hnerv":
            return EmbeddingStem()
        if self.system == "e-nerv":
            return DisentangledStem(encoding, self.hidden, shape, self.activation)
        if self.system == "nerv++":
            return GatedStem(encoding, self.hidden, shape)
        return TimeStem(encoding, self.hidden, shape, self.activation, 1 + self.sessions)

    def _first(self) -> list[nn.Module]:
        """HNeRV's layer at the embedding's resolution."""
        if self.system != "hnerv":
            return []
        block = UpBlock(self.embedding, self.channels, self.unfold, 1, self.activation)
        after = TemporalResidual(self.channels, self.code) if self.boosted else None
        return [Stage(block, after=after)]

    def _stage(self, number: int, inputs: int, stage: StageDesign) -> Stage:
        if number == self.spectral:
            enlarged = prod(before.stride for before in self.stages[:number])
            rows, columns = self.rows * enlarged, self.columns * enlarged
            return Stage(
                SpectralUpBlock(inputs, stage.width, stage.stride, rows, columns, self.activation)
            )
        kinds = {"nerv++": GatedUpBlock, "e-nerv": UpBlock if number else FactorisedUpBlock}
        kind = kinds.get(self.system, UpBlock)
        block = kind(inputs, stage.width, stage.stride, stage.kernel, self.activation)
        if self.boosted:
            return Stage(block, after=TemporalResidual(stage.width, self.code))
        if self.system != "e-nerv":
            return Stage(block)
        return Stage(block, before=AdaptiveInstanceNorm(inputs, self.code, self.activation))


@dataclass(frozen=True)
class Recipe:
    """How a system's widths follow from its first width.

    kernels: of the first stage, and the greatest; each stage's is 2 above the one before. reduce:
    what widths are divided by from stage to stage. lowest: no stage is narrower. rounded: whether
    widths are rounded to the nearest (HNeRV) or down, and the first stage has `expansion` times the
    width in place of a division. blocks: by stage; those after the first have stride 1.
    """

    strides: tuple[int, ...]
    kernels: tuple[int, int]
    reduce: float
    lowest: int
    rounded: bool
    expansion: int = 1
    blocks: tuple[int, ...] = ()
    greatest: int = 99

    def stages(self, width: int) -> tuple[StageDesign, ...]:
        """The stages behind a first width."""
        found = []
        for number, stride in enumerate(self.strides):
            if self.rounded:
                width = max(round(width / self.reduce), self.lowest)
            elif number == 0:
                width *= self.expansion
            else:
                width = int(max(width // (1 if stride == 1 else self.reduce), self.lowest))
            kernel = min(self.kernel(number), self.greatest)
            for block in range(self.blocks[number] if self.blocks else 1):
                found.append(StageDesign(1 if block else stride, kernel, width))
        return tuple(found)

    def kernel(self, number: int) -> int:
        """A stage's kernel, before it is held to the `greatest`."""
        return min(self.kernels[0] + 2 * number, self.kernels[1])

    def width_for(self, budget: float, inputs: int, places: int) -> int:
        """The first width for a budget of parameters, by the estimate of HNeRV's code.

        inputs: channels of the embedding, or of the encoded time; places: what a first channel
        costs for each of them. The estimate leaves out biases, heads and all modulation, and counts
        a stage's outputs at 1 / reduce of its inputs, whatever the system does. 0 where the budget
        is below every width.
        """
        ratio = 1 / self.reduce
        square = ratio * sum(
            ratio ** (2 * number) * (stride * self.kernel(number)) ** 2
            for number, stride in enumerate(self.strides)
        )
        linear = inputs * places
        root = (linear**2 + 4 * square * max(budget, 0.0)) ** 0.5
        return int((root - linear) / (2 * square))


def hnerv(
    size: tuple[int, int],
    frames: int,
    budget: float,
    recipe: Recipe,
    encoder_strides: Sequence[int] | None = None,
    embedding: int = 16,
    boosted: bool = False,
    code: int = 0,
    levels: int = 80,
) -> FrameDesign:
    """HNeRV of about `budget` parameters, the frames' embeddings among them.

    size: height and width, multiples of the encoder's stride, whose strides are the decoder's
    where nothing else is said. code, levels: of the time, in a boosted one.
    """
    decoder, encoder = prod(recipe.strides), prod(encoder_strides or recipe.strides)
    height, width = size
    values = embedding * height * width / encoder**2 * frames
    unfold = encoder // decoder
    channels = recipe.width_for(budget - values, embedding, unfold**2 * 9)
    return FrameDesign(
        "hnerv",
        height // decoder,
        width // decoder,
        channels,
        recipe.stages(channels),
        head_kernel=3,
        boosted=boosted,
        levels=levels if boosted else 0,
        embedding=embedding,
        unfold=unfold,
        code=code if boosted else 0,
    )


def nerv(
    size: tuple[int, int],
    budget: float,
    recipe: Recipe,
    levels: int = 40,
    hidden: int = 512,
    boosted: bool = False,
    code: int = 0,
) -> FrameDesign:
    """NeRV of about `budget` parameters, by the estimate of HNeRV's and Boosting-NeRV's code.

    size: height and width, multiples of the strides' product. hidden: the stem's width; at 0 it is
    the NeRV of HNeRV's code, of one layer in the stem and a head of 3x3.
    """
    stride = prod(recipe.strides)
    rows, columns = size[0] // stride, size[1] // stride
    channels = recipe.width_for(budget, 2 * levels, rows * columns)
    return FrameDesign(
        "nerv",
        rows,
        columns,
        channels,
        recipe.stages(channels),
        head_kernel=1 if hidden else 3,
        boosted=boosted,
        levels=levels,
        hidden=hidden,
        code=code if boosted else 0,
    )


def e_nerv(
    size: tuple[int, int],
    budget: float,
    recipe: Recipe,
    levels: int = 80,
    hidden: int = 128,
    boosted: bool = False,
    code: int = CODE,
) -> FrameDesign:
    """E-NeRV of about `budget` parameters, by the estimate of Boosting-NeRV's code.

    size: height and width, multiples of the strides' product. hidden: the width of the stem's
    attention.
    """
    plain = nerv(size, budget, recipe, levels, hidden, boosted, code)
    return replace(plain, system="e-nerv", code=code)


def encoder_widths(strides: Sequence[int], width: int = 64, embedding: int = 16) -> list[int]:
    """Of the stages of HNeRV's encoder."""
    return [width] * (len(strides) - 1) + [embedding]
