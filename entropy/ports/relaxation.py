"""What training has in place of rounding, which passes no gradient.

    y - offset --soft rounding, if any--> + noise --> code length
                                             |
                       rounded, straight through, or the noisy value --> what follows

Sources: "End-to-end optimized image compression" (2017), noise; "Channel-wise autoregressive
entropy models for learned image compression" (2020), noise for the rate and rounding for what
follows; "Universally quantized neural compression" (2020), soft rounding; "Improving inference for
neural image compression" (2020), stochastic Gumbel annealing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from kodec.models.blocks.core_floats import core_takes_floats
from kodec.models.blocks.soft_rounding import soft_rounded_twice
from kodec.native import InvalidInputError

# Beyond, the inverse of soft rounding goes to infinity in float32.
_EDGE = 1 - 1e-6


DrawUniform = Callable[[Tensor], Tensor]
"""Draws values, uniform in [0, 1), of a tensor's shape and type."""


class UniformBySample:
    """Draws what depends on each sample's own seed, not on what else is in the batch.

    seeds: one for each sample. A tensor of another number of samples gets torch's own values.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device | str = "cpu") -> None:
        self._generators = [torch.Generator(device).manual_seed(seed) for seed in seeds]

    def __call__(self, x: Tensor) -> Tensor:
        """Values for x (N, ...), sample by sample."""
        if len(x) != len(self._generators):
            return torch.rand_like(x)
        drawn = torch.empty_like(x, memory_format=torch.contiguous_format)
        for row, generator in zip(drawn, self._generators, strict=True):
            row.uniform_(generator=generator)
        return drawn


def under_noise(x: Tensor, uniform: DrawUniform = torch.rand_like) -> Tensor:
    """x (any shape) plus noise, uniform within half a step either way."""
    return x + uniform(x) - 0.5


def soft_round(x: Tensor, temperature: float) -> Tensor:
    """x (any shape), drawn to the nearest integer: all the way as the temperature falls to 0.

    As it grows, x stays what it is. Integers and the middles between them stay in any case.
    """
    middle = torch.floor(x) + 0.5
    reach = torch.tanh(x.new_tensor(0.5 / temperature))
    return middle + 0.5 * torch.tanh((x - middle) / temperature) / reach


def kumaraswamy_noise(uniform: Tensor, peak: float) -> Tensor:
    """Noise in (-0.5, 0.5) from uniform values in (0, 1), any shape: most probable in the middle.

    peak: 1 for uniform noise, the more the narrower. Source: "C3: High-performance and
    low-complexity neural compression from a single image or video" (2024).
    """
    other = (2**peak * (peak - 1) + 1) / peak
    below: Tensor = (1 - (1 - uniform) ** (1 / other)) ** (1 / peak)
    return below - 0.5


def soft_round_with_noise(latents: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """Latents soft-rounded, under noise of their shape, and soft-rounded again (C3, 2024)."""
    if core_takes_floats(latents, noise) and not noise.requires_grad:
        return soft_rounded_twice(latents, noise, temperature)
    return soft_round(soft_round(latents, temperature) + noise, temperature)


def soft_round_mean(z: Tensor, temperature: float) -> Tensor:
    """The mean of all x for which `soft_round` under noise may have given z (any shape)."""
    below = z - 0.5
    middle = torch.floor(below) + 0.5
    reach = torch.tanh(z.new_tensor(0.5 / temperature))
    drawn = (2 * (below - middle) * reach).clamp(-_EDGE, _EDGE)
    return middle + temperature * torch.atanh(drawn) + 0.5


def between_neighbours(x: Tensor, temperature: float) -> Tensor:
    """x (any shape), somewhere between the integers around it: at one of them as it gets colder.

    Which one is drawn, the nearer one with the greater probability; gradients pass to x.
    """
    below = torch.floor(x).detach()
    fraction = (x - below).clamp(1 - _EDGE, _EDGE)
    logits = torch.stack([-torch.atanh(fraction), -torch.atanh(1 - fraction)]) / temperature
    drawn = -torch.log(torch.rand_like(logits).clamp_(min=1e-20).log_().neg_())
    return below + torch.softmax((logits + drawn) / temperature, dim=0)[1]


@dataclass(frozen=True)
class Relaxation:
    """How a `RateMeter` relaxes rounding in training.

    values: what follows sees: "rounding", with straight-through gradients; "noise", the values
    whose code length was taken; or "annealed", which are `between_neighbours` and stand for the
    symbols in code lengths too. Code lengths are else under noise. temperature: of soft rounding
    before the noise, above 0; "rounding" then has its gradients, and "noise" its conditional mean
    behind. None: without. "annealed" has one. Raises `InvalidInputError` for others.
    """

    values: Literal["rounding", "noise", "annealed"] = "rounding"
    temperature: float | None = None

    def __post_init__(self) -> None:
        if self.values not in ("rounding", "noise", "annealed"):
            raise InvalidInputError(
                f"values are 'rounding', 'noise' or 'annealed', not {self.values!r}"
            )
        if self.values == "annealed" and self.temperature is None:
            raise InvalidInputError("annealed values have a temperature: give one above 0")
        if self.temperature is not None and not self.temperature > 0:
            raise InvalidInputError(
                f"a temperature is above 0, not {self.temperature}: leave it out for no soft "
                "rounding"
            )

    def relax(
        self, y: Tensor, symbols: Tensor, rounded: Tensor, uniform: DrawUniform = torch.rand_like
    ) -> tuple[Tensor, Tensor]:
        """What code lengths are taken of, and what follows sees; both of y's shape.

        symbols, rounded: what the distribution made of the latents y, in steps and as the decoder
        sees them; they differ by the offset of its grid.
        """
        if self.values == "annealed":
            assert self.temperature is not None
            offset = rounded - symbols
            found = offset + between_neighbours(y - offset, self.temperature)
            return found, found
        if self.temperature is None:
            soft, noisy = y, under_noise(y, uniform)
            found = noisy
        else:
            offset = rounded - symbols
            soft = offset + soft_round(y - offset, self.temperature)
            noisy = under_noise(soft, uniform)
            found = offset + soft_round_mean(noisy - offset, self.temperature)
        if self.values == "rounding":
            found = soft + (rounded - soft).detach()
        return noisy, found
