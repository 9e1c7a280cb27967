"""Cool-chic's entropy networks in integers: ARM and IFCE, the same on every machine.

    contexts, features --residual layer, residual layer, linear layer--(+)--> mean, log scale
                     `---------------- linear branch -----------------^

"Cool-chic" (Ladune et al., 2023), with the inter-feature context extractor and residual layers of
its release 5. Parameters are integers, their steps powers of two. Every sum is proved to stay below
2^53 when a network is made, so that float64 holds it without rounding, here as in the core,
whatever the order of its terms.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kodec.entropy.exact import LARGEST
from kodec.entropy.located_laplace import LocatedScales
from kodec.native import FrontProgram, InvalidInputError

CONTEXTS = (
    *((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0)),
    *((-3, 0), (0, -3), (-1, -2), (-2, 1)),
    *((-2, -1), (-1, 2), (-2, -2), (-1, -3)),
    *((-2, 2), (-3, 1), (0, -4), (-1, 3), (-2, -3), (-2, 3)),
)
"""Where a position looks, (rows down, columns right), in order of use."""

LEAST, MOST = -64, 63
"""Latents are integers from the one to the other."""

FRACTION = 8
"""Fraction bits of features, means and natural logarithms of scales."""

MOST_WEIGHT_BITS, MOST_BIAS_BITS = 8, 16
LOG_SCALE_OFFSET = 4
"""Of the network's second output: log scale = output - 4."""


@dataclass(frozen=True)
class SteppedLayer:
    """A linear layer in integers: weights (outputs, inputs) and biases (outputs,), int64.

    A weight w stands for w 2^-weight_bits (0 to 8), a bias b for b 2^-bias_bits (0 to 16). Raises
    `InvalidInputError` for other steps, for shapes that do not fit, and integers beyond 2^31.
    """

    weight: Tensor
    bias: Tensor
    weight_bits: int
    bias_bits: int

    def __post_init__(self) -> None:
        steps = self.weight_bits, self.bias_bits
        if not (0 <= steps[0] <= MOST_WEIGHT_BITS and 0 <= steps[1] <= MOST_BIAS_BITS):
            raise InvalidInputError(
                "an integer layer's steps are 2^-n with n of 0 to 8 for weights and 0 to 16 for "
                f"biases, not {steps[0]} and {steps[1]}"
            )
        if self.weight.ndim != 2 or self.bias.shape != self.weight.shape[:1]:
            raise InvalidInputError(
                "an integer layer has weights (outputs, inputs) and as many biases as outputs, not "
                f"{tuple(self.weight.shape)} and {tuple(self.bias.shape)}"
            )
        for values in (self.weight, self.bias):
            if values.is_floating_point() or (values.numel() and int(values.abs().max()) >= 2**31):
                raise InvalidInputError("an integer layer holds integers below 2^31 either way")

    @property
    def inputs(self) -> int:
        """Values that it takes."""
        return self.weight.shape[1]

    @property
    def outputs(self) -> int:
        """Values that it gives."""
        return self.weight.shape[0]

    def weights(self, fraction: int) -> NDArray[np.int64]:
        """Weights in units of 2^-fraction, fraction >= weight_bits."""
        weight: NDArray[np.int64] = self.weight.cpu().numpy().astype(np.int64)
        return weight << (fraction - self.weight_bits)

    def biases(self, fraction: int) -> NDArray[np.int64]:
        """Biases in units of 2^-fraction, fraction >= bias_bits."""
        bias: NDArray[np.int64] = self.bias.cpu().numpy().astype(np.int64)
        return bias << (fraction - self.bias_bits)


@dataclass(frozen=True)
class ExactProduct:
    """y = (W x + b) >> shift, then max(y, 0) if rectified: what a layer comes to.

    most: the largest |y|, given the bounds of its inputs.
    """

    weights: NDArray[np.int64]
    biases: NDArray[np.int64]
    shift: int
    rectified: bool
    most: NDArray[np.int64]

    @classmethod
    def proved(
        cls,
        weights: NDArray[np.int64],
        biases: NDArray[np.int64],
        shift: int,
        rectified: bool,
        bounds: NDArray[np.int64],
    ) -> "ExactProduct":
        """bounds: (inputs,) of |x|. Raises `InvalidInputError` where a sum may reach 2^53."""
        # In Python's integers, which don't wrap.
        reach = [
            sum(abs(w) * b for w, b in zip(row, bounds.tolist(), strict=True)) + abs(bias)
            for row, bias in zip(weights.tolist(), biases.tolist(), strict=True)
        ]
        if max(reach, default=0) >= LARGEST:
            raise InvalidInputError(
                f"an entropy network's sums may reach {max(reach)}, beyond 2^53: its parameters "
                "are too large"
            )
        # Floors of negative sums reach one further.
        most = np.array([(r >> shift) + 1 for r in reach], np.int64)
        return cls(weights, biases, shift, rectified, most)

    def __call__(self, x: Tensor) -> Tensor:
        """(..., inputs) int64 -> (..., outputs) int64."""
        weights = torch.from_numpy(self.weights).double()
        sums = x.double() @ weights.T + torch.from_numpy(self.biases).double()
        y = sums.to(torch.int64) >> self.shift
        return y.clamp(min=0) if self.rectified else y


