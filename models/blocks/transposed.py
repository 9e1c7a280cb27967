"""Transposed convolutions of stride 2 in float64, without PyTorch's matrix of copies."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

# By shift of the inputs, the phases of the outputs that a tap of five reaches with it, and the tap.
_TAPS = {-1: {0: 4}, 0: {0: 2, 1: 3}, 1: {0: 0, 1: 1}}


# Positions, and outputs, from which what is added up is less than what is copied.
LEAST_POSITIONS, LEAST_OUTPUTS = 1024, 16


def products_take(x: Tensor, outputs: int) -> bool:
    """Whether `in_products` is quicker for this input, without gradients on a CPU."""
    double = x.dtype == torch.float64 and x.device.type == "cpu" and not torch.is_grad_enabled()
    return double and outputs >= LEAST_OUTPUTS and x.shape[-2] * x.shape[-1] >= LEAST_POSITIONS


def in_products(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Transposed 5x5, stride 2: (N, C, H, W) -> (N, outputs, 2 H, 2 W), channels last in memory.

    weight: (C, outputs, 5, 5). In float64 PyTorch multiplies first and then adds up 25 outputs for
    each position, which it keeps side by side: 3.5 GB for 128 channels at a quarter of 1080p. Here
    each shift of the inputs is one product, or two, added to the phases of the outputs that it
    reaches. Results differ by rounding alone.
    """
    n, inputs, h, w = x.shape
    outputs = weight.shape[1]
    # Rows stand behind each other, with what is between them, so that a shift is an offset.
    wide = w + 2
    rows = nn.functional.pad(x.movedim(1, -1), (0, 0, 1, 1, 1, 2)).reshape(n, -1, inputs)
    out = x.new_empty(n, 2 * h, 2 * w, outputs)
    for item, flat in zip(out, rows, strict=True):
        phases = bias.repeat(4).expand(h * wide, -1).contiguous()
        for shift, span, taps in _products(weight, wide):
            phases[:, span].addmm_(flat[shift : shift + h * wide], taps)
        by_pixel = phases.view(h, wide, 2, 2, outputs)[:, :w].transpose(1, 2)
        item.view(h, 2, w, 2, outputs).copy_(by_pixel)
    return out.movedim(-1, 1)


def _products(weight: Tensor, wide: int) -> Iterator[tuple[int, slice, Tensor]]:
    """Offset of the inputs, which phases' outputs, and taps (C, outputs of these)."""
    outputs = weight.shape[1]
    for row_shift, row_taps in _TAPS.items():
        for column_shift, column_taps in _TAPS.items():
            places = [
                (2 * row_phase + column_phase, weight[:, :, row_tap, column_tap])
                for row_phase, row_tap in row_taps.items()
                for column_phase, column_tap in column_taps.items()
            ]
            shift = (1 + row_shift) * wide + 1 + column_shift
            # Phases that are not side by side take a product each.
            joined = len(column_taps) == 2
            for part in [places] if joined else [[place] for place in places]:
                first, last = part[0][0], part[-1][0]
                span = slice(first * outputs, (last + 1) * outputs)
                yield shift, span, torch.cat([taps for _, taps in part], dim=1)
