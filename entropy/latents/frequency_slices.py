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

With `temporal`, latents that both sides have of the frame before join the first state,
and a part of their values, as the head says, the means.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from kodec.entropy.contexts.positions import to_grid, to_tokens
from kodec.entropy.distributions import ScaleTables
from kodec.entropy.factorised_prior import FactorisedPrior
from kodec.entropy.ports.port import Conditions, SymbolPort
from kodec.entropy.roles import encoder_only
from kodec.models.blocks import (
    CURVED,
    GELU,
    DepthwiseBlock,
    DepthwiseConv2d,
    HalvingConv2d,
    Linear,
    PointwiseConv2d,
    QualityEmbedding,
    normalised,
    zeroed,
)
from kodec.native import InvalidInputError

from .hyperprior import WithHyperLatents, pad_to_hyper_stride
from .temporal import TEMPORAL
from .variance_slices import VarianceSlice, code_slices, magnitude_features, start_spreads

EMBEDDING = 32


class _Recall(nn.Module):
    """What latents of the frame before say of these."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.look = Linear(2 * channels, width)
        self.mix = DepthwiseBlock(width)
        self.join = zeroed(PointwiseConv2d(width, width))
        # What moves by less than a latent position is still seen.
        self.values = zeroed(DepthwiseConv2d(channels, 5))
        with torch.no_grad():
            self.values.weight[:, 0, 2, 2] = 1.0

    def state(self, tokens: Tensor, size: tuple[int, int]) -> Tensor:
        """Earlier latents, tokens (N, h w, channels) -> what the first state gains, a grid."""
        grid = to_grid(self.look(magnitude_features(tokens)), *size)
        gained: Tensor = self.join(self.mix(grid))
        return gained


class FrequencySlices(WithHyperLatents):
    """Latents (N, C, h, w) in quantisation steps, ordered by falling variance.

    slices: channels of each slice, summing to C. phases: of each slice, 1, 2 (checkerboard), 4 or
    6 (positions on ever finer grids). layers: residual layers that each slice's head has besides
    its own two, None for none. width: of the state. context: of the spatial context. hyper:
    channels of the hyper-latents at a quarter of the latents' resolution. lagrangian: see
    `LocationScale`, at the encoder only. temporal: whether it reads `TEMPORAL` of what is
    known; without it, it codes a first frame.
    """

    centred: bool = False
    least_log_scale: float | None = None

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
        temporal: bool = False,
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
            HalvingConv2d(width, width),
            GELU(),
            HalvingConv2d(width, hyper),
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
            VarianceSlice(c, width, context, p, n, i == len(slices) - 1, temporal)
            for i, (c, p, n) in enumerate(zip(slices, phases, layers, strict=True))
        )
        self.recall = _Recall(channels, width) if temporal else None
        if family == "laplace":
            self.scale_tables = ScaleTables("laplace", smallest=0.05, largest=200.0, guard=guard)
        else:
            self.scale_tables = ScaleTables(family, guard=guard)

    @torch.no_grad()
    def calibrate(self, y: Tensor, quality: Tensor | None) -> None:
        """Start the spread of each channel from one batch of latents, before training.

        y: (N, C, h, w) in quantisation steps, at qualities (N,) that differ; None if the rate is
        fixed.
        """
        start_spreads(self.level, self.slope, y, quality)

    def hyper_latents(self, y: Tensor, cond: Conditions) -> Tensor:
        """What the hyper-analysis makes of `y`, (N, `hyper`, h', w')."""
        return self._hyper_latents(y, self._embedding(cond))

    def _hyper_latents(self, y: Tensor, e: Tensor) -> Tensor:
        like = self.hyper_in.weight
        features = self.hyper_in(magnitude_features(to_tokens(y).to(like)))
        features = features + self.quality_to_hyper(e.to(like))
        grid = pad_to_hyper_stride(to_grid(features, *y.shape[-2:]))
        block, halving, _, last = self.hyper_analysis
        # The third, GELU, comes in one pass with the second.
        z: Tensor = last(halving(block(grid), CURVED)).to(y.dtype)
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
        previous = cond.known.get(TEMPORAL) if self.recall is not None else None
        recalled: Tensor | None = None
        if self.recall is not None and previous is not None:
            previous = previous.to(device, dtype)
            state = state + self.recall.state(to_tokens(previous), (h, w))
            recalled = to_tokens(self.recall.values(previous))
        t = normalised(quality.to(dtype))[:, None, None]
        log_spread = self.level + self.slope * t
        parts = cast(list[VarianceSlice], list(self.slices))
        return code_slices(port, self, parts, y, state, log_spread, recalled)
