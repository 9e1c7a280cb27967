"""A filter of decoded pixels whose taps follow the kind of place, against ringing beside edges.

    luma --> spread here, spread near by, direction --> kinds of each 2x2 pixels, and their shares
    luma --> differences of 7x7 neighbours, plain and clipped --(taps of the kinds)--> + luma

Sources: "Adaptive loop filtering for video coding" (2013), linear filters by kind of place, fitted
by least squares; "Non-linear adaptive loop filtering" (2019), clipped differences.

Decoded pixels differ in their last bits from machine to machine. So no kind ends at a bound: around
it a place has shares of both kinds, and what is added is a continuous function of the pixels.
"""

import math
from collections.abc import Iterator

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
# Kinds are told by luma in whole steps, around the middle of its range: what is counted in these is
# exact, up to one rounding, in any order.
STEPS, MOST = 8192, 0.94
# How steeply levels pass into one another: across 1 / RAMP of a bound's square.
RAMP = 4.0
# Sums of 36 differences, in steps, below which directions count for little.
FLOOR = 36 * 8.0


def _around(x: Tensor) -> Tensor:
    """(N, 1, H, W) -> sums over 6x6 around each 2x2 cell, (N, 1, H/2, W/2)."""
    sums = nn.functional.avg_pool2d(x, 2, divisor_override=1)
    sums = nn.functional.pad(sums, (1, 1, 1, 1), mode="replicate")
    return nn.functional.avg_pool2d(sums, 3, stride=1, divisor_override=1)


def places_of(luma: Tensor) -> Tensor:
    """What kinds are told by: luma (N, 1, H, W) in [0, sqrt(3)], sides even -> (N, 3, H/2, W/2).

    The level of spread here, the highest near by, and the direction: 1 where luma changes more than
    twice as much along rows as along columns, -1 the other way round, 0 for neither. Whole numbers,
    but beside bounds.
    """
    middle = math.sqrt(3) / 2
    # Exact: of 36 squares at most 2^31, and products of sums below 2^53.
    steps = ((luma.float() - middle).clamp(-MOST, MOST) * STEPS).round().double()
    variance = (36 * _around(steps.square()) - _around(steps).square()).float()
    here = torch.zeros_like(variance)
    for spread in SPREADS:
        bound = spread * STEPS * 36
        here += (variance * (RAMP / (bound * bound)) - (RAMP - 0.5)).clamp(0, 1)
    side = 2 * NEAR + 1
    near = nn.functional.max_pool2d(here, (side, 1), stride=1, padding=(NEAR, 0))
    near = nn.functional.max_pool2d(near, (1, side), stride=1, padding=(0, NEAR))
    edged = nn.functional.pad(steps, (0, 1, 0, 1), mode="replicate")
    rows = _around((edged[..., :-1, 1:] - steps).abs()).float()
    columns = _around((edged[..., 1:, :-1] - steps).abs()).float()
    direction = _twice(rows, columns) - _twice(columns, rows)
    return torch.cat([here, near, direction], dim=1)


def _twice(a: Tensor, b: Tensor) -> Tensor:
    """Whether a is more than twice b: 0 to 1."""
    return ((a - 2 * b) / (a * 0.25 + FLOOR)).clamp(0, 1)


def shares_of(places: Tensor) -> Tensor:
    """What part of each kind every cell is: (N, 3, h, w) of `places_of` -> (N, `KINDS`, h, w).

    Shares are 0 to 1, and 1 together; kind = (here * `LEVELS` + near) * `DIRECTIONS` + direction,
    directions being 0 (along rows), 1 (along columns) and 2.
    """
    (here, near), direction = places[:, :2].unbind(1), places[:, 2]
    n, h, w = direction.shape
    shares = places.new_zeros(n, KINDS, h, w)
    turned = direction.abs()
    other = torch.where(direction > 0, 0, 1)
    parts = [(other, turned), (torch.full_like(other, DIRECTIONS - 1), 1 - turned)]
    for i, of_here in _two_levels(here):
        for j, of_near in _two_levels(near):
            for k, of_direction in parts:
                kind = (i * LEVELS + j) * DIRECTIONS + k
                shares.scatter_add_(1, kind[:, None], (of_here * of_near * of_direction)[:, None])
    return shares


def _two_levels(level: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """The whole levels around a level, and what part it is of each."""
    whole = level.floor()
    yield whole.long(), 1 - (level - whole)
    yield (whole.long() + 1).clamp(max=LEVELS - 1), level - whole


def by_pixel(cells: Tensor) -> Tensor:
    """(..., h, w) of cells -> (..., 2 h, 2 w) of pixels."""
    return cells.repeat_interleave(2, dim=-2).repeat_interleave(2, dim=-1)


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
    red, green, blue = x[:, :1], x[:, 1:2], x[:, 2:]
    return (red + green + blue) * (1 / math.sqrt(3))


class Deringing(nn.Module):
    """Adds to luma what the taps of each place's kinds say; starts as no change.

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
            found = [self._one(item[None], q) for item, q in items]
            return found[0] if len(found) == 1 else torch.cat(found)

    def _one(self, x: Tensor, quality: Tensor) -> Tensor:
        parts = self.between_knots(quality.to(self.taps))
        # In float32 where weights are not: on both sides of a closed loop they are in float64.
        taps = torch.einsum("k,kpf->pf", parts, self.taps).float()
        clip = torch.exp(parts @ self.clip).float()
        core = x.device.type == "cpu" and runs_layers()
        if core and not taps.requires_grad:
            found = _by_core(x.detach(), taps.detach(), clip)
            return x + (found - x.detach()) if x.requires_grad else found
        luma = luma_of(x.detach())
        return x + _by_kind(luma, taps, clip).view(luma.shape) * (1 / math.sqrt(3))


def _by_kind(luma: Tensor, taps: Tensor, clip: Tensor) -> Tensor:
    """What is added to luma (1, 1, H, W), with gradients for taps and clip: (H W,)."""
    added = torch.zeros_like(luma).reshape(-1)
    used = list(range(KINDS))
    if not taps.requires_grad:
        used = taps.abs().amax(1).nonzero().squeeze(1).tolist()
    shares = shares_of(places_of(luma))[0]
    for kind in used:
        share = by_pixel(shares[kind]).reshape(-1)
        places = share.nonzero().squeeze(1)
        if len(places):
            sums = features_at(luma, places, clip) @ taps[kind]
            added = added.index_add(0, places, sums * share[places])
    return added


def _by_core(x: Tensor, taps: Tensor, clip: Tensor) -> Tensor:
    """Filtered pixels by the core, the same up to rounding: (1, 3, H, W)."""
    middle = TAPS**2 // 2
    whole = taps.view(KINDS, 2, -1)
    whole = torch.cat(
        [whole[..., :middle], whole.new_zeros(KINDS, 2, 1), whole[..., middle:]], dim=2
    )
    rows = nn.functional.pad(whole.view(KINDS, 2, TAPS, TAPS), (0, 1)).contiguous()
    found = place_filter(x[0].contiguous(), rows, float(clip), torch.get_num_threads())
    return torch.from_numpy(found)[None]
