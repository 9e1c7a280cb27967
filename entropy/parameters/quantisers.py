"""How weights become integers: each gives a `Quantised`, which the coder needs no more than.

Sources: "NeRV: Neural Representations for Videos" (2021), `over_axis`; "HNeRV: A Hybrid Neural
Representation for Videos" (2023), `uniform`; "HiNeRV: Video Compression with Hierarchical
Encoding-based Neural Representation" (2023), `symmetric`; Cool-chic 5 (2025), `given_step`.
"""

import torch
from torch import Tensor

from kodec.native import InvalidInputError

from .quantised import LARGEST, Quantised, scale_shape

SCALES_SHARE = 0.02
"""Scales over one axis are considered where they are fewer than this share of the values."""
SYMMETRIC_AXIS = 20
"""And symmetric ones where the axis has more entries than this."""


def uniform(values: Tensor, bits: int) -> Quantised:
    """min + step k with 2^bits levels, over all or over one axis: the least mean absolute error.

    Minima and steps over an axis are float16.
    """
    _check(values, bits)
    levels = 2**bits - 1
    low = values.min()
    candidates = [(-1, low, (values.max() - low) / levels)]
    for axis in range(values.dim()):
        lows = values.amin(axis, keepdim=True)
        if lows.numel() / values.numel() < SCALES_SHARE:
            steps = (values.amax(axis, keepdim=True) - lows) / levels
            candidates.append((axis, lows.half(), steps.half()))
    best: tuple[float, Quantised] | None = None
    for axis, offset, step in candidates:
        codes = ((values - offset) / _apart(step)).round().clamp(0, levels)
        found = Quantised(codes.nan_to_num(0).int(), step.float(), offset.float(), axis)
        error = float((values - found.dequantise()).abs().mean())
        if best is None or error < best[0]:
            best = error, found
    assert best is not None
    return best[1]


def over_axis(values: Tensor, bits: int, axis: int = 0) -> Quantised:
    """min + step k with 2^bits + 1 levels, of what is not 0; `axis` keeps its own, -1: none does.

    Zeros come back exactly. Steps have other indexes than `Quantised` has for an axis where values
    have more than two: then it is as if all but `axis` were one.
    """
    _check(values, bits)
    kept = values != 0
    if axis == -1 or values.dim() < 2:
        low, high = _ends(values, kept, tuple(range(values.dim())))
        low, high = low.reshape(()), high.reshape(())
    else:
        low, high = _ends(values, kept, tuple(i for i in range(values.dim()) if i != axis))
    step = (high - low) / 2**bits
    codes = ((values - low) / (step + 1e-19)).round().nan_to_num(0)
    mask = None if bool(kept.all()) else kept
    codes = codes if mask is None else torch.where(mask, codes, 0)
    if axis == -1 or values.dim() < 2:
        return Quantised(codes.int(), step, low, -1, mask)
    return _flattened(codes.int(), step, low, axis, mask)


def symmetric(values: Tensor, bits: int) -> Quantised:
    """step k, |k| below 2^(bits - 1): over the largest axis if it is long enough, else over all."""
    _check(values, bits)
    axis = max(range(values.dim()), key=lambda i: (values.shape[i], -i), default=-1)
    if axis == -1 or values.shape[axis] <= SYMMETRIC_AXIS:
        axis, most = -1, values.abs().max()
    else:
        most = values.abs().amax(axis, keepdim=True)
    step = 2 * most / (2**bits - 1) + 1e-6
    reach = 2 ** (bits - 1)
    codes = (values / step).round().clamp(-reach, reach - 1)
    return Quantised(codes.int(), step.float(), None, axis)


def given_step(values: Tensor, step: float | Tensor, offset: float | None = None) -> Quantised:
    """step k (+ offset), not clamped: of steps 2^-n, and of steps that were learned."""
    size = torch.as_tensor(step, dtype=torch.float32, device=values.device).reshape(())
    if not (torch.isfinite(size) and float(size) > 0):
        raise InvalidInputError(f"a step is above 0, not {float(size)}")
    begin = None if offset is None else torch.tensor(offset, device=values.device)
    codes = ((values if begin is None else values - begin) / size).round()
    if codes.numel() and not float(codes.abs().max()) <= LARGEST:
        raise InvalidInputError("a step is too small for its weights, or they are not finite")
    return Quantised(codes.int(), size, begin)


def in_halves(found: Quantised) -> Quantised:
    """The same integers, with steps and offsets that float16 holds: half the side information."""
    offset = None if found.offset is None else found.offset.half().float()
    return Quantised(found.integers, found.step.half().float(), offset, found.axis, found.mask)


def without(found: Quantised, mask: Tensor) -> Quantised:
    """The same with exact zeros where the mask is False."""
    integers = torch.where(mask, found.integers, 0).int()
    return Quantised(integers, found.step, found.offset, found.axis, mask)


def _flattened(
    codes: Tensor, step: Tensor, low: Tensor, axis: int, mask: Tensor | None
) -> Quantised:
    """With one axis beside `axis`, so that steps are over one."""
    rows = codes.movedim(axis, 0).reshape(codes.shape[axis], -1)
    kept = None if mask is None else mask.movedim(axis, 0).reshape(rows.shape)
    shape = scale_shape(rows.shape, 1)
    return Quantised(rows.contiguous(), step.reshape(shape), low.reshape(shape), 1, kept)


def _ends(values: Tensor, kept: Tensor, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Minimum and maximum of what is kept; 0 and 0 where nothing is."""
    low = torch.where(kept, values, torch.inf).amin(axes, keepdim=True)
    high = torch.where(kept, values, -torch.inf).amax(axes, keepdim=True)
    some = low <= high
    return torch.where(some, low, 0), torch.where(some, high, 0)


def _apart(step: Tensor) -> Tensor:
    # Weights that are all the same have steps of 0, and codes of 0.
    return torch.where(step > 0, step, 1)


def _check(values: Tensor, bits: int) -> None:
    if not 1 <= bits <= 16:
        raise InvalidInputError(f"weights have 1 to 16 bits, not {bits}")
    if not values.numel() or not bool(torch.isfinite(values).all()):
        raise InvalidInputError("weights to quantise are finite, and there is at least one")
