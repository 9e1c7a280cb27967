"""Latents of a difference from what is known already, coded beside it: slices of falling variance.

    prediction, change, features (known to both sides) --> state
    slices, phases: see `variance_slices`; means are zero, or minus a share of the prediction

No hyper-latents: what is known, neighbours and earlier slices say where there is something to code.
Every head starts at zero, so that a model starts from one spread a channel and quality.
"""

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from kodec.entropy.contexts.positions import to_grid, to_tokens
from kodec.entropy.distributions import ScaleTables
from kodec.entropy.ports.port import Conditions, SymbolPort, refuse_hyper_latents
from kodec.models.blocks import DepthwiseBlock, Linear, QualityEmbedding, normalised
from kodec.native import InvalidInputError

from .variance_slices import VarianceSlice, code_slices, magnitude_features, start_spreads

PREDICTION = "prediction"
"""Of `Conditions.known`: latents (N, C, h, w) of what the difference is from, in the same steps."""
CHANGE = "change"
"""Latents (N, C, h, w) of an earlier difference that the same place had, in the same steps."""
FEATURES = "features"
"""(N, `features`, h, w): what else there is, about 0 to 4 in size."""
CODED = "coded"
"""(N, 1, h, w), optional: not 0 where there are latents to code; elsewhere they cost nothing."""
EMBEDDING = 16


class ConditionedSlices(nn.Module):
    """Latents (N, C, h, w) in quantisation steps; reads `PREDICTION`, `CHANGE` and `FEATURES`.

    slices, phases, layers, width, context, lagrangian: see `FrequencySlices`. features: how many
    there are. centred: whether differences are about zero; else about what the networks say, which
    in closed loops drifts. least: scale below which none falls, so that whatever went wrong can be
    mended.
    """

    encoder_only_arguments: tuple[str, ...] = ("lagrangian",)

    def __init__(
        self,
        slices: Sequence[int],
        phases: Sequence[int],
        features: int,
        width: int = 96,
        context: int = 48,
        layers: Sequence[int] | None = None,
        centred: bool = True,
        least: float = 0.06,
        guard: float = 1e-9,
        lagrangian: float = 0.0,
    ) -> None:
        super().__init__()
        layers = [0] * len(slices) if layers is None else layers
        if not len(slices) == len(phases) == len(layers):
            raise InvalidInputError("give as many phases and layers as slices")
        channels = sum(slices)
        self.channels = channels
        self.features = features
        self.lagrangian = lagrangian
        self.level = nn.Parameter(torch.zeros(channels))
        self.slope = nn.Parameter(torch.zeros(channels))
        # How much each latent's spread grows with what is known of that latent.
        self.by_prediction = nn.Parameter(torch.zeros(channels))
        self.by_change = nn.Parameter(torch.zeros(channels))
        self.quality = QualityEmbedding(EMBEDDING)
        # Latents by their log size and the same with its sign: twice as many, of two kinds.
        self.look = Linear(4 * channels + features + EMBEDDING, width)
        self.hidden = Linear(width, width)
        self.mix = nn.Sequential(DepthwiseBlock(width), DepthwiseBlock(width))
        self.slices = nn.ModuleList(
            VarianceSlice(c, width, context, p, n, i == len(slices) - 1, temporal=True)
            for i, (c, p, n) in enumerate(zip(slices, phases, layers, strict=True))
        )
        self.scale_tables = ScaleTables("laplace", smallest=0.05, largest=200.0, guard=guard)
        if not 0 < least < 200:
            raise InvalidInputError(f"the least scale lies above 0 and below 200, not {least}")
        self.centred = centred
        if centred:
            # They make means alone.
            for part in self.slices:
                part.share.requires_grad_(False)
                part.neighbours.requires_grad_(False)
        self.least_log_scale: float | None = math.log(least)

    @torch.no_grad()
    def calibrate(self, y: Tensor, quality: Tensor | None) -> None:
        """Start from one batch of latents, before training: see `start_spreads`."""
        start_spreads(self.level, self.slope, y, quality)

    def symbols(self, h: int, w: int) -> int:
        """Symbols that one item of h x w latent positions puts through the port."""
        return self.channels * h * w

    def hyper_latents(self, y: Tensor, cond: Conditions) -> None:
        """It has none."""

    def code(
        self, y: Tensor | None, cond: Conditions, port: SymbolPort, z: Tensor | None = None
    ) -> Tensor:
        """Pass the latents through `port`; returns what the decoder sees, (N, C, h, w)."""
        refuse_hyper_latents(z)
        n, _, h, w = cond.latent_shape
        like = self.level
        prediction, change, features = (
            to_tokens(cond.known[name].to(like)) for name in (PREDICTION, CHANGE, FEATURES)
        )
        coded = None
        if CODED in cond.known:
            coded = to_tokens(cond.known[CODED]) != 0
        quality = torch.full((n,), 31.5) if cond.quality is None else cond.quality
        t = normalised(quality.to(like))[:, None, None]
        e = self.quality(quality.to(like))[:, None].expand(n, h * w, EMBEDDING)
        looks = [magnitude_features(prediction), magnitude_features(change)]
        seen = [*looks, features, e]
        state = self.hidden(self.look(torch.cat(seen, dim=-1), curved=True))
        parts = cast(list[VarianceSlice], list(self.slices))
        log_spread = self.level + self.slope * t
        for weight, look in zip((self.by_prediction, self.by_change), looks, strict=True):
            log_spread = log_spread + weight * look[..., : self.channels]
        y = y if y is None or y.dtype == torch.float32 else y.to(like)
        return code_slices(
            port, self, parts, y, self.mix(to_grid(state, h, w)), log_spread, -prediction, coded
        )
