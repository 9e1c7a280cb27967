"""C3's networks as integers: steps of weights and of biases, 7 x 7 pairs for each network.

C3 has steps of 5e-5 to 1e-2; here they are powers of two, so that the entropy network is exact.
"""

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from kodec.entropy.latents.integer_arm import MOST_BIAS_BITS, MOST_WEIGHT_BITS
from kodec.models.fields.c3_synthesis import c3_synthesis, stacked
from kodec.native import InvalidInputError, KodecError

from .c3_architecture import GROUPS, KINDS, PARTS, arm_of, group_of, layers_of, synthesis_of
from .c3_fitting import C3Fitting, c3_bits
from .laplace_integers import MOST, laplace_bits_of, log_scale_of

# Steps 2^-n of each group.
TRIED = {
    "entropy.weight": range(2, MOST_WEIGHT_BITS + 1),
    "entropy.bias": range(4, 11),
    "synthesis.weight": range(5, 12),
    "synthesis.bias": range(5, 12),
}
MOST_EXPONENT = MOST_BIAS_BITS


@dataclass(frozen=True)
class C3Networks:
    """integers: by name, int64, in steps 2^-n. exponents: n of each of `GROUPS`."""

    integers: Mapping[str, Tensor]
    exponents: Mapping[str, int]

    def values(self) -> dict[str, Tensor]:
        """As float32, exactly."""
        return {
            name: (value.double() * 2.0 ** -self.exponents[group_of(name)]).float()
            for name, value in self.integers.items()
        }


@torch.no_grad()
def search_networks(fitting: C3Fitting) -> C3Networks:
    """The pairs of steps with the smallest loss, the networks' bits in it."""
    grids = fitting.split(fitting.integers())
    features = stacked(grids)

    def bits(values: Mapping[str, Tensor]) -> float:
        return float(c3_bits(grids, layers_of(values, "entropy.layer")))

    def weighed_error(values: Mapping[str, Tensor]) -> float:
        picture = c3_synthesis(features, synthesis_of(values)).clamp(0, 1)
        return fitting.pixels * fitting.figures(0.0, picture).loss

    costs: dict[str, Callable[[Mapping[str, Tensor]], float]] = {
        "entropy": bits,
        "synthesis": weighed_error,
    }
    integers: dict[str, Tensor] = {}
    exponents: dict[str, int] = {}
    for part in PARTS:
        found = _search(fitting, part, costs[part])
        integers |= found.integers
        exponents |= found.exponents
    ordered = {name: integers[name] for name in fitting.networks}
    return C3Networks(ordered, {group: exponents[group] for group in GROUPS})


def _search(
    fitting: C3Fitting, part: str, cost: Callable[[Mapping[str, Tensor]], float]
) -> C3Networks:
    groups = [f"{part}.{kind}" for kind in KINDS]
    rounded = {
        group: {
            n: {
                name: (fitting.values[name].detach() * 2.0**n).round().long()
                for name in fitting.networks
                if group_of(name) == group
            }
            for n in TRIED[group]
        }
        for group in groups
    }
    sizes = {
        (group, n): sum(laplace_bits_of(v, log_scale_of(v)) for v in found.values())
        for group, by_step in rounded.items()
        for n, found in by_step.items()
    }
    best: tuple[float, C3Networks] | None = None
    for pair in itertools.product(*(TRIED[group] for group in groups)):
        exponents = dict(zip(groups, pair, strict=True))
        integers = rounded[groups[0]][pair[0]] | rounded[groups[1]][pair[1]]
        networks = C3Networks(integers, exponents)
        if not _possible(part, networks):
            continue
        loss = cost(networks.values()) + sum(sizes[chosen] for chosen in exponents.items())
        if math.isfinite(loss) and (best is None or loss < best[0]):
            best = loss, networks
    if best is None:
        raise KodecError(f"no step makes integers of the {part} network: it has diverged")
    return best[1]


def _possible(part: str, networks: C3Networks) -> bool:
    """Whether they can be coded, and proved exact."""
    if any(int(value.abs().max()) >= MOST for value in networks.integers.values()):
        return False
    if part == "entropy":
        try:
            arm_of(networks.integers, networks.exponents)
        except InvalidInputError:
            return False
    return True
