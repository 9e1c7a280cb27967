"""Slices of channels of falling variance: their networks, and the order that codes them.

    for each slice of channels, low frequencies first:
        state += spatial mixing of the state
        for each phase of a pattern of positions:
            mean, scale <- head(state, context(phases of this slice coded so far))
            code the slice's latents at the phase's positions
        state += embedding of the slice

Means and scales are predicted relative to a spread per channel. Everything runs on
(N, positions, channels) tokens.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from kodec.entropy.contexts.coded_grid import CodedGrid
from kodec.entropy.contexts.positions import phase_order, phase_positions, to_grid, to_tokens
from kodec.entropy.distributions import LocationScale, ScaleTables
from kodec.entropy.ports.blocks import Block, whole_blocks
from kodec.entropy.ports.port import SymbolPort, code_blocks
from kodec.models.blocks import (
    GELU,
    DepthwiseBlock,
    DepthwiseConv2d,
    Linear,
    gelu,
    normalised,
    zeroed,
)
from kodec.models.blocks.core_tokens import core_takes_tokens, located_tokens, token_sizes

from .orders import channel_spans

# Before the sigmoid: what is learned starts from a small share.
_SHARE = -3.0
# A log scale far below any table's: nothing is coded.
_SKIPPED = -30.0


def start_spreads(level: Tensor, rise: Tensor, y: Tensor, quality: Tensor | None) -> None:
    """Set each channel's log spread, `level` + `rise` x normalised quality, from one batch.

    y: (N, C, h, w) in quantisation steps, at qualities (N,) that differ; None if the rate is
    fixed.
    """
    log_mean = y.abs().mean(dim=(2, 3)).clamp(min=1e-4).log()
    if quality is None:
        rise.zero_()
        level.copy_(log_mean.mean(0))
        return
    t = normalised(quality.to(y))[:, None]
    slope = ((t - t.mean()) * (log_mean - log_mean.mean(0))).sum(0) / (t - t.mean()).square().sum()
    rise.copy_(slope)
    level.copy_((log_mean - slope * t).mean(0))


def magnitude_features(y: Tensor) -> Tensor:
    """Latents (N, P, C) -> (N, P, 2 C): log size, and log size with its sign."""
    if torch.is_grad_enabled():
        size = torch.log1p(y.abs())
        return torch.cat([size, torch.sign(y) * size], dim=-1)
    if core_takes_tokens(y):
        return token_sizes(y)
    channels = y.shape[-1]
    # With channels far apart in memory all this takes ten times as long.
    y = y.contiguous()
    features = y.new_empty(*y.shape[:-1], 2 * channels)
    # PyTorch's log1p takes ten times as long in float32.
    size = torch.abs(y, out=features[..., :channels]).add_(1).log_()
    torch.copysign(size, y, out=features[..., channels:])
    return features


class _HeadLayer(nn.Module):
    """Residual layer on tokens (N, P, width), each by itself; starts as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = Linear(width, width)
        self.out = zeroed(Linear(width, width))

    def forward(self, features: Tensor) -> Tensor:
        """(N, P, width) -> the same shape."""
        changed: Tensor = self.out(self.hidden(features, curved=True), plus=features)
        return changed


