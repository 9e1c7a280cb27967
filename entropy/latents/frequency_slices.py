"""The default model's latent order: hyperprior, frequency slices, spatial phases.

    z ----> state (width channels a position)
    for each slice of channels, low frequencies first:
        state += spatial mixing of the state
        for each phase of a pattern of positions:
            mean, scale <- head(state, context(phases of this slice coded so far))
            code the slice's latents at the phase's positions
        state += embedding of the slice

Slices: "Channel-wise autoregressive entropy models" (2020); phases: "Checkerboard context model"
(2021). Means and scales are predicted relative to a learned spread per channel and quality, so
that one network serves all qualities. Everything runs on (N, positions, channels) tokens.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from kodec.entropy.contexts.block_splitting import BlockSplitting
from kodec.entropy.contexts.coded_grid import CodedGrid
from kodec.entropy.contexts.positions import phase_positions, to_grid, to_tokens
from kodec.entropy.distributions import LocationScale, ScaleTables
from kodec.entropy.factorised_prior import FactorisedPrior
from kodec.entropy.ports.blocks import Block, whole_blocks
from kodec.entropy.ports.port import Conditions, SymbolPort, code_blocks
from kodec.entropy.roles import encoder_only
from kodec.models.blocks import (
    GELU,
    DepthwiseBlock,
    DepthwiseConv2d,
    Linear,
    PointwiseConv2d,
    QualityEmbedding,
    gelu,
    normalised,
    zeroed,
)
from kodec.native import InvalidInputError

from .hyperprior import WithHyperLatents, pad_to_hyper_stride
from .orders import channel_spans

EMBEDDING = 32


def magnitude_features(y: Tensor) -> Tensor:
    """Latents (N, P, C) -> (N, P, 2 C): log size, and log size with its sign."""
    if torch.is_grad_enabled():
        size = torch.log1p(y.abs())
        return torch.cat([size, torch.sign(y) * size], dim=-1)
    channels = y.shape[-1]
    features = y.new_empty(*y.shape[:-1], 2 * channels)
    size = torch.abs(y, out=features[..., :channels]).log1p_()
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
        change: Tensor = self.out(gelu(self.hidden(features)))
        return features + change


class _Slice(nn.Module):
    """The networks of one slice of `channels` latents."""

    def __init__(
        self, channels: int, width: int, context: int, phases: int, layers: int, last: bool
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

    def parameters_at(self, features: Tensor) -> Tensor:
        """Features (N, P, width) -> relative means and log scales (N, P, 2 channels)."""
        for layer in self.layers:
            features = layer(features)
        out: Tensor = self.out(gelu(self.hidden(features)))
        return out


class FrequencySlices(WithHyperLatents):
    """Latents (N, C, h, w) in quantisation steps, ordered by falling variance.

    slices: channels of each slice, summing to C. phases: of each slice, 1, 2 (checkerboard), 4 or
    6 (positions on ever finer grids). layers: residual layers that each slice's head has besides
    its own two, None for none. width: of the state. context: of the spatial context. hyper:
    channels of the hyper-latents at a quarter of the latents' resolution. lagrangian: see
    `LocationScale`, at the encoder only. split: blocks may be split into quarters, see
    `BlockSplitting`; the latents are then a lapped transform's, and the map is coded behind z.
    """

    def __init__(
        self,
        slices: Sequence[int] = (12, 36, 96, 208, 416),
        phases: Sequence[int] = (4, 2, 2, 2, 2),
        layers: Sequence[int] | None = None,
        width: int = 192,
        context: int = 96,
        hyper: int = 64,
        family: str = "laplace",
        guard: float = 1e-9,
        lagrangian: float = 0.0,
        split: bool = False,
    ) -> None:
        super().__init__()
        layers = [0] * len(slices) if layers is None else layers
        if not len(slices) == len(phases) == len(layers):
            raise InvalidInputError("give as many phases and layers as slices")
        channels = sum(slices)
        self.channels = channels
        self.slice_sizes = tuple(slices)
        self.width = width
        self.lagrangian = lagrangian
        self.level = nn.Parameter(torch.zeros(channels))
        self.slope = nn.Parameter(torch.zeros(channels))
        self.quality = QualityEmbedding(EMBEDDING)
        self.quality_to_state = Linear(EMBEDDING, width)
        self.quality_to_hyper = encoder_only(Linear(EMBEDDING, width))
        self.hyper_in = encoder_only(Linear(2 * channels, width))
        analysis = nn.Sequential(
            DepthwiseBlock(width),
            nn.Conv2d(width, width, 4, stride=2, padding=1),
            GELU(),
            nn.Conv2d(width, hyper, 4, stride=2, padding=1),
        )
        self.hyper_analysis = encoder_only(analysis)
        self.hyper_prior = FactorisedPrior(hyper)
        self.hyper_synthesis = nn.Sequential(
            PointwiseConv2d(hyper, 4 * width),
            nn.PixelShuffle(2),
            GELU(),
            DepthwiseBlock(width),
            PointwiseConv2d(width, 4 * width),
            nn.PixelShuffle(2),
            GELU(),
        )
        self.slices = nn.ModuleList(
            _Slice(c, width, context, p, n, last=i == len(slices) - 1)
            for i, (c, p, n) in enumerate(zip(slices, phases, layers, strict=True))
        )
        self.splitting = BlockSplitting(channels, width) if split else None
        if family == "laplace":
            self.scale_tables = ScaleTables("laplace", smallest=0.05, largest=200.0, guard=guard)
        else:
            self.scale_tables = ScaleTables(family, guard=guard)

    def symbols(self, h: int, w: int) -> int:
        """Symbols that one item of h x w latent positions puts through the port."""
        return super().symbols(h, w) + (0 if self.splitting is None else h * w)

    @torch.no_grad()
    def calibrate(self, y: Tensor, quality: Tensor | None) -> None:
        """Start the spread of each channel from one batch of latents, before training.

        y: (N, C, h, w) in quantisation steps, at qualities (N,) that differ; None if the rate is
        fixed.
        """
        log_mean = y.abs().mean(dim=(2, 3)).clamp(min=1e-4).log()
        if quality is None:
            self.slope.zero_()
            self.level.copy_(log_mean.mean(0))
            return
        t = normalised(quality.to(y))[:, None]
        slope = ((t - t.mean()) * (log_mean - log_mean.mean(0))).sum(0) / (
            t - t.mean()
        ).square().sum()
        self.slope.copy_(slope)
        self.level.copy_((log_mean - slope * t).mean(0))

    def hyper_latents(self, y: Tensor, cond: Conditions) -> Tensor:
        """What the hyper-analysis makes of `y`, (N, `hyper`, h', w')."""
        return self._hyper_latents(y, self._embedding(cond))

    def _hyper_latents(self, y: Tensor, e: Tensor) -> Tensor:
        like = self.hyper_in.weight
        features = self.hyper_in(magnitude_features(to_tokens(y).to(like)))
        features = features + self.quality_to_hyper(e.to(like))
        grid = pad_to_hyper_stride(to_grid(features, *y.shape[-2:]))
        z: Tensor = self.hyper_analysis(grid).to(y.dtype)
        return z

    def _quality(self, cond: Conditions) -> Tensor:
        """Quality (N,), on the model's device."""
        quality = cond.quality
        if quality is None:
            quality = torch.full((cond.latent_shape[0],), 31.5)
        return quality.to(self.level.device)

    def _embedding(self, cond: Conditions) -> Tensor:
        """Of the quality, (N, 1, width)."""
        e: Tensor = self.quality(self._quality(cond))[:, None]
        return e

    def _hyper(self, z: Tensor | None, e: Tensor, cond: Conditions, port: SymbolPort) -> Tensor:
        """Codes z; returns the first state (N, width, h, w)."""
        h, w = cond.latent_shape[-2:]
        # Channels last throughout, so that tokens and grids are views of each other.
        coded = self.code_z(z, cond, port).contiguous(memory_format=torch.channels_last)
        state: Tensor = self.hyper_synthesis(coded)[..., :h, :w]
        shift: Tensor = self.quality_to_state(e).transpose(1, 2)[..., None]
        return state + shift

    def code(
        self, y: Tensor | None, cond: Conditions, port: SymbolPort, z: Tensor | None = None
    ) -> Tensor:
        """Pass the latents through `port`; returns what the decoder sees, (N, C, h, w)."""
        self.check(cond)
        h, w = cond.latent_shape[-2:]
        dtype, device = self.level.dtype, self.level.device
        quality = self._quality(cond)
        # Latents in float32 stay so: they are exact in differences from means in float64 too.
        y = None if y is None else y.to(device, y.dtype if y.dtype == torch.float32 else dtype)
        e = self._embedding(cond)
        if z is None and y is not None:
            z = self._hyper_latents(y, e)
        state = self._hyper(z, e, cond, port)
        t = normalised(quality.to(dtype))[:, None, None]
        log_spread = self.level + self.slope * t
        y_tokens = None if y is None else to_tokens(y)
        split: Tensor | None = None
        if self.splitting is not None:
            chosen = None if y_tokens is None else self.splitting.choose(y_tokens)
            split = self.splitting.code(chosen, cond, port)
            y_tokens = None if y_tokens is None else self.splitting.split(y_tokens, split)
            log_spread = log_spread + split * self.splitting.level
            state = state + to_grid(split * self.splitting.embedding, h, w)
        coded = []
        parts = cast(list[_Slice], list(self.slices))
        spans = channel_spans(self.slice_sizes)
        for number, (part, span) in enumerate(zip(parts, spans, strict=True)):
            target = None if y_tokens is None else y_tokens[..., span]
            state = part.mix(state)
            step = _SliceStep(part, self, to_tokens(state), log_spread[..., span], (h, w))
            values = code_blocks(port, f"y{number}", target, whole_blocks(step.places), step)
            embedded = step.embedding()
            if embedded is not None:
                state = state + to_grid(embedded, h, w)
            coded.append(values)
        whole = torch.cat(coded, dim=-1)
        if self.splitting is not None and split is not None:
            whole = self.splitting.join(whole.flatten(1, 2), split).view(whole.shape)
        return whole.permute(0, 3, 1, 2)


