"""The parameters of frame networks in steps, and through a port."""

from collections.abc import Mapping
from math import prod
from typing import Protocol

import torch
from torch import Tensor, nn

from kodec.entropy import RateMeter
from kodec.entropy.parameters import Quantised, TensorLayout
from kodec.entropy.parameters.parameter_coder import ParameterCoder
from kodec.entropy.parameters.quantisers import given_step

EMBEDDING = "embedding"
# As in HNeRV's code; steps are of the whole tensor, where a network is small an axis of them costs
# more than it saves.
WEIGHT_BITS = 8
EMBEDDING_BITS = 6
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


def quantised(
    parameters: Mapping[str, Tensor],
    weight_bits: float = WEIGHT_BITS,
    embedding_bits: float = EMBEDDING_BITS,
) -> dict[str, Quantised]:
    """Each tensor in equal steps, a (2^bits - 1)th of its range, as float16 holds them."""
    found = {}
    for name, value in parameters.items():
        bits = embedding_bits if name == EMBEDDING else weight_bits
        step = float(value.max() - value.min()) / (2**bits - 1)
        half = torch.tensor(max(step, LEAST_STEP)).half().float()
        found[name] = given_step(value, half)
    return found


def measured(
    parameters: Mapping[str, Quantised], layout: Mapping[str, TensorLayout]
) -> dict[str, float]:
    """The bits of each part, by the models that the coder chooses."""
    meter = RateMeter(training=False)
    ParameterCoder(layout).code(parameters, meter)
    return {name: float(bits.sum()) for name, bits in meter.bits.items()}


def coded(parameters: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], float]:
    """As a decoder will have them, and the bits that they take."""
    steps = quantised(parameters)
    layout = {
        name: TensorLayout(value.shape, _pool(name, value)) for name, value in parameters.items()
    }
    decoded = {name: value.dequantise() for name, value in steps.items()}
    return decoded, sum(measured(steps, layout).values())


def _pool(name: str, value: Tensor) -> str:
    if name == EMBEDDING:
        return "embeddings"
    return "weights" if value.dim() > 1 else "biases"
