"""C3's networks as integers: steps of weights and of biases, 7 x 7 pairs for each network.

C3 has steps of 5e-5 to 1e-2; here they are powers of two, so that the entropy network is exact.
"""

import itertools
import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from kodec.entropy.latents.integer_arm import MOST_WEIGHT_BITS
from kodec.models.fields.c3_synthesis import c3_synthesis, stacked
from kodec.native import InvalidInputError, KodecError

from .c3_architecture import KINDS, PARTS, arm_of, layers_of, synthesis_of
from .c3_fitting import C3Fitting, c3_bits
from .cool_chic_parameters import IntegerNetworks, group_of
from .cool_chic_steps import network_bits

# Steps 2^-n of each group.
TRIED = {
    "arm.weight": range(2, MOST_WEIGHT_BITS + 1),
    "arm.bias": range(4, 11),
    "synthesis.weight": range(5, 12),
    "synthesis.bias": range(5, 12),
}
LARGEST = 1 << 15


@torch.no_grad()
def search_networks(fitting: C3Fitting) -> IntegerNetworks:
    """The pairs of steps with the smallest loss, the networks' bits in it."""
    grids = fitting.split(fitting.integers())
    features = stacked(grids)

    def bits(values: Mapping[str, Tensor]) -> float:
        return float(c3_bits(grids, layers_of(values, "arm.layer")))

    def weighed_error(values: Mapping[str, Tensor]) -> float:
        picture = c3_synthesis(features, synthesis_of(values)).clamp(0, 1)
        return fitting.pixels * fitting.figures(0.0, picture).loss

    costs: dict[str, Callable[[Mapping[str, Tensor]], float]] = {
        "arm": bits,
        "synthesis": weighed_error,
    }
    integers: dict[str, Tensor] = {}
    exponents: dict[str, int] = {}
    for part in PARTS:
        found = _search(fitting, part, costs[part])
        integers |= found.integers
        exponents |= found.exponents
    return IntegerNetworks({name: integers[name] for name in fitting.networks}, exponents)


def _search(
    fitting: C3Fitting, part: str, cost: Callable[[Mapping[str, Tensor]], float]
) -> IntegerNetworks:
    groups = [f"{part}.{kind}" for kind in KINDS]
    rounded = {
        group: {
            n: {
                name: (fitting.values[name].detach() * 2.0**n).round().int()
                for name in fitting.networks
                if group_of(name) == group
            }
            for n in TRIED[group]
        }
        for group in groups
    }
    sizes = {
        (group, n): network_bits(found.values())
        for group, by_step in rounded.items()
        for n, found in by_step.items()
    }
    best: tuple[float, IntegerNetworks] | None = None
    for pair in itertools.product(*(TRIED[group] for group in groups)):
        exponents = dict(zip(groups, pair, strict=True))
        integers = rounded[groups[0]][pair[0]] | rounded[groups[1]][pair[1]]
        networks = IntegerNetworks(integers, exponents)
        if not _possible(part, networks):
            continue
        loss = cost(networks.values()) + sum(sizes[chosen] for chosen in exponents.items())
        if math.isfinite(loss) and (best is None or loss < best[0]):
            best = loss, networks
    if best is None:
        raise KodecError(f"no step makes integers of the {part} network: it has diverged")
    return best[1]


def _possible(part: str, networks: IntegerNetworks) -> bool:
    """Whether they can be coded, and proved exact."""
    if any(int(value.abs().max()) > LARGEST for value in networks.integers.values()):
        return False
    if part == "arm":
        try:
            arm_of(networks.integers, networks.exponents)
        except InvalidInputError:
            return False
    return True