class _SliceStep:
    """A `BlockStep` over one slice of the latents of one call, a block a phase.

    features: of the state, tokens (N, h w, width). log_spread: of each channel, (N, 1, channels)
    or at each position (N, h w, channels).
    """

    def __init__(
        self,
        part: _Slice,
        model: FrequencySlices,
        features: Tensor,
        log_spread: Tensor,
        size: tuple[int, int],
    ) -> None:
        self.part, self.model = part, model
        self.features, self.log_spread = features, log_spread
        self.places = phase_positions(*size, part.phases, features.device)
        self.values, self.seen = CodedGrid(*size, self.places), CodedGrid(*size, self.places)
        self.embedded: list[Tensor] = []

    def front(self, block: Block) -> LocationScale:
        """From the state and the phases coded so far."""
        part, phase = self.part, block.number
        here = self.features.index_select(1, block.places) + part.phase_embedding[phase]
        predicted: Tensor | float = 0.0
        if phase:
            here = here + part.join(gelu(self.seen.convolve(part.spread_out, phase)))
            neighbours = part.neighbours[phase - 1]
            assert isinstance(neighbours, DepthwiseConv2d)
            predicted = self.values.convolve(neighbours, phase)
        mean, log_scale = part.parameters_at(here).chunk(2, dim=-1)
        spread = self.log_spread
        if spread.shape[1] > 1:
            spread = spread.index_select(1, block.places)
        return LocationScale(
            mean * torch.exp(spread) + predicted,
            log_scale + spread,
            self.model.scale_tables,
            self.model.lagrangian,
        )

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
        order = torch.argsort(torch.cat(self.places))
        return torch.cat(self.embedded, dim=1).index_select(1, order)
