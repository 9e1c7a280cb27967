"""The default model's transforms: a lapped linear transform and networks that refine it.

    x --+--> lapped analysis ----------------(+)--> y          stride 16
        |                                     |
        +--> 1/4: conv, residual --> 1/8 --> 1/16

    y --+--> lapped synthesis --------------------------(+)--> x_hat
        |                            |                   |
        +--> 1/16 --> 1/8 -----------+--> 1/4: residual -+

Every network's last layer starts at zero, so that training starts from the linear codec and
cannot begin worse. The networks see the quality, through modulation of their hidden features.
"""

import math

import torch
from torch import Tensor, nn

from .blocks import (
    WHOLE,
    DepthwiseBlock,
    Finish,
    Modulation,
    PaddedConv2d,
    PointwiseConv2d,
    QualityEmbedding,
    ResidualBlock,
    Rim,
    asinh,
    normalised,
    zeroed,
)
from .blocks.core_floats import core_takes
from .blocks.core_layers import blocked, unblocked
from .blocks.frequencies import channel_order
from .deringing import REACH, Deringing
from .lapped import LappedAnalysis, LappedSynthesis

EMBEDDING = 32


CELL = 4


def cells(x: Tensor, shift: float = 0.0) -> Tensor:
    """x + shift: (N, 3, H, W) -> (N, 48, H/4, W/4), channels last in memory, as convolutions like.

    Channels as `torch.nn.functional.pixel_unshuffle` orders them.
    """
    if core_takes(x):
        return blocked(x, CELL, shift)
    x = x + shift
    n, components, height, width = x.shape
    parts = x.reshape(n, components, height // 4, 4, width // 4, 4).permute(0, 2, 4, 1, 3, 5)
    return parts.reshape(n, height // 4, width // 4, 16 * components).permute(0, 3, 1, 2)


class RefinedLappedAnalysis(nn.Module):
    """Pixels (N, 3, H, W) in [0, 1] -> latents (N, 768, H/16, W/16), largest variance first.

    widths: channels of the refining network at 1/4, 1/8 and 1/16 of the resolution.
    """

    stride = 16
    # Latent rows: 3 rows at 1/4, 2 at 1/8, 2 at 1/16; beside them 1 for the boundary filter.
    reach = 1 + 1 + 2
    cuts_rims = True

    def __init__(self, widths: tuple[int, int, int] = (48, 96, 192), boost: float = 1.4) -> None:
        super().__init__()
        fine, middle, coarse = widths
        self.linear = LappedAnalysis(self.stride, boost)
        self.quality = QualityEmbedding(EMBEDDING)
        self.stem = PaddedConv2d(48, fine)
        self.fine = ResidualBlock(fine, EMBEDDING)
        self.to_middle = PointwiseConv2d(4 * fine, middle)
        self.middle = ResidualBlock(middle, EMBEDDING)
        self.to_coarse = PointwiseConv2d(4 * middle, coarse)
        self.coarse = nn.ModuleList([DepthwiseBlock(coarse), DepthwiseBlock(coarse)])
        self.out = zeroed(PointwiseConv2d(coarse, 3 * self.stride**2))
        _, spread = channel_order(self.stride)
        # The correction is learned in units of each channel's own spread.
        self.register_buffer(
            "spread", torch.tensor(spread, dtype=torch.float32).view(1, -1, 1, 1), persistent=False
        )
        self.spread: Tensor

    def forward(self, x: Tensor, quality: Tensor | None = None, rim: Rim = WHOLE) -> Tensor:
        """(N, 3, H, W), sides multiples of 16; quality (N,) -> (N, 768, H/16, W/16).

        rim: of x, multiples of 16; latents are of what is within.
        """
        if quality is None:
            quality = x.new_full((len(x),), 31.5)
        with torch.autocast(x.device.type, enabled=False):
            inner, inner_rim = rim.cut(x, 16, 1)
            y, _ = inner_rim.cut(self.linear(inner.float()), 0, 16)
        e = self.quality(quality)
        h = self.stem(cells(x, -0.5))
        # Beside what is wanted: 2 rows at 1/16 and 2 at 1/8, then 2, 1 and none at 1/16.
        h, rim = rim.cut(self.fine(h, e), 48, 4)
        h = self.middle(self.to_middle.of_phases(h), e)
        h, rim = rim.cut(h, 32, 8)
        h = self.to_coarse.of_phases(h)
        for keep, block in zip((16, 0), self.coarse, strict=True):
            h, rim = rim.cut(block(h), keep, 16)
        corrected: Tensor
        if core_takes(h):
            spread = self.spread.flatten()
            affine = torch.stack([spread, torch.zeros_like(spread)])
            corrected = self.out(h, Finish(plus=y, affine=affine))
            return corrected
        corrected = y + self.out(h).float() * self.spread
        return corrected


class RefinedLappedSynthesis(nn.Module):
    """Latents (N, 768, h, w) -> pixels (N, 3, 16 h, 16 w), around [0, 1].

    widths: channels of the refining network at 1/4, 1/8 and 1/16 of the resolution.
    blocks: residual blocks at 1/4 of the resolution. deringing: a `Deringing` filter at the end;
    guided: one of colours too.
    """

    stride = 16
    cuts_rims = True
    # Fitted behind a trained model: training without them may start from a model that has them.
    fitted_parts = ("deringing",)

    def __init__(
        self,
        widths: tuple[int, int, int] = (64, 96, 192),
        blocks: int = 3,
        boost: float = 1.4,
        deringing: bool = False,
        guided: bool = False,
    ) -> None:
        super().__init__()
        fine, middle, coarse = widths
        # Pixels beside what is wanted at each place, from the last to the first: in front of the
        # filter, of each block at 1/4 (the last one's behind it first), of the block at 1/8.
        filtered = -(-REACH // 8) * 8 if deringing else 0
        self.rims = [filtered + 4 + 8 * k for k in range(blocks + 1)][::-1]
        # Of the block at 1/8, and of the pixels that join what it gives.
        self.middle_rim = self.rims[0] + 4
        self.pixel_rim = -(-self.middle_rim // 16) * 16
        self.coarse_rim = -(-(self.middle_rim + 16) // 16) * 16
        # 2 rows at 1/16 in front of that; beside them 1 for the boundary filter.
        self.reach = max(self.coarse_rim // 16 + 2, self.pixel_rim // 16 + 1)
        self.filter_rim = filtered
        self.deringing = Deringing(guided) if deringing else None
        self.linear = LappedSynthesis(self.stride, boost)
        self.quality = QualityEmbedding(EMBEDDING)
        # Latents enter as asinh(y * exp(level + slope * t)): about their size in quantisation
        # steps, whatever the quality.
        channels = 3 * self.stride**2
        self.level = nn.Parameter(torch.full((channels,), math.log(9.0)))
        self.slope = nn.Parameter(torch.full((channels,), 1.6))
        self.stem = PointwiseConv2d(channels, coarse)
        self.coarse = nn.ModuleList([DepthwiseBlock(coarse), DepthwiseBlock(coarse)])
        self.coarse_modulation = Modulation(EMBEDDING, coarse)
        self.to_middle = PointwiseConv2d(coarse, 4 * middle)
        self.middle = ResidualBlock(middle, EMBEDDING)
        self.to_fine = PointwiseConv2d(middle, 4 * fine)
        self.from_pixels = PaddedConv2d(48, fine)
        self.fine = nn.ModuleList([ResidualBlock(fine, EMBEDDING) for _ in range(blocks)])
        self.out = zeroed(PaddedConv2d(fine, 48))

    def forward(self, y: Tensor, quality: Tensor | None = None, rim: Rim = WHOLE) -> Tensor:
        """(N, 768, h, w), quality (N,) -> (N, 3, 16 h, 16 w).

        rim: of y, in pixels; those that are made are of what is within.
        """
        if quality is None:
            quality = y.new_full((len(y),), 31.5)
        with torch.autocast(y.device.type, enabled=False):
            # Of halves in float32; in float64 where both sides must make the same of them.
            y = y.to(self.linear.basis)
            inner, inner_rim = rim.cut(y, self.pixel_rim + 16, 16)
            x, pixel_rim = inner_rim.cut(self.linear(inner), self.middle_rim, 1)
            t = normalised(quality.to(y)).view(-1, 1, 1, 1)
            size = torch.exp(self.level.view(1, -1, 1, 1) + self.slope.view(1, -1, 1, 1) * t)
            features = asinh(y * size)
        e = self.quality(quality)
        h = self.coarse_modulation.after(self.stem, features, e)
        for keep, block in zip((16, 0), self.coarse, strict=True):
            h, rim = rim.cut(block(h), self.coarse_rim + keep, 16)
        h = self.middle(self.to_middle.to_phases(h), e)
        h, rim = rim.cut(h, self.middle_rim, 8)
        h = self.to_fine.to_phases(h)
        h, rim = rim.cut(self.from_pixels(cells(x, -0.5), Finish(plus=h)), self.rims[0], 4)
        for keep, block in zip(self.rims[1:], self.fine, strict=True):
            h, rim = rim.cut(block(h, e), keep, 4)
        corrections, rim = rim.cut(self.out(h), self.filter_rim, 4)
        x, _ = pixel_rim.cut(x, self.filter_rim, 1)
        if core_takes(corrections):
            out = unblocked(corrections, CELL, plus=x)
        else:
            out = x + nn.functional.pixel_shuffle(corrections, CELL).to(x)
        if self.deringing is not None:
            out, _ = rim.cut(self.deringing(out, quality), 0, 1)
        return out