class IntegerIfce:
    """One level's inter-feature context extractor: coarser grids' latents -> features.

    layer: (features, coarser grids). Features have 8 fraction bits.
    """

    def __init__(self, layer: SteppedLayer) -> None:
        bounds = np.full(layer.inputs, -LEAST, np.int64)
        self.product = ExactProduct.proved(
            layer.weights(16), layer.biases(16), 16 - FRACTION, False, bounds
        )
        self.grids, self.features = layer.inputs, layer.outputs
        self.bound = int(self.product.most.max(initial=0))

    def __call__(self, coarser: Tensor) -> Tensor:
        """(..., grids) int64 in [-64, 63] -> (..., features) int64."""
        return self.product(coarser)


class IntegerArm:
    """The auto-regressive network: contexts and features -> mean and log scale of a latent.

    hidden: one or more residual layers of as many outputs as inputs, whose identity is not among
    the weights; each is followed by a rectifier. output, branch: linear layers to (mean, log scale)
    of what comes last and of the input, added. contexts: how many of the inputs, the first ones,
    are `CONTEXTS`; the others are features. feature_bound: of features, either way.
    Raises `InvalidInputError` where layers do not fit or a sum may reach 2^53.
    """

    def __init__(
        self,
        hidden: Sequence[SteppedLayer],
        output: SteppedLayer,
        branch: SteppedLayer,
        contexts: int,
        feature_bound: int = 0,
    ) -> None:
        inputs = branch.inputs
        if not 1 <= contexts <= min(inputs, len(CONTEXTS)) or feature_bound < 0:
            raise InvalidInputError(
                f"an ARM of {inputs} inputs has 1 to {min(inputs, len(CONTEXTS))} contexts, not "
                f"{contexts}"
            )
        shapes = [tuple(layer.weight.shape) for layer in (*hidden, output, branch)]
        if not hidden or shapes != [(inputs, inputs)] * len(hidden) + [(2, inputs)] * 2:
            raise InvalidInputError(
                f"an ARM of {inputs} inputs has hidden layers of as many outputs, and 2 at its "
                f"end and in its branch, not {shapes}"
            )
        self.contexts = contexts
        self.features = inputs - contexts
        self.taps = CONTEXTS[:contexts]
        self.feature_bound = feature_bound
        bounds = np.full(inputs, -LEAST, np.int64)
        bounds[contexts:] = feature_bound
        self.bounds = bounds
        self.hidden: list[ExactProduct] = []
        for number, layer in enumerate(hidden):
            # The first gives 16 fraction bits, the others keep them.
            bits = 16 if number == 0 else 8
            weights = layer.weights(bits) + (np.eye(inputs, dtype=np.int64) << bits)
            if number == 0:
                weights = self._features_less(weights)
            product = ExactProduct.proved(
                weights, layer.biases(16 + (bits & 8)), bits & 8, True, bounds
            )
            bounds = product.most
            self.hidden.append(product)
        # In units of 2^-24: what hidden layers give has 16 fraction bits.
        direct = self._features_less(branch.weights(24))
        biases = output.biases(24) + branch.biases(24)
        biases[1] -= LOG_SCALE_OFFSET << 24
        weights = np.concatenate([output.weights(8), direct], axis=1)
        self.output = ExactProduct.proved(
            weights, biases, 24 - FRACTION, False, np.concatenate([bounds, self.bounds])
        )

    def _features_less(self, weights: NDArray[np.int64]) -> NDArray[np.int64]:
        """Weights in units that are 2^-8 as large for features, which have 8 fraction bits."""
        weights = weights.copy()
        weights[:, self.contexts :] >>= FRACTION
        return weights

    def __call__(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs (..., inputs) int64 -> means and log scales (...), int64, in 1/256."""
        x = seen
        for layer in self.hidden:
            x = layer(x)
        mean, log_scale = self.output(torch.cat([x, seen], dim=-1)).unbind(-1)
        return mean, log_scale

    def program(self, scales: LocatedScales) -> FrontProgram:
        """The same for the core, with the tables that its outputs name."""
        layers = [
            (layer.weights, layer.biases, layer.shift, int(layer.rectified))
            for layer in (*self.hidden, self.output)
        ]
        return FrontProgram(
            np.array(self.taps, np.int32),
            self.features,
            self.feature_bound,
            LEAST,
            MOST,
            layers,
            scales.lowest,
            scales.highest,
            scales.levels,
        )
