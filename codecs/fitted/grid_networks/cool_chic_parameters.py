"""Cool-chic's networks as integers, and through a port.

All weights of a part are one list for the coder, and all biases: of so few integers any finer
division costs more than it saves.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from kodec.entropy import SymbolPort
from kodec.entropy.parameters import ParameterCoder, Quantised, TensorLayout
from kodec.native import BitstreamError

# Of each part, n at most: of its weights' steps 2^-n and of its biases'. What decides tables is
# held in integers, whose fractions end there.
FINEST = {"arm": (8, 16), "ifce": (8, 16), "synthesis": (12, 24), "upsampling": (12, 0)}
KINDS = ("weight", "bias")


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


def grouped(names: Iterable[str]) -> dict[str, list[str]]:
    """Names by their groups, in order."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(group_of(name), []).append(name)
    return groups


def coder_of(shapes: Mapping[str, tuple[int, ...]]) -> ParameterCoder:
    """For weights of these shapes by name."""
    sizes = {
        group: sum(math.prod(shapes[name]) for name in names)
        for group, names in grouped(shapes).items()
    }
    return ParameterCoder({g: TensorLayout(torch.Size((n,)), g) for g, n in sizes.items()})


def code_networks(
    networks: IntegerNetworks | None, shapes: Mapping[str, tuple[int, ...]], port: SymbolPort
) -> IntegerNetworks:
    """None where the port reads; shapes: of all weights by name. Raises `BitstreamError`."""
    groups = grouped(shapes)
    given = None
    if networks is not None:
        given = {
            group: Quantised(
                torch.cat([networks.integers[name].flatten() for name in names]),
                torch.tensor(2.0 ** -networks.exponents[group]),
            )
            for group, names in groups.items()
        }
    found = coder_of(shapes).code(given, port)
    integers, exponents = {}, {}
    for group, names in groups.items():
        exponents[group] = _exponent(group, found[group])
        sizes = [math.prod(shapes[name]) for name in names]
        for name, part in zip(names, found[group].integers.split(sizes), strict=True):
            integers[name] = part.reshape(shapes[name])
    return IntegerNetworks({name: integers[name] for name in shapes}, exponents)


def _exponent(group: str, found: Quantised) -> int:
    part, kind = group.split(".")
    finest = FINEST[part][KINDS.index(kind)]
    plain = found.offset is None and found.mask is None and found.step.numel() == 1
    for n in range(finest + 1):
        if plain and float(found.step) == 2.0**-n:
            return n
    raise BitstreamError(f"the steps of {group} are none of 1 to 2^-{finest}: the file is damaged")
