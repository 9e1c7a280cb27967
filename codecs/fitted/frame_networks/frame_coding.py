"""The parameters of frame networks in steps, and through a port."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Protocol

import torch
from torch import Tensor, nn

from kodec.entropy import RateMeter
from kodec.entropy.parameters import ParameterCoder, Quantised, TensorLayout, given_step
from kodec.entropy.parameters.quantised_training import straight_through

EMBEDDING = "embedding"
# As in HNeRV's code. Steps are of a whole tensor: where a network is small, those over an axis cost
# more than they save.
WEIGHT_BITS = 8.0
EMBEDDING_BITS = 6.0
# The least step: float16 holds its neighbours well.
LEAST_STEP = 2.0**-14


class Design(Protocol):
    """Integers that lead to a network, and to the shape of a frame's embedding."""

    @property
    def embedding_shape(self) -> tuple[int, int, int]:
        """Channels, rows and columns; none are 0 x 0 x 0."""

    def build(self) -> nn.Module:
        """The network."""


def layout_of(design: Design, frames: int) -> dict[str, TensorLayout]:
    """The tensors of a network and its frames' embeddings, in the order of the stream."""
    with torch.device("meta"):
        network = design.build()
    found = {
        name: TensorLayout(value.shape, "weights" if value.dim() > 1 else "biases")
        for name, value in network.named_parameters()
    }
    if prod(design.embedding_shape):
        shape = torch.Size((frames, *design.embedding_shape))
        found[EMBEDDING] = TensorLayout(shape, "embeddings")
    return found


def step_of(
    name: str,
    value: Tensor,
    weight_bits: float = WEIGHT_BITS,
    embedding_bits: float = EMBEDDING_BITS,
) -> Tensor:
    """The step of a tensor: a (2^bits - 1)th of its range, as float16 holds it."""
    bits = embedding_bits if name == EMBEDDING else weight_bits
    extent = (value.detach().max() - value.detach().min()) / (2**bits - 1)
    return extent.clamp(min=LEAST_STEP).half().float()


def quantised(
    parameters: Mapping[str, Tensor],
    weight_bits: float = WEIGHT_BITS,
    embedding_bits: float = EMBEDDING_BITS,
) -> dict[str, Quantised]:
    """Each tensor in its step."""
    return {
        name: given_step(value, step_of(name, value, weight_bits, embedding_bits))
        for name, value in parameters.items()
    }


def measured(
    parameters: Mapping[str, Quantised], layout: Mapping[str, TensorLayout]
) -> dict[str, float]:
    """The bits of each part, by the models that the coder chooses."""
    meter = RateMeter(training=False)
    ParameterCoder(layout).code(parameters, meter)
    return {name: float(bits.sum()) for name, bits in meter.bits.items()}


@dataclass(frozen=True)
class FrameCoding:
    """How finely parameters are coded."""

    weight_bits: float = WEIGHT_BITS
    embedding_bits: float = EMBEDDING_BITS

    def quantised(self, parameters: Mapping[str, Tensor]) -> dict[str, Quantised]:
        """Each tensor in its step."""
        return quantised(parameters, self.weight_bits, self.embedding_bits)

    def rounded(self, name: str, value: Tensor) -> Tensor:
        """As it will be decoded; gradients pass unchanged."""
        step = step_of(name, value, self.weight_bits, self.embedding_bits)
        return straight_through(value, step)

    def __call__(self, parameters: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], float]:
        """As a decoder will have them, and the bits that they take."""
        steps = self.quantised(parameters)
        layout = {
            name: TensorLayout(value.shape, _pool(name, value))
            for name, value in parameters.items()
        }
        decoded = {name: value.dequantise() for name, value in steps.items()}
        return decoded, sum(measured(steps, layout).values())


def _pool(name: str, value: Tensor) -> str:
    if name == EMBEDDING:
        return "embeddings"
    return "weights" if value.dim() > 1 else "biases"
