"""A filter of decoded pixels whose taps follow the kind of place, against ringing beside edges.

    luma --> spread here, spread near by, direction --> kind of each 2x2 pixels
    luma --> differences of 7x7 neighbours, plain and clipped --(taps of the kind)--> + luma

Sources: "Adaptive loop filtering for video coding" (2013), linear filters by kind of place, fitted
by least squares; "Non-linear adaptive loop filtering" (2019), clipped differences.
"""

import math

import torch
from torch import Tensor, nn

from kodec.native.layers import place_filter, runs_layers

TAPS = 7
FEATURES = 2 * (TAPS**2 - 1)
# Qualities at which there are taps of their own; between them they are interpolated.
KNOTS = tuple(9.0 * k for k in range(8))
# Bounds of the levels of spread: standard deviations of luma over 6x6, of pixels in [0, 1].
SPREADS = (2 / 255, 6 / 255, 16 / 255)
LEVELS = len(SPREADS) + 1
# How far "near by" reaches, in cells of 2x2 pixels.
NEAR = 4
DIRECTIONS = 3
KINDS = LEVELS**2 * DIRECTIONS
# Pixels away that what becomes of a pixel depends on: of spreads, near by, of gradients or taps.
REACH = 3 + 2 * NEAR + 2


def _pooled(x: Tensor) -> Tensor:
    """(N, 1, H, W) -> means over 6x6 around each 2x2 cell, (N, 1, H/2, W/2)."""
    cells = nn.functional.pad(nn.functional.avg_pool2d(x, 2), (1, 1, 1, 1), mode="replicate")
    return nn.functional.avg_pool2d(cells, 3, stride=1)


def kinds_of(luma: Tensor) -> Tensor:
    """Luma (N, 1, H, W) in [0, sqrt(3)], sides even -> kinds below `KINDS`, int64 (N, H, W).

    By the level of spread here, the highest level near by, and whether luma changes along rows,
    along columns or neither more than twice as much as the other way.
    """
    bounds = luma.new_tensor(SPREADS)
    spread = (_pooled(luma.square()) - _pooled(luma).square()).clamp(min=0).sqrt()
    side = 2 * NEAR + 1
    near = nn.functional.max_pool2d(spread, (side, 1), stride=1, padding=(NEAR, 0))
    near = nn.functional.max_pool2d(near, (1, side), stride=1, padding=(0, NEAR))
    edged = nn.functional.pad(luma, (0, 1, 0, 1), mode="replicate")
    along_rows = _pooled((edged[..., :-1, 1:] - luma).abs())
    along_columns = _pooled((edged[..., 1:, :-1] - luma).abs())
    direction = torch.full_like(spread, 2, dtype=torch.long)
    direction[along_rows > 2 * along_columns] = 0
    direction[along_columns > 2 * along_rows] = 1
    levels = torch.bucketize(spread, bounds) * LEVELS + torch.bucketize(near, bounds)
    kinds = (levels * DIRECTIONS + direction)[:, 0]
    return kinds.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)


