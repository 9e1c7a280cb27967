"""Latent models coded slice by slice: the one schedule, and the parts that it runs.

    z ----> hyper features
    for each slice of channels:
        contexts that look at what came before the slice, once
        for each block of its order:
            contexts that look at the blocks of this slice coded so far
            parameters <- head(features at the block's positions)
            code; residual prediction

Contexts are small modules that declare what they read, by the names of `Known.read`. A latent
model lists its slices, each with its contexts and heads, and has no loop of its own.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from kodec.entropy.contexts.masked_convolution import MaskedConv2d
from kodec.entropy.contexts.positions import to_grid, to_tokens
from kodec.entropy.distributions import LocationScale
from kodec.entropy.ports.blocks import Block, joined
from kodec.entropy.ports.port import Conditions, SymbolPort, code_blocks
from kodec.models.blocks import Linear, PaddedConv2d, product
from kodec.native import InvalidInputError

from .hyperprior import Hyperprior
from .orders import Order, channel_spans, in_phases


@dataclass
class Known:
    """What both sides know: hyper features (N, F, h, w), slices coded so far, the current one.

    `current` (N, C, h, w) is zero where nothing is coded yet.
    """

    hyper: Tensor
    given: Mapping[str, Tensor] = field(default_factory=dict)
    slices: list[Tensor] = field(default_factory=list)
    current: Tensor | None = None
    support: int | None = None

    def read(self, names: Sequence[str]) -> list[Tensor]:
        """What a module declared that it reads, what does not exist yet left out.

        hyper: all features; means, scales: their halves. previous: the slices that this one may
        look at. last: the slice before. current: this slice so far. Any other name: what the
        conditions have by it (`Conditions.known`). All (N, channels, h, w).
        """
        found: list[Tensor] = []
        for name in names:
            match name:
                case "hyper":
                    found.append(self.hyper)
                case "means":
                    found.append(self.hyper.chunk(2, dim=1)[0])
                case "scales":
                    found.append(self.hyper.chunk(2, dim=1)[1])
                case "previous":
                    found += self.slices[: self.support]
                case "last":
                    found += self.slices[-1:]
                case "current":
                    assert self.current is not None
                    found.append(self.current)
                case _ if name in self.given:
                    found.append(self.given[name])
                case _:
                    raise InvalidInputError(
                        f"there is nothing called {name!r} to read: pass it in the conditions"
                    )
        return found

    def has(self, context: "Context | LaterContext") -> bool:
        """Whether all is there that an optional context reads; of others, `read` tells."""
        if not getattr(context, "optional", False):
            return True
        return all(name in _OWN or name in self.given for name in context.reads)


_OWN = ("hyper", "means", "scales", "previous", "last", "current")


class Context(Protocol):
    """A module that gives features. Its output is a grid (N, features, h, w).

    One with a true `optional` is left out where the conditions lack what it reads, and its features
    then count as zeros; without, that is an error.
    """

    reads: tuple[str, ...]
    features: int

    def __call__(self, *read: Tensor) -> Tensor:
        """The features, from what it reads."""


class LaterContext(Protocol):
    """A module that looks at the current slice: features (N, P, features) at `places` alone."""

    reads: tuple[str, ...]
    features: int

    def __call__(self, *read: Tensor, places: Tensor, done: Tensor) -> Tensor:
        """The features at `places` (P,), where the positions `done` are coded."""


def convolutions(
    inputs: int, widths: Sequence[int], kernel: int, activation: type[nn.Module]
) -> nn.Sequential:
    """Convolutions of stride 1 with activations between them."""
    layers: list[nn.Module] = []
    for a, b in pairwise((inputs, *widths)):
        layers += [PaddedConv2d(a, b, kernel), activation()]
    return nn.Sequential(*layers[:-1])


class ConvolutionalContext(nn.Module):
    """Convolutions over what is read, put side by side. Widths: the last is of the features."""

    optional = False

    def __init__(
        self,
        reads: tuple[str, ...],
        inputs: int,
        widths: Sequence[int],
        kernel: int,
        activation: type[nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__()
        self.reads = reads
        self.features = widths[-1]
        self.layers = convolutions(inputs, widths, kernel, activation)

    def forward(self, *read: Tensor) -> Tensor:
        """Grids (N, ., h, w) -> (N, features, h, w)."""
        out: Tensor = self.layers(torch.cat(read, dim=1))
        return out


class CheckerboardContext(MaskedConv2d):
    """The neighbours of the other colour, by a masked 5x5 convolution.

    Source: "Checkerboard context model for efficient learned image compression" (2021).
    """

    reads = ("current",)

    def __init__(self, channels: int, features: int) -> None:
        super().__init__(channels, features, 5, "checkerboard")
        self.features = features

    def forward(self, current: Tensor, places: Tensor, done: Tensor) -> Tensor:  # type: ignore[override]
        """(N, channels, h, w) -> (N, P, features) at `places`."""
        return self.at(self.pad(current), places, self.matrix())


class PointwiseHead(nn.Module):
    """Parameters of a block from features at the same position alone.

    parts: name and width of each feature that it takes, in the order of its weights; features that
    are not there count as zeros. widths: of the layers, the last of the parameters (means, then
    scales). Without widths, features are the parameters.
    """

    def __init__(
        self,
        parts: Mapping[str, int],
        widths: Sequence[int] = (),
        activation: type[nn.Module] = nn.LeakyReLU,
    ) -> None:
        super().__init__()
        self.parts = dict(parts)
        self.activation = activation()
        self.layers = nn.ModuleList(
            Linear(a, b) for a, b in pairwise((sum(parts.values()), *widths))
        )

    def begin(self, features: Mapping[str, Tensor], begun: Tensor | None = None) -> Tensor:
        """The first layer's sums over some of the features, added to what `begun` has of others."""
        there = [name for name in self.parts if name in features]
        layer = self.layers[0]
        assert isinstance(layer, Linear)
        weight = layer.weight
        if len(there) < len(self.parts):
            columns = torch.split(weight, list(self.parts.values()), dim=1)
            named = dict(zip(self.parts, columns, strict=True))
            weight = joined([named[name] for name in there], dim=1)
        h = joined([features[name] for name in there], dim=-1)
        return product(h, weight, layer.bias if begun is None else None, plus=begun)

    def forward(self, features: Mapping[str, Tensor], begun: Tensor | None = None) -> Tensor:
        """Features (N, P, .) by name -> parameters (N, P, 2 channels).

        begun: what `begin` gave of all other features at the same positions.
        """
        if not self.layers:
            return torch.cat([features[name] for name in self.parts if name in features], dim=-1)
        h = self.begin(features, begun)
        for layer in self.layers[1:]:
            h = layer(self.activation(h))
        return h


