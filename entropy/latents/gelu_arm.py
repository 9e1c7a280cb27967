"""C3's entropy network in integers: two hidden layers with a GELU behind each.

    24 values before --linear, GELU--> 18 --linear, GELU--> 18 --linear--> mean, log scale

"C3: High-performance and low-complexity neural compression from a single image or video" (2024).
The GELU is one of straight pieces, in training too: a sum of rectifiers, which the core's programs
have. Thus a network is five layers of theirs, and is proved as `IntegerArm` is.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from kodec.entropy.located_laplace import LocatedScales
from kodec.models.blocks.position_network import Pieces
from kodec.native import FrontProgram, InvalidInputError

from .integer_arm import FRACTION, LEAST, LOG_SCALE_OFFSET, MOST, ExactProduct, SteppedLayer

WINDOW = 3
WINDOW_CONTEXTS = tuple(
    (down, right)
    for down in range(-WINDOW, 1)
    for right in range(-WINDOW, WINDOW + 1)
    if down < 0 or right < 0
)
"""Of a window of 7x7, what comes before: (rows down, columns right), row by row."""

# Ends of the pieces, and by how much the slope grows there, in 1/256; it is 0 before, 1 behind. The
# function is within 0.015 of the GELU.
KNOTS = (-768, -576, -410, -282, -179, -90, 0, 90, 179, 282, 410, 576, 768)
_VALUES = (0.0, -0.0275, -0.0875, -0.1491, -0.1694, -0.1275, 0.0)
ACTIVATION_BITS = 12
"""Fraction bits of what the layers give."""


def _slopes() -> tuple[int, ...]:
    """Of the pieces, in 1/256, those outside too: by the values at the knots, rounded."""
    # GELU(x) = x + GELU(-x).
    values = [*_VALUES, *(v - k / 256 for v, k in zip(_VALUES[-2::-1], KNOTS[5::-1], strict=True))]
    inner = [
        round(256 * (values[i + 1] - values[i]) * 256 / (KNOTS[i + 1] - KNOTS[i]))
        for i in range(len(KNOTS) - 1)
    ]
    return (0, *inner, 256)


SLOPES = _slopes()
GROWTH = tuple(b - a for a, b in zip(SLOPES, SLOPES[1:]))
STRAIGHT_GELU = Pieces(tuple(k / 256 for k in KNOTS), tuple(g / 256 for g in GROWTH))
"""As `context_rate` takes it."""


class _StraightGelu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        knots = x.new_tensor(KNOTS) / 256
        slopes = x.new_tensor(SLOPES) / 256
        # Behind a knot, what the growth of the slopes before it amounts to.
        offsets = torch.cat((x.new_zeros(1), (x.new_tensor(GROWTH) / 256 * knots).cumsum(0)))
        piece = torch.bucketize(x, knots)
        slope = slopes[piece]
        ctx.save_for_backward(slope)
        return slope * x - offsets[piece]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (slope,) = ctx.saved_tensors
        found: Tensor = gradient * slope
        return found


def straight_gelu(x: Tensor) -> Tensor:
    """The GELU in straight pieces, of any shape."""
    found: Tensor = _StraightGelu.apply(x)
    return found


class GeluArm:
    """The network in integers, in the place of an `IntegerArm` without features.

    layers: of 24 values to the hidden ones, between these, and to mean and log scale + 4. Raises
    `InvalidInputError` where they don't fit or a sum may reach 2^53.
    """

    features = 0
    feature_bound = 0
    taps = WINDOW_CONTEXTS
    contexts = len(WINDOW_CONTEXTS)

    def __init__(self, layers: Sequence[SteppedLayer]) -> None:
        widths = [layers[0].inputs, *(layer.outputs for layer in layers)] if layers else []
        inner = [layer.inputs for layer in layers]
        if len(layers) < 2 or inner != widths[:-1] or (widths[0], widths[-1]) != (self.contexts, 2):
            raise InvalidInputError(
                f"C3's entropy network goes from {self.contexts} values to 2, not by {widths}"
            )
        bounds = np.full(self.contexts, -LEAST, np.int64)
        self.products: list[ExactProduct] = []
        for number, layer in enumerate(layers):
            last = number == len(layers) - 1
            biases = layer.biases(16)
            if last:
                biases = biases - np.array([0, LOG_SCALE_OFFSET << 16])
            if number:
                # What rectifiers give has `ACTIVATION_BITS`, growths and weights 8 each.
                weights = np.kron(layer.weights(8), np.array(GROWTH, np.int64))
                biases = biases << ACTIVATION_BITS
            else:
                weights = layer.weights(16)
            fraction = 16 + (ACTIVATION_BITS if number else 0)
            shift = fraction - (FRACTION if last else ACTIVATION_BITS)
            if last:
                weights = np.concatenate([weights, np.zeros((2, self.contexts), np.int64)], 1)
                bounds = np.concatenate([bounds, np.full(self.contexts, -LEAST, np.int64)])
            product = ExactProduct.proved(weights, biases, shift, False, bounds)
            self.products.append(product)
            if not last:
                self.products.append(_rectifiers(product.most))
            bounds = self.products[-1].most

    def __call__(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs (..., 24) int64 -> means and log scales (...), int64, in 1/256."""
        x = seen
        for product in self.products[:-1]:
            x = product(x)
        mean, log_scale = self.products[-1](torch.cat([x, seen], dim=-1)).unbind(-1)
        return mean, log_scale

    def program(self, scales: LocatedScales) -> FrontProgram:
        """The same for the core."""
        layers = [(p.weights, p.biases, p.shift, int(p.rectified)) for p in self.products]
        return FrontProgram(
            np.array(self.taps, np.int32),
            0,
            0,
            LEAST,
            MOST,
            layers,
            scales.lowest,
            scales.highest,
            scales.levels,
        )


def _rectifiers(bounds: NDArray[np.int64]) -> ExactProduct:
    """Of each value, what it is above each of the knots, or 0."""
    one = np.eye(len(bounds), dtype=np.int64)
    weights: NDArray[np.int64] = np.repeat(one, len(KNOTS), 0)
    knots = np.array(KNOTS, np.int64) << (ACTIVATION_BITS - 8)
    return ExactProduct.proved(weights, np.tile(-knots, len(bounds)), 0, True, bounds)
