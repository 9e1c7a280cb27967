"""Cool-chic's networks through a port: steps, then integers."""

from collections.abc import Mapping

import torch
from torch import Tensor

from kodec.entropy import SymbolPort

from .cool_chic_steps import IntegerNetworks, group_of


def code_networks(
    networks: IntegerNetworks | None, shapes: Mapping[str, tuple[int, ...]], port: SymbolPort
) -> IntegerNetworks:
    """None where the port reads; shapes: of all weights by name."""
    groups: dict[str, list[str]] = {}
    for name in shapes:
        groups.setdefault(group_of(name), []).append(name)
    exponents, integers = {}, {}
    for group, names in groups.items():
        given = None if networks is None else torch.tensor([[networks.exponents[group]]])
        exponents[group] = int(port.integers(f"{group} step", given, 32, torch.Size((1, 1))))
        for name in names:
            shape = torch.Size((1, torch.Size(shapes[name]).numel()))
            own = None
            if networks is not None:
                own = networks.integers[name].reshape(shape).long() + (1 << 16)
            found: Tensor = port.integers(name, own, 1 << 17, shape) - (1 << 16)
            integers[name] = found.reshape(shapes[name]).to(torch.int32)
    return IntegerNetworks(integers, exponents)