class LatentResidual(nn.Module):
    """0.5 tanh(convolutions): what rounding took away, as far as it can be predicted.

    Source: "Channel-wise autoregressive entropy models for learned image compression" (2020).
    """

    def __init__(
        self,
        reads: tuple[str, ...],
        inputs: int,
        widths: Sequence[int],
        kernel: int,
        activation: type[nn.Module],
    ) -> None:
        super().__init__()
        self.reads = reads
        self.layers = convolutions(inputs, widths, kernel, activation)

    def forward(self, *read: Tensor) -> Tensor:
        """Grids (N, ., h, w) -> (N, channels, h, w)."""
        return 0.5 * torch.tanh(self.layers(torch.cat(read, dim=1)))


class Slice(nn.Module):
    """One slice of `channels` latents and all that is needed to code it.

    heads: one for every step of the order, or one for all. contexts: by the name that heads know
    their features by. residuals: one for every step, or none. order: of the slice's blocks, by
    default one of all. support: how many of the first slices "previous" is; None: all.
    """

    def __init__(
        self,
        channels: int,
        heads: Sequence[nn.Module],
        contexts: Mapping[str, nn.Module] | None = None,
        residuals: Sequence[nn.Module] = (),
        order: Order | None = None,
        support: int | None = None,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.order = in_phases(1) if order is None else order
        self.order.check(channels)
        self.support = support
        self.contexts = nn.ModuleDict(contexts or {})
        self.heads = nn.ModuleList(heads)
        self.residuals = nn.ModuleList(residuals)

    def code(
        self, y: Tensor | None, known: Known, name: str, port: SymbolPort, model: Hyperprior
    ) -> Tensor:
        """Pass the slice through the port; y: tokens (N, h w, channels); returns (N, C, h, w)."""
        known.support = self.support
        h, w = known.hyper.shape[-2:]
        blocks = self.order.blocks(h, w, known.hyper.device)
        return code_blocks(port, name, y, blocks, _SliceStep(self, known, model))


class _SliceStep:
    """A `BlockStep` over one slice of the latents of one call."""

    def __init__(self, part: Slice, known: Known, model: Hyperprior) -> None:
        self.part, self.known, self.model = part, known, model
        n, _, *self.size = known.hyper.shape
        self.earlier = {"hyper": to_tokens(known.hyper)}
        self.later: dict[str, LaterContext] = {}
        for key, module in part.contexts.items():
            context = cast(Context, module)
            if not known.has(context):
                continue
            if "current" in context.reads:
                self.later[key] = cast(LaterContext, module)
            else:
                self.earlier[key] = to_tokens(context(*known.read(context.reads)))
        self._keep(known.hyper.new_zeros(n, math.prod(self.size), part.channels))
        self.done = torch.empty(0, dtype=torch.int64, device=known.hyper.device)

    def _keep(self, values: Tensor) -> None:
        self.values = values
        self.known.current = to_grid(values, *self.size)

    def front(self, block: Block) -> LocationScale:
        """From the features at the block's positions, part by part."""
        heads = self.part.heads
        head = cast(PointwiseHead, heads[min(block.number, len(heads) - 1)])
        means, scales = [], []
        for places, span in block.parts:
            features = {k: v[:, places] for k, v in self.earlier.items() if k in head.parts}
            if block.number:
                for key, late in self.later.items():
                    read = self.known.read(late.reads)
                    features[key] = late(*read, places=places, done=self.done)
            mean, scale = head(features).chunk(2, dim=-1)
            means.append(mean[..., span])
            scales.append(scale[..., span])
        return self.model.block(block.join(means), block.join(scales))

    def take(self, block: Block, values: Tensor) -> None:
        """Keep the block's values, and what the residual prediction adds to them."""
        self._keep(block.put(self.values, values))
        if self.part.residuals:
            residual: Any = self.part.residuals[block.number]
            lost = to_tokens(residual(*self.known.read(residual.reads)))
            self._keep(block.put(self.values, values + block.of(lost)))
        self.done = torch.cat([self.done, block.places])

    def result(self) -> Tensor:
        """The slice, (N, channels, h, w)."""
        return to_grid(self.values, *self.size)


class SlicedLatents(Hyperprior):
    """A hyperprior and a list of `Slice`s, coded in turn. Settings: see `Hyperprior`."""

    def __init__(self, slices: Sequence[Slice], channels: int, hyper: int, **settings: Any) -> None:
        super().__init__(channels, hyper, **settings)
        if sum(part.channels for part in slices) != channels:
            raise InvalidInputError(f"the slices do not sum to {channels} channels")
        self.slices = nn.ModuleList(slices)

    def code(
        self, y: Tensor | None, cond: Conditions, port: SymbolPort, z: Tensor | None = None
    ) -> Tensor:
        """Pass the latents through `port`; returns what the decoder sees, (N, C, h, w)."""
        known = Known(self.code_hyper(y, cond, port, z), cond.known)
        y = self.take(y)
        tokens = None if y is None else to_tokens(y)
        parts = cast(list[Slice], list(self.slices))
        spans = channel_spans(part.channels for part in parts)
        for number, (part, span) in enumerate(zip(parts, spans, strict=True)):
            target = None if tokens is None else tokens[..., span]
            known.slices.append(part.code(target, known, f"y{number}", port, self))
        return torch.cat(known.slices, dim=1)
