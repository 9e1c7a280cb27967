"""Cool-chic's networks as integers: the step of each part's weights and biases is searched.

Steps are 2^-n. What is minimised is the fit's loss with the bits of the networks in it; the parts
are quantised in turn, the later ones with the earlier ones as integers.
"""

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from kodec.entropy.contexts.grid_rate import (
    arm_outputs,
    grid_contexts,
    laplace_bits,
)
from kodec.entropy.latents.integer_arm import LOG_SCALE_OFFSET
from kodec.models.fields.grid_synthesis import synthesise
from kodec.models.fields.grid_upsampling import upsample

from .cool_chic_architecture import arm_of, filters_of, synthesis_of
from .cool_chic_fitting import LATENTS, CoolChicFitting

# Of each part, n at most: of its weights' steps 2^-n and of its biases'. What decides tables is
# held in integers, whose fractions end there.
FINEST = {"arm": (8, 16), "ifce": (8, 16), "synthesis": (12, 24), "upsampling": (12, 0)}
KINDS = ("weight", "bias")
LARGEST = 2**16 - 1
MOST_GOLOMB_ORDER = 12

# How many pairs of steps are tried together, of those that should be the best by what each step of
# the pair does alone.
TRIED = 12


@dataclass(frozen=True)
class IntegerNetworks:
    """integers: by name, int32, in steps 2^-n. exponents: n by part and kind, "arm.weight"."""

    integers: Mapping[str, Tensor]
    exponents: Mapping[str, int]

    def values(self) -> dict[str, Tensor]:
        """As float32, exactly."""
        return {
            name: value.float() * 2.0 ** -self.exponents[group_of(name)]
            for name, value in self.integers.items()
        }


def group_of(name: str) -> str:
    """A weight's part and kind: "arm.weight" of "arm.hidden.0.weight"."""
    return f"{name.split('.')[0]}.{name.rpartition('.')[2]}"


def golomb_bits(values: Tensor) -> int:
    """Of integers, by the best order of an Exp-Golomb code; 0, 1, -1, 2 are 0, 1, 2, 3."""
    if not values.numel():
        return 0
    doubled = values.abs().long() * 2
    codes = torch.where(values > 0, doubled - 1, doubled)
    lengths = [
        (2 * torch.log2(((codes >> order) + 1).double()).floor() + 1 + order).sum()
        for order in range(MOST_GOLOMB_ORDER + 1)
    ]
    return int(min(lengths))


def search_steps(fitting: CoolChicFitting) -> IntegerNetworks:
    """Integers for the fit's networks, whose values become theirs."""
    integers: dict[str, Tensor] = {}
    exponents: dict[str, int] = {}
    losses = _Losses(fitting)
    for part in FINEST:
        names = [name for name in fitting.values if name.startswith(part + ".")]
        if not names:
            continue
        found, chosen = _search_part(fitting, part, names, losses)
        integers |= found
        exponents |= chosen
        networks = IntegerNetworks(found, chosen)
        with torch.no_grad():
            for name, value in networks.values().items():
                fitting.values[name].copy_(value)
    order = [name for name in fitting.values if name != LATENTS]
    return IntegerNetworks({name: integers[name] for name in order}, exponents)


class _Losses:
    """The loss, from what a part leaves as it is."""

    def __init__(self, fitting: CoolChicFitting) -> None:
        self.fitting = fitting
        self.grids = fitting.split(fitting.integers())
        self.symbols = torch.cat([grid.flatten() for grid in self.grids])

    def of(self, part: str) -> Callable[[Mapping[str, Tensor]], float]:
        """A function of the weights by name: the loss without the networks' bits, times bits."""
        fitting = self.fitting
        if part in ("arm", "ifce"):
            arm = arm_of(fitting.values)
            cached = grid_contexts(self.grids, fitting.levels, arm.neighbours, arm.ifce)

            def bits(values: Mapping[str, Tensor]) -> float:
                x = cached
                if part == "ifce":
                    ifce = arm_of(values).ifce
                    x = grid_contexts(self.grids, fitting.levels, arm.neighbours, ifce)
                mean, log_scale = arm_outputs(x, arm_of(values))
                found = laplace_bits(self.symbols, mean, log_scale - LOG_SCALE_OFFSET)
                return float(found.sum(dtype=torch.float64))

            return bits
        seen = [g for g, grid in zip(self.grids, fitting.grids, strict=True) if not grid.hyper]
        features = upsample(seen, filters_of(fitting.values))
        pixels = features.shape[-1] * features.shape[-2]

        def error(values: Mapping[str, Tensor]) -> float:
            made = features if part == "synthesis" else upsample(seen, filters_of(values))
            picture = synthesise(made, synthesis_of(values)).clamp(0, 1)
            return pixels * fitting.figures(0.0, picture).loss

        return error


@torch.no_grad()
def _search_part(
    fitting: CoolChicFitting, part: str, names: list[str], losses: _Losses
) -> tuple[dict[str, Tensor], dict[str, int]]:
    loss = losses.of(part)
    floats = {name: fitting.values[name].detach().clone() for name in names}
    by_kind = {kind: [name for name in names if name.endswith(kind)] for kind in KINDS}
    whole = loss(fitting.values)

    def rounded(kind: str, exponent: int) -> dict[str, Tensor] | None:
        found = {name: (floats[name] * 2.0**exponent).round() for name in by_kind[kind]}
        if any(float(value.abs().max()) > LARGEST for value in found.values()):
            return None
        return found

    def measured(chosen: Mapping[str, int]) -> float:
        """Of the rounded values of these kinds, the others as they are; infinite beyond bounds."""
        values = dict(fitting.values)
        bits = 0
        for kind, exponent in chosen.items():
            found = rounded(kind, exponent)
            if found is None:
                return math.inf
            values |= {name: value * 2.0**-exponent for name, value in found.items()}
            if found:
                bits += golomb_bits(torch.cat([value.flatten() for value in found.values()]))
        return loss(values) + bits

    alone = {
        kind: [measured({kind: n}) for n in range(FINEST[part][number] + 1)]
        if by_kind[kind]
        else [whole]
        for number, kind in enumerate(KINDS)
    }
    pairs = itertools.product(*(range(len(alone[kind])) for kind in KINDS))
    likely = sorted(pairs, key=lambda pair: alone["weight"][pair[0]] + alone["bias"][pair[1]])
    best = min(
        likely[:TRIED],
        key=lambda pair: measured({k: n for k, n in zip(KINDS, pair, strict=True) if by_kind[k]}),
    )
    integers: dict[str, Tensor] = {}
    exponents: dict[str, int] = {}
    for kind, exponent in zip(KINDS, best, strict=True):
        if by_kind[kind]:
            found = rounded(kind, exponent)
            # The coarsest steps alone are beyond no bound that a fit reaches.
            assert found is not None
            integers |= {name: value.to(torch.int32) for name, value in found.items()}
            exponents[f"{part}.{kind}"] = exponent
    return integers, exponents
