"""Latents predicted from their hyper-latents, their neighbours and the frame before.

    y, previous --> hyper-analysis --> z --> hyper features
    previous --> three convolutions --> temporal features
    two colours of a checkerboard: parameters <- head(hyper, temporal, spatial features)

Source: "Spatiotemporal entropy model is all you need for learned video compression" (2021). There
is no public code. Widths are what two third-party readings of it agree on; a checkerboard stands
for their raster order, which they find to save nothing beside the frame before.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from kodec.entropy.ports.port import Conditions, SymbolPort
from kodec.entropy.roles import encoder_only

from .channel_slices import joint_widths
from .hyper_networks import hyper_networks
from .hyperprior import pad_to_hyper_stride
from .orders import in_phases
from .slices import CheckerboardContext, ConvolutionalContext, PointwiseHead, Slice, SlicedLatents
from .temporal import TEMPORAL


class Spatiotemporal(SlicedLatents):
    """A latent model that reads `temporal` of what is known, (N, `channels`, h, w): see `TEMPORAL`.

    Without it, it codes a first frame. Settings: see `Hyperprior`.
    """

    def __init__(
        self, channels: int = 192, hyper: int = 192, networks: str = "mbt2018", **settings: Any
    ) -> None:
        features = 2 * channels
        temporal = ConvolutionalContext(
            (TEMPORAL,), channels, (channels, channels, features), 5, nn.LeakyReLU
        )
        temporal.optional = True
        parts = {"hyper": features, "temporal": features, "spatial": features}
        part = Slice(
            channels,
            contexts={"temporal": temporal, "spatial": CheckerboardContext(channels, features)},
            heads=[PointwiseHead(parts, joint_widths(channels))],
            order=in_phases(2),
        )
        super().__init__([part], channels, hyper, networks=networks, **settings)
        analysis, _ = hyper_networks(networks, features, hyper, self.outputs)
        self.hyper_analysis = encoder_only(analysis)

    def hyper_latents(self, y: Tensor, cond: Conditions) -> Tensor:
        """What the hyper-analysis makes of `y` and of the frame before, (N, `hyper`, h', w')."""
        like = next(self.hyper_analysis.parameters())
        previous = cond.known.get(TEMPORAL)
        both = [y, torch.zeros_like(y) if previous is None else previous]
        seen = torch.cat([pad_to_hyper_stride(part.to(like)) for part in both], dim=1)
        z: Tensor = self.hyper_analysis(seen)
        return z.to(self.hyper_prior.matrices[0])

    def code(
        self, y: Tensor | None, cond: Conditions, port: SymbolPort, z: Tensor | None = None
    ) -> Tensor:
        """Pass the latents through `port`; returns what the decoder sees, (N, C, h, w)."""
        if TEMPORAL in cond.known:
            earlier = cond.known[TEMPORAL].to(self.hyper_prior.matrices[0])
            cond = replace(cond, known={**cond.known, TEMPORAL: earlier})
        if z is None and y is not None:
            z = self.hyper_latents(y, cond)
        return super().code(y, cond, port, z)
