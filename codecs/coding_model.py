"""What every kind of codec shares: roles of its parts, precision, tables, what a decoder needs."""

from typing import Self

import torch
from torch import Tensor, nn

from kodec.entropy import build_tables, roles_of
from kodec.native import InvalidInputError

from .container import Portability

CODED_AS: tuple[Portability, ...] = ("guarded", "local")
"""The portability classes that are built; "exact" is a name in the format so far."""


class CodingModel(nn.Module):
    """A module whose parts have roles (`kodec.entropy.Role`), marked by who puts them together.

    portability: "guarded" runs what is shared in float64 and signals close calls, "local" runs it
    in float32 and is decodable on the same kind of machine only. Raises `InvalidInputError` for
    others.
    """

    def __init__(self, portability: Portability) -> None:
        super().__init__()
        if portability not in CODED_AS:
            raise InvalidInputError(
                f"portability is {' or '.join(CODED_AS)}, not {portability!r}: nothing else is "
                "coded yet"
            )
        self.portability: Portability = portability

    def deploy(self) -> Self:
        """Build the coder tables from the present weights, then `prepare`."""
        build_tables(self)
        return self.prepare()

    def prepare(self) -> Self:
        """Evaluation mode, with what is shared in the precision of the portability class."""
        self.eval()
        if self.portability != "local":
            roles = roles_of(self)
            for path, module in self.named_modules():
                if roles[path] == "shared":
                    _to_double(module)
        return self

    def decoder_state(self) -> dict[str, Tensor]:
        """The weights that decoding depends on, by name."""
        roles = roles_of(self)
        return {
            name: value
            for name, value in self.state_dict().items()
            if roles[name.rpartition(".")[0]] != "encoder"
        }

    def encoder_only_arguments(self) -> dict[str, tuple[str, ...]]:
        """By part of the config, the init arguments that decoding does not depend on."""
        named = {
            name: tuple(getattr(part, "encoder_only_arguments", ()))
            for name, part in self.named_children()
        }
        return {name: arguments for name, arguments in named.items() if arguments}

    def encoder_parts(self) -> tuple[str, ...]:
        """Parts of the config that are the encoder's altogether."""
        roles = roles_of(self)
        return tuple(name for name, _ in self.named_children() if roles[name] == "encoder")

    def uncast(self) -> torch.autocast:
        """A context without autocasting: for all that ends in a mean, a scale or a likelihood."""
        weight = next(self.parameters(), torch.empty(0))
        return torch.autocast(weight.device.type, enabled=False)


def _to_double(module: nn.Module) -> None:
    """A module's own parameters and buffers to float64, in place; not those of its parts."""
    for parameter in module.parameters(recurse=False):
        if parameter.is_floating_point():
            parameter.data = parameter.data.double()
    for name, buffer in module.named_buffers(recurse=False):
        if buffer.is_floating_point():
            setattr(module, name, buffer.double())
