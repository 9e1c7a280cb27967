"""The parameters of frame networks in steps, and through a port."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Protocol

import torch
from torch import Tensor, nn

from kodec.entropy import RateMeter
from kodec.entropy.parameters import (
    ParameterCoder,
    Quantised,
    TensorLayout,
    given_step,
    without,
)
from kodec.entropy.parameters.pruning import magnitude_masks
from kodec.entropy.parameters.quantised_training import (
    gaussian_bits,
    noisy_codes,
    straight_through,
)

EMBEDDING = "embedding"
# As in HNeRV's code. Steps are of a whole tensor: where a network is small, those over an axis cost
# more than they save.
WEIGHT_BITS = 8.0
EMBEDDING_BITS = 6.0
# The least step: float16 holds its neighbours well.
LEAST_STEP = 2.0**-14
# A learned step's logarithm before it is learned.
_UNSET = torch.inf


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
    shapes = {name: value.shape for name, value in network.named_parameters()}
    if prod(design.embedding_shape):
        shapes[EMBEDDING] = torch.Size((frames, *design.embedding_shape))
    return {name: _layout(name, shape) for name, shape in shapes.items()}


def _layout(name: str, shape: torch.Size) -> TensorLayout:
    if name == EMBEDDING:
        return TensorLayout(shape, "embeddings")
    # Weights may be pruned.
    return TensorLayout(shape, "weights", True) if len(shape) > 1 else TensorLayout(shape, "biases")


def step_of(
    name: str,
    value: Tensor,
    weight_bits: float = WEIGHT_BITS,
    embedding_bits: float = EMBEDDING_BITS,
) -> Tensor:
    """The step of a tensor: a (2^bits - 1)th of its range, as float16 holds it."""
    bits = embedding_bits if name == EMBEDDING else weight_bits
    extent = (value.detach().max() - value.detach().min()) / (2**bits - 1)
    return in_half(extent)


def in_half(step: Tensor) -> Tensor:
    """A step as float16 holds it, and not below the least."""
    return step.clamp(min=LEAST_STEP).half().float()


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
    """How parameters are coded: steps of so many bits, or learned ones; weights that are pruned.

    state: tensors that belong to a fit's state, by name: of each tensor its mask and the logarithm
    of its step, once `track` has made them.
    """

    weight_bits: float = WEIGHT_BITS
    embedding_bits: float = EMBEDDING_BITS
    state: dict[str, Tensor] = field(default_factory=dict, compare=False, repr=False)

    def track(self, parameters: Mapping[str, Tensor]) -> "FrameCoding":
        """The same for a fit of these, whose masks and steps can be made and learned."""
        state: dict[str, Tensor] = {}
        for name, value in parameters.items():
            state[f"{name}/step"] = torch.tensor(_UNSET, requires_grad=True)
            if _layout(name, value.shape).masked:
                state[f"{name}/mask"] = torch.ones(value.shape)
        return FrameCoding(self.weight_bits, self.embedding_bits, state)

    @torch.no_grad()
    def prune(self, parameters: Mapping[str, Tensor], kept: float) -> None:
        """Keep that share of all weights, the largest ones for the size of their tensors."""
        weights = {n: v for n, v in parameters.items() if f"{n}/mask" in self.state}
        for name, mask in magnitude_masks(weights, kept, relative=True).items():
            self.state[f"{name}/mask"].copy_(mask)

    @torch.no_grad()
    def learn_steps(self, parameters: Mapping[str, Tensor]) -> None:
        """Begin with the steps that parameters have now."""
        for name, value in parameters.items():
            self.state[f"{name}/step"].copy_(self._step(name, value).log2())

    @property
    def steps(self) -> list[Tensor]:
        """Logarithms of steps, which an optimiser takes."""
        return [value for name, value in self.state.items() if name.endswith("/step")]

    def kept(self, name: str, value: Tensor) -> Tensor:
        """A tensor without what was pruned."""
        mask = self.state.get(f"{name}/mask")
        return value if mask is None else value * mask

    def rounded(self, name: str, value: Tensor) -> Tensor:
        """As it will be decoded; gradients pass unchanged, and to a step that is learned."""
        return straight_through(value, self._step(name, value))

    def bits(self, name: str, value: Tensor) -> Tensor:
        """What a tensor takes, about: by a Gaussian, of codes under noise.

        Source: "Boosting Neural Representations for Videos with a Conditional Decoder" (2024).
        """
        step, mask = self._step(name, value), self.state.get(f"{name}/mask")
        own = value if mask is None else value[mask.bool()]
        return gaussian_bits(noisy_codes(own, step), own / step)

    def quantised(self, parameters: Mapping[str, Tensor]) -> dict[str, Quantised]:
        """Each tensor in its step."""
        found = {}
        for name, value in parameters.items():
            found[name] = given_step(value.detach(), in_half(self._step(name, value).detach()))
            mask = self.state.get(f"{name}/mask")
            if mask is not None and not bool(mask.all()):
                found[name] = without(found[name], mask.bool())
        return found

    def __call__(self, parameters: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], float]:
        """As a decoder will have them, and the bits that they take."""
        steps = self.quantised(parameters)
        layout = {name: _layout(name, value.shape) for name, value in parameters.items()}
        decoded = {name: value.dequantise() for name, value in steps.items()}
        return decoded, sum(measured(steps, layout).values())

    def _step(self, name: str, value: Tensor) -> Tensor:
        learned = self.state.get(f"{name}/step")
        if learned is None or not bool(torch.isfinite(learned)):
            return step_of(name, value, self.weight_bits, self.embedding_bits)
        return torch.exp2(learned).clamp(min=LEAST_STEP)
