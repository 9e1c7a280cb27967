"""Cool-chic's networks as integers: the step of each part's weights and biases is searched.

Steps are 2^-n. What is minimised is the fit's loss with the bits of the networks in it; the parts
are quantised in turn, the later ones with the earlier ones as integers.
"""

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from kodec.entropy.contexts.grid_rate import arm_rate
from kodec.entropy.parameters import choose_model
from kodec.entropy.parameters.integer_code import as_integers
from kodec.models.fields.grid_synthesis import synthesise
from kodec.models.fields.grid_upsampling import upsample
from kodec.native import KodecError

from .cool_chic_architecture import arm_of, filters_of, synthesis_of
from .cool_chic_fitting import LATENTS, CoolChicFitting
from .cool_chic_parameters import FINEST, KINDS, IntegerNetworks

# Of an integer; nothing that is fitted comes near.
LARGEST = 2**16 - 1

# How many pairs of steps are tried together, of those that should be the best by what each step of
# the pair does alone.
TRIED = 10
# Finer and coarser steps are not tried beyond one whose loss is so many times the best one's.
GIVEN_UP = 1.05


def network_bits(integers: Iterable[Tensor]) -> float:
    """Of integers that are coded as one list."""
    return choose_model(as_integers(torch.cat([value.flatten() for value in integers])))[1]


@torch.no_grad()
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
    """The fit's loss times its pixels, in bits, without those of the networks."""

    def __init__(self, fitting: CoolChicFitting) -> None:
        self.fitting = fitting
        self.grids = fitting.split(fitting.integers())
        self.pixels = fitting.x.shape[-1] * fitting.x.shape[-2]

    def of(self, part: str) -> Callable[[Mapping[str, Tensor]], float]:
        """As a function of the weights by name; what the part leaves as it is counts for nothing,
        and is computed once."""
        fitting = self.fitting
        if part in ("arm", "ifce"):
            return lambda values: float(
                arm_rate(self.grids, fitting.levels, arm_of(values)).sum(dtype=torch.float64)
            )
        seen = [g for g, grid in zip(self.grids, fitting.grids, strict=True) if not grid.hyper]
        features = upsample(seen, filters_of(fitting.values))

        def error(values: Mapping[str, Tensor]) -> float:
            made = features if part == "synthesis" else upsample(seen, filters_of(values))
            picture = synthesise(made, synthesis_of(values)).clamp(0, 1)
            return self.pixels * fitting.figures(0.0, picture).loss

        return error


def _around(loss: Callable[[int], float], finest: int) -> dict[int, float]:
    """Losses of exponents from 0 to `finest`, as far from the middle as they are no far cry."""
    middle = (finest + 1) // 2
    found = {middle: loss(middle)}
    for way in (range(middle + 1, finest + 1), range(middle - 1, -1, -1)):
        for exponent in way:
            found[exponent] = loss(exponent)
            if found[exponent] > GIVEN_UP * min(found.values()):
                break
    return found


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
        bits = 0.0
        for kind, exponent in chosen.items():
            found = rounded(kind, exponent)
            if found is None:
                return math.inf
            values |= {name: value * 2.0**-exponent for name, value in found.items()}
            if found:
                bits += network_bits(found.values())
        return loss(values) + bits

    def measured_alone(kind: str, exponent: int) -> float:
        return measured({kind: exponent})

    alone = {kind: {0: whole} for kind in KINDS}
    for kind, finest in zip(KINDS, FINEST[part], strict=True):
        if by_kind[kind]:
            alone[kind] = _around(functools.partial(measured_alone, kind), finest)
    pairs = itertools.product(*(alone[kind] for kind in KINDS))
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
            if found is None:
                raise KodecError(
                    f"the fit went astray: weights of {part} are beyond {LARGEST:,}; try another "
                    "--seed"
                )
            integers |= {name: value.to(torch.int32) for name, value in found.items()}
            exponents[f"{part}.{kind}"] = exponent
    return integers, exponents