def features_at(luma: Tensor, places: Tensor, clip: Tensor) -> Tensor:
    """Differences of neighbours from pixels of luma (1, 1, H, W), plain and clipped.

    places: flat positions (P,). clip: the largest, a number. Returns (P, `FEATURES`).
    """
    reach = TAPS // 2
    width = luma.shape[-1]
    padded = nn.functional.pad(luma, (reach,) * 4, mode="replicate")[0, 0]
    rows, columns = places // width, places % width
    first = rows * padded.shape[1] + columns
    taps = torch.arange(TAPS**2, device=luma.device)
    taps = taps[taps != TAPS**2 // 2]
    offsets = taps // TAPS * padded.shape[1] + taps % TAPS
    flat = padded.reshape(-1)
    centre = flat[first + reach * padded.shape[1] + reach]
    found = flat[first[:, None] + offsets] - centre[:, None]
    return torch.cat([found, torch.maximum(torch.minimum(found, clip), -clip)], dim=1)


def luma_of(x: Tensor) -> Tensor:
    """Pixels (N, 3, H, W) -> (N, 1, H, W), of the orthonormal colour rotation."""
    return x.sum(1, keepdim=True) / math.sqrt(3)


class Deringing(nn.Module):
    """Adds to luma what the taps of each place's kind say; starts as no change.

    taps: (knots, `KINDS`, `FEATURES`). clip: largest clipped difference at each knot, as a natural
    logarithm. Kinds whose taps are all zero take no time where no gradient of taps is asked for.
    Gradients reach the taps, and pixels unfiltered.
    """

    def __init__(self) -> None:
        super().__init__()
        self.taps = nn.Parameter(torch.zeros(len(KNOTS), KINDS, FEATURES))
        self.clip = nn.Parameter(torch.linspace(-2.8, -4.8, len(KNOTS)))

    def between_knots(self, quality: Tensor) -> Tensor:
        """How much of each knot a quality (a number) has: (knots,)."""
        knots = quality.new_tensor(KNOTS)
        step = knots[1] - knots[0]
        at = quality.clamp(knots[0], knots[-1])
        return (1 - (knots - at).abs() / step).clamp(min=0)

    def forward(self, x: Tensor, quality: Tensor) -> Tensor:
        """Pixels (N, 3, H, W) around [0, 1], sides even, quality (N,) -> the same shape."""
        with torch.autocast(x.device.type, enabled=False):
            items = zip(x.float(), quality, strict=True)
            return torch.stack([self._one(item[None], q)[0] for item, q in items])

    def _one(self, x: Tensor, quality: Tensor) -> Tensor:
        parts = self.between_knots(quality.to(self.taps))
        taps = torch.einsum("k,kpf->pf", parts, self.taps)
        clip = torch.exp(parts @ self.clip)
        luma = luma_of(x.detach())
        kinds = kinds_of(luma)
        core = luma.device.type == "cpu" and luma.dtype == torch.float32 and runs_layers()
        if core and not taps.requires_grad:
            added = _by_core(luma, kinds, taps.detach(), clip)
        else:
            added = _by_kind(luma, kinds, taps, clip)
        return x + added.view(luma.shape) / math.sqrt(3)


def _by_kind(luma: Tensor, kinds: Tensor, taps: Tensor, clip: Tensor) -> Tensor:
    """What is added to luma (1, 1, H, W), with gradients for taps and clip: (H W,)."""
    added = torch.zeros_like(luma).reshape(-1)
    used = list(range(KINDS))
    if not taps.requires_grad:
        used = taps.abs().amax(1).nonzero().squeeze(1).tolist()
    pieces, sums = [], []
    for kind in used:
        places = (kinds.reshape(-1) == kind).nonzero().squeeze(1)
        if len(places):
            pieces.append(places)
            sums.append(features_at(luma, places, clip) @ taps[kind])
    return added.index_copy(0, torch.cat(pieces), torch.cat(sums)) if pieces else added


def _by_core(luma: Tensor, kinds: Tensor, taps: Tensor, clip: Tensor) -> Tensor:
    """The same by the core, (H, W)."""
    reach = TAPS // 2
    # The core reads eight at a time: one column more, and a tap behind each row's last.
    padded = nn.functional.pad(luma, (reach, reach + 1, reach, reach), mode="replicate")
    middle = TAPS**2 // 2
    whole = taps.view(KINDS, 2, -1)
    whole = torch.cat(
        [whole[..., :middle], whole.new_zeros(KINDS, 2, 1), whole[..., middle:]], dim=2
    )
    rows = nn.functional.pad(whole.view(KINDS, 2, TAPS, TAPS), (0, 1)).contiguous()
    found = place_filter(
        padded[0, 0].contiguous(),
        kinds[0].to(torch.uint8).contiguous(),
        rows,
        float(clip),
        torch.get_num_threads(),
    )
    return torch.from_numpy(found)
