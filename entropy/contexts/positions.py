"""Positions of a grid of latents: tokens, and the sets that are coded at a time."""

from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor

from kodec.native import InvalidInputError

# Phase of each position in a square cell: two for a checkerboard, four for a quad-tree order, six
# for one that starts from every fourth row and column.
PATTERNS = {
    1: ((0,),),
    2: ((0, 1), (1, 0)),
    4: ((0, 2), (3, 1)),
    6: ((0, 4, 2, 4), (5, 3, 5, 3), (2, 4, 1, 4), (5, 3, 5, 3)),
}


def phase_positions(
    h: int, w: int, phases: int, device: torch.device | str = "cpu", margin: int = 0
) -> tuple[Tensor, ...]:
    """Flat positions (row-major in h x w) of each phase, on `device`: the same tensors each time.

    With a margin, in a grid that has so many rows and columns more on each side. Sending them makes
    the host wait for the device; training sends them once.
    """
    return _on_device(_phases, (h, w, phases, margin), torch.device(device))


def _phases(h: int, w: int, phases: int, margin: int) -> list[Tensor]:
    if phases not in PATTERNS:
        raise InvalidInputError(f"phases must be one of {sorted(PATTERNS)}, not {phases}")
    cell = torch.tensor(PATTERNS[phases])
    size = len(cell)
    grid = cell.repeat(-(-h // size), -(-w // size))[:h, :w].reshape(-1)
    found = [torch.nonzero(grid == p).squeeze(1) for p in range(phases)]
    return [(p // w + margin) * (w + 2 * margin) + p % w + margin for p in found]


def phase_order(h: int, w: int, phases: int, device: torch.device | str = "cpu") -> Tensor:
    """Where each position of h x w is among those of all phases in turn, as `phase_positions`."""
    return _on_device(_order, (h, w, phases), torch.device(device))[0]


def _order(h: int, w: int, phases: int) -> list[Tensor]:
    return [torch.argsort(torch.cat(_phases(h, w, phases, 0)))]


def indices(values: tuple[int, ...], device: torch.device) -> Tensor:
    """An index tensor on `device`, as `phase_positions`."""
    return _on_device(_tensor, values, device)[0]


def _tensor(*values: int) -> list[Tensor]:
    return [torch.tensor(values)]


# A model has a handful of patterns; a large picture's positions are not worth keeping long.
@lru_cache(maxsize=24)
def _on_device(
    make: Callable[..., list[Tensor]], arguments: tuple[int, ...], device: torch.device
) -> tuple[Tensor, ...]:
    # Whoever asks first may be in inference mode, whose tensors no gradient can pass later.
    with torch.inference_mode(False):
        return tuple(part.to(device) for part in make(*arguments))


def to_grid(tokens: Tensor, h: int, w: int) -> Tensor:
    """(N, h w, C) -> (N, C, h, w), channels-last in memory."""
    n, _, c = tokens.shape
    return tokens.reshape(n, h, w, c).permute(0, 3, 1, 2)


def to_tokens(grid: Tensor) -> Tensor:
    """(N, C, h, w) -> (N, h w, C)."""
    return grid.flatten(2).transpose(1, 2)


def front_positions(
    h: int, w: int, reach: int, device: torch.device | str = "cpu"
) -> tuple[Tensor, ...]:
    """Flat positions of each wavefront of a raster order whose context reaches `reach` each way.

    A position depends on the row it is in, to its left, and on the `reach` rows above it, up to
    `reach` columns to its right. So all with the same column + (reach + 1) row are independent.
    On `device`, as `phase_positions`.
    """
    return _on_device(_fronts, (h, w, reach), torch.device(device))


def _fronts(h: int, w: int, reach: int) -> list[Tensor]:
    front = torch.arange(h)[:, None] * (reach + 1) + torch.arange(w)
    order = torch.argsort(front.reshape(-1), stable=True)
    return list(torch.split(order, torch.bincount(front.reshape(-1)).tolist()))
