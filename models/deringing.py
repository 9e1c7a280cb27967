"""A filter of decoded pixels whose taps follow the kind of place, against ringing beside edges.

    luma --> spread here, spread near by, direction --> kinds of each 2x2 pixels, and their shares
    luma --> differences of 7x7 neighbours, plain and clipped --(taps of the kinds)--> + luma

and, guided, to luma and both colours what they lack of their regression on luma around them:

    colours --> differences of 3x3 neighbours, plain and clipped --(taps of the kinds)--> + colours
    component, luma --> regression over 3x3, 5x5 cells --(weights of the kinds)--> + component

Sources: "Adaptive loop filtering for video coding" (2013), linear filters by kind of place, fitted
by least squares; "Non-linear adaptive loop filtering" (2019), clipped differences; "Guided image
filtering" (2010) and "Fast guided filter" (2015), regression on another component.

Decoded pixels differ in their last bits from machine to machine. So no kind ends at a bound: around
it a place has shares of both kinds, and what is added is a continuous function of the pixels.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from kodec.native.layers import place_filter, runs_layers

TAPS = 7
FEATURES = 2 * (TAPS**2 - 1)
# Of colours; and of guides, by how many cells of 2x2 pixels they reach, and parts of luma's clip's
# square that are added to its variance.
COLOUR_TAPS = 3
COLOUR_FEATURES = 2 * (COLOUR_TAPS**2 - 1)
GUIDE_REACHES, GUIDE_FLOORS = (1, 2), (0.09, 1.0)
GUIDES = len(GUIDE_REACHES) * len(GUIDE_FLOORS)
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


def differences_at(plane: Tensor, places: Tensor, clip: Tensor, side: int = TAPS) -> Tensor:
    """Differences of neighbours from pixels of a component (1, 1, H, W), plain and clipped.

    places: flat positions (P,). clip: the largest, a number. side: of the square of neighbours.
    Returns (P, 2 (side^2 - 1)).
    """
    reach = side // 2
    width = plane.shape[-1]
    padded = nn.functional.pad(plane, (reach,) * 4, mode="replicate")[0, 0]
    rows, columns = places // width, places % width
    first = rows * padded.shape[1] + columns
    taps = torch.arange(side**2, device=plane.device)
    taps = taps[taps != side**2 // 2]
    offsets = taps // side * padded.shape[1] + taps % side
    flat = padded.reshape(-1)
    centre = flat[first + reach * padded.shape[1] + reach]
    found = flat[first[:, None] + offsets] - centre[:, None]
    return torch.cat([found, torch.maximum(torch.minimum(found, clip), -clip)], dim=1)


def luma_of(x: Tensor) -> Tensor:
    """Pixels (N, 3, H, W) -> (N, 1, H, W), of the orthonormal colour rotation."""
    red, green, blue = x[:, :1], x[:, 1:2], x[:, 2:]
    return (red + green + blue) * (1 / math.sqrt(3))


def colours_of(x: Tensor) -> Tensor:
    """Pixels (N, 3, H, W) -> what is orthonormal to luma, (N, 2, H, W)."""
    red, green, blue = x[:, :1], x[:, 1:2], x[:, 2:]
    first = (red - blue) * (1 / math.sqrt(2))
    return torch.cat([first, (red - 2 * green + blue) * (1 / math.sqrt(6))], dim=1)


def components_of(x: Tensor) -> Tensor:
    """Pixels (N, 3, H, W) -> luma and colours, of the same shape."""
    return torch.cat([luma_of(x), colours_of(x)], dim=1)


def pixels_of(components: Tensor) -> Tensor:
    """Luma and colours (N, 3, H, W) -> pixels, of the same shape."""
    luma, first, second = components.split(1, dim=1)
    luma, first, second = luma / math.sqrt(3), first / math.sqrt(2), second / math.sqrt(6)
    return torch.cat([luma + first + second, luma - 2 * second, luma - first + second], dim=1)


def regressions_of(components: Tensor, clip: Tensor) -> Tensor:
    """How far each component is from its regression on luma: (1, 3, H, W) -> (3, `GUIDES`, H, W).

    clip: luma's, a number, which says how far luma varies by errors alone. Sides are even.
    """
    luma = components[:, :1] - math.sqrt(3) / 2
    components = torch.cat([luma, components[:, 1:]], dim=1)
    moments = torch.cat([components, components * luma], dim=1)
    sums = nn.functional.avg_pool2d(moments, 2)
    found = []
    for reach in GUIDE_REACHES:
        edged = nn.functional.pad(sums, (reach,) * 4, mode="replicate")
        means, products = nn.functional.avg_pool2d(edged, 2 * reach + 1, stride=1).split(3, dim=1)
        covariances = products - means * means[:, :1]
        for floor in GUIDE_FLOORS:
            slopes = covariances / (covariances[:, :1].clamp(min=0) + floor * clip.square())
            fixed = means - slopes * means[:, :1]
            found.append(by_pixel(slopes) * luma + by_pixel(fixed) - components)
    return torch.stack(found, dim=2)[0]


class Deringing(nn.Module):
    """Adds to luma what the taps of each place's kinds say; starts as no change.

    taps: (knots, `KINDS`, `FEATURES`). clip: largest clipped difference at each knot, as a natural
    logarithm. Kinds whose taps are all zero take no time where no gradient of taps is asked for.
    Gradients reach the taps, and pixels unfiltered.

    guided: filter colours too, and each component by luma around it. colour_taps: (knots, `KINDS`,
    2, `COLOUR_FEATURES`), colour_clip: (knots, 2), guides: weights (knots, `KINDS`, 3, `GUIDES`).
    """

    def __init__(self, guided: bool = False) -> None:
        super().__init__()
        self.guided = guided
        self.taps = nn.Parameter(torch.zeros(len(KNOTS), KINDS, FEATURES))
        self.clip = nn.Parameter(torch.linspace(-2.8, -4.8, len(KNOTS)))
        if guided:
            self.colour_taps = nn.Parameter(torch.zeros(len(KNOTS), KINDS, 2, COLOUR_FEATURES))
            clips = torch.linspace(-3.5, -5.0, len(KNOTS))
            self.colour_clip = nn.Parameter(clips[:, None].repeat(1, 2))
            self.guides = nn.Parameter(torch.zeros(len(KNOTS), KINDS, 3, GUIDES))

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
            found = [self._one(item[None], self._at(q)) for item, q in items]
            return found[0] if len(found) == 1 else torch.cat(found)

    def _at(self, quality: Tensor) -> "_Taps":
        parts = self.between_knots(quality.to(self.taps))

        def between(values: Tensor) -> Tensor:
            # In float32 where weights are not: on both sides of a closed loop they are in float64.
            return torch.einsum("k,k...->...", parts, values).float()

        colours = None
        if self.guided:
            clips = torch.exp(between(self.colour_clip))
            colours = _Colours(between(self.colour_taps), clips, between(self.guides))
        return _Taps(between(self.taps), torch.exp(between(self.clip)), colours)

    def _one(self, x: Tensor, taps: "_Taps") -> Tensor:
        learned = torch.is_grad_enabled() and any(p.requires_grad for p in self.parameters())
        if x.device.type == "cpu" and runs_layers() and not learned:
            found = _by_core(x.detach(), taps)
            return x + (found - x.detach()) if x.requires_grad else found
        return x + pixels_of(_by_kind(x.detach(), taps))


class _Colours(NamedTuple):
    """What `Deringing` has of colours, of one quality, clips as they are."""

    taps: Tensor
    clips: Tensor
    guides: Tensor


class _Taps(NamedTuple):
    """The same of luma, and of colours where they are filtered."""

    luma: Tensor
    clip: Tensor
    colours: _Colours | None


def _by_kind(x: Tensor, taps: _Taps) -> Tensor:
    """What is added to components of pixels (1, 3, H, W), with gradients for taps and clips."""
    components = components_of(x)
    luma, first, second = components.split(1, dim=1)
    shares = shares_of(places_of(luma))[0]
    if taps.colours is None:
        added = _of_plane(luma, shares, taps.luma, taps.clip)
        return torch.cat([added, torch.zeros_like(first), torch.zeros_like(second)], dim=1)
    (ones, others), clips = taps.colours.taps.unbind(1), taps.colours.clips
    planes = (
        (luma, taps.luma, taps.clip, TAPS),
        (first, ones, clips[0], COLOUR_TAPS),
        (second, others, clips[1], COLOUR_TAPS),
    )
    lacks, weights = regressions_of(components, taps.clip).flatten(2), taps.colours.guides
    parts = [
        _of_plane(plane, shares, torch.cat([own, weights[:, c]], dim=1), clip, side, lacks[c])
        for c, (plane, own, clip, side) in enumerate(planes)
    ]
    return torch.cat(parts, dim=1)


def _of_plane(
    plane: Tensor,
    shares: Tensor,
    taps: Tensor,
    clip: Tensor,
    side: int = TAPS,
    lacks: Tensor | None = None,
) -> Tensor:
    """What is added to a component (1, 1, H, W). lacks: further features (`GUIDES`, H W)."""
    added = torch.zeros_like(plane).reshape(-1)
    used = list(range(KINDS))
    if not taps.requires_grad:
        used = taps.abs().amax(1).nonzero().squeeze(1).tolist()
    for kind in used:
        share = by_pixel(shares[kind]).reshape(-1)
        places = share.nonzero().squeeze(1)
        if len(places):
            features = differences_at(plane, places, clip, side)
            if lacks is not None:
                features = torch.cat([features, lacks[:, places].t()], dim=1)
            added = added.index_add(0, places, features @ taps[kind] * share[places])
    return added.view(plane.shape)


def _by_core(x: Tensor, taps: _Taps) -> Tensor:
    """Filtered pixels by the core, the same up to rounding: (1, 3, H, W)."""
    pixels, rows, clip = x[0].contiguous(), _in_rows(taps.luma, TAPS, 8), float(taps.clip)
    threads = torch.get_num_threads()
    if taps.colours is None:
        return torch.from_numpy(place_filter(pixels, rows, clip, threads=threads))[None]
    both = [_in_rows(own, COLOUR_TAPS, 4) for own in taps.colours.taps.unbind(1)]
    clips = (float(taps.colours.clips[0]), float(taps.colours.clips[1]))
    guides = taps.colours.guides.contiguous()
    found = place_filter(pixels, rows, clip, torch.cat(both, dim=3), guides, clips, threads)
    return torch.from_numpy(found)[None]


def _in_rows(taps: Tensor, side: int, width: int) -> Tensor:
    """Taps (`KINDS`, 2 (side^2 - 1)) with a zero in the middle, and rows filled up with zeros."""
    middle = side**2 // 2
    whole = taps.view(KINDS, 2, -1)
    zero = whole.new_zeros(KINDS, 2, 1)
    whole = torch.cat([whole[..., :middle], zero, whole[..., middle:]], dim=2)
    rows = whole.view(KINDS, 2, side, side)
    return nn.functional.pad(rows, (0, width - side)).contiguous()