class VarianceSlice(nn.Module):
    """The networks of one slice of `channels` latents."""

    def __init__(
        self,
        channels: int,
        width: int,
        context: int,
        phases: int,
        layers: int,
        last: bool,
        temporal: bool,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.phases = phases
        self.mix = DepthwiseBlock(width)
        self.phase_embedding = nn.Parameter(torch.zeros(phases, width))
        # A slice coded in one phase has no neighbours of its own to look at.
        if phases > 1:
            self.look = nn.Sequential(Linear(2 * channels, context), GELU())
            self.spread_out = DepthwiseConv2d(context, 5)
            self.join = Linear(context, width)
        self.neighbours = nn.ModuleList(
            zeroed(DepthwiseConv2d(channels, 5)) for _ in range(phases - 1)
        )
        self.layers = nn.ModuleList(_HeadLayer(width) for _ in range(layers))
        self.hidden = Linear(width, width)
        self.out = zeroed(Linear(width, 2 * channels))
        self.embed = None if last else Linear(2 * channels, width)
        self.share = zeroed(Linear(width, channels)) if temporal else None

    def parameters_at(self, features: Tensor) -> tuple[Tensor, Tensor | None]:
        """Features (N, P, width) -> relative means and log scales (N, P, 2 channels).

        And, if it is temporal, which share of the earlier latents the means have (N, P, channels).
        """
        for layer in self.layers:
            features = layer(features)
        hidden = self.hidden(features, curved=True)
        share = None if self.share is None else torch.sigmoid(self.share(hidden) + _SHARE)
        return self.out(hidden), share


class SliceCoding(Protocol):
    """What a model that codes such slices has.

    centred: whether means are zero, whatever networks say. least_log_scale: below which no scale
    falls, if there is one.
    """

    scale_tables: ScaleTables
    lagrangian: float
    centred: bool
    least_log_scale: float | None


def code_slices(
    port: SymbolPort,
    coding: SliceCoding,
    parts: Sequence[VarianceSlice],
    y: Tensor | None,
    state: Tensor,
    log_spread: Tensor,
    recalled: Tensor | None = None,
    coded: Tensor | None = None,
) -> Tensor:
    """Pass latents (N, C, h, w) through the port slice by slice; what the decoder sees of them.

    state: (N, width, h, w). log_spread: of each channel, tokens (N, 1, C) or (N, h w, C).
    recalled: values that slices of `temporal` add a share of to their means, tokens (N, h w, C).
    coded: of centred latents, positions that are coded, (N, h w, 1); the others are zero.
    """
    size = (state.shape[-2], state.shape[-1])
    tokens = None if y is None else to_tokens(y)
    parts_coded = []
    spans = channel_spans([part.channels for part in parts])
    for number, (part, span) in enumerate(zip(parts, spans, strict=True)):
        target = None if tokens is None else tokens[..., span]
        state = part.mix(state)
        known = None if recalled is None else recalled[..., span]
        spread = log_spread[..., span]
        step = _SliceStep(part, coding, to_tokens(state), spread, known, coded, size)
        values = code_blocks(port, f"y{number}", target, whole_blocks(step.places), step)
        embedded = step.embedding()
        if embedded is not None:
            state = state + to_grid(embedded, *size)
        parts_coded.append(values)
    return torch.cat(parts_coded, dim=-1).permute(0, 3, 1, 2)


class _SliceStep:
    """A `BlockStep` over one slice of the latents of one call, a block a phase.

    features: of the state, tokens (N, h w, width). log_spread: of each channel. recalled: values
    of the frame before, tokens (N, h w, channels), where there are any. coded: positions that are,
    (N, h w, 1), or all.
    """

    def __init__(
        self,
        part: VarianceSlice,
        coding: "SliceCoding",
        features: Tensor,
        log_spread: Tensor,
        recalled: Tensor | None,
        coded: Tensor | None,
        size: tuple[int, int],
    ) -> None:
        self.part, self.coding, self.recalled, self.coded = part, coding, recalled, coded
        self.features, self.log_spread, self.size = features, log_spread, size
        self.places = phase_positions(*size, part.phases, features.device)
        self.values, self.seen = CodedGrid(*size, self.places), CodedGrid(*size, self.places)
        self.embedded: list[Tensor] = []

    def front(self, block: Block) -> LocationScale:
        """From the state and the phases coded so far."""
        part, phase = self.part, block.number
        here = self.features.index_select(1, block.places) + part.phase_embedding[phase]
        predicted: Tensor | None = None
        if phase:
            here = part.join(gelu(self.seen.convolve(part.spread_out, phase)), plus=here)
            neighbours = part.neighbours[phase - 1]
            assert isinstance(neighbours, DepthwiseConv2d)
            predicted = self.values.convolve(neighbours, phase)
        parameters, share = part.parameters_at(here)
        if share is not None and self.recalled is not None:
            recalled = share * self.recalled.index_select(1, block.places)
            predicted = recalled if predicted is None else predicted + recalled
        mean, log_scale = self._located(block, parameters, predicted)
        if self.coding.least_log_scale is not None:
            log_scale = log_scale.clamp(min=self.coding.least_log_scale)
        if self.coded is not None:
            here_coded = self.coded.index_select(1, block.places)
            log_scale = log_scale.masked_fill(~here_coded, _SKIPPED)
        if self.coding.centred:
            mean = torch.zeros_like(log_scale)
        return LocationScale(
            mean,
            log_scale,
            self.coding.scale_tables,
            self.coding.lagrangian,
        )

    def _located(
        self, block: Block, parameters: Tensor, predicted: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Means and log scales (N, P, channels) of relative ones, (N, P, 2 channels)."""
        log_spread = self.log_spread
        if log_spread.numel() == self.part.channels and core_takes_tokens(parameters):
            return located_tokens(parameters, log_spread.flatten(), predicted)
        if log_spread.shape[1] > 1:
            log_spread = log_spread.index_select(1, block.places)
        mean, log_scale = parameters.chunk(2, dim=-1)
        mean = mean * torch.exp(log_spread)
        return mean if predicted is None else mean + predicted, log_scale + log_spread

    def take(self, block: Block, values: Tensor) -> None:
        """Keep the phase, and what later phases and slices see of it."""
        part, phase = self.part, block.number
        self.values.add(phase, values)
        going_on = phase + 1 < part.phases
        if going_on or part.embed is not None:
            magnitudes = magnitude_features(values)
        if going_on:
            self.seen.add(phase, part.look(magnitudes))
        if part.embed is not None:
            self.embedded.append(part.embed(magnitudes))

    def result(self) -> Tensor:
        """The slice, (N, h, w, channels)."""
        return self.values.grid()

    def embedding(self) -> Tensor | None:
        """Of the slice, tokens (N, h w, width); the last one has none."""
        if not self.embedded:
            return None
        order = phase_order(*self.size, self.part.phases, self.features.device)
        return torch.cat(self.embedded, dim=1).index_select(1, order)
