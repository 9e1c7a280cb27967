"""What every kind of codec shares: roles of its parts, precision, tables, what a decoder needs."""

from typing import Self

import torch
from torch import Tensor, nn

from kodec.entropy import ExactLinear, build_tables, role_of, roles_of
from kodec.native import InvalidInputError

from .container.head_fields import CLASSES, Portability


class CodingModel(nn.Module):
    """A module whose parts have roles (`kodec.entropy.Role`), marked by who puts them together.

    portability: the class that is asked for. "local" runs what is shared in float32 and is
    decodable on the same kind of machine only. Otherwise it runs in float64, and the class follows
    from the parts: exact where they are, else guarded, where close calls are signalled. Raises
    `InvalidInputError` for a word that is no class; `check_exact` tells where "exact" is not had.
    """

    def __init__(self, portability: Portability) -> None:
        super().__init__()
        if portability not in CLASSES:
            raise InvalidInputError(
                f"portability is {', '.join(CLASSES[:-1])} or {CLASSES[-1]}, not {portability!r}"
            )
        self._asked_for: Portability = portability

    @property
    def variable_rate(self) -> bool:
        """Whether it takes a quality."""
        return False

    def inexact_parts(self) -> list[str]:
        """The shared parts, by name and class, that don't say that they are `exact`."""
        return [
            f"{name} ({type(part).__name__})"
            for name, part in self.named_children()
            if role_of(part) == "shared" and getattr(part, "exact", False) is not True
        ]

    @property
    def portability(self) -> Portability:
        """The class of what it writes."""
        if self._asked_for == "local":
            return "local"
        return "guarded" if self.inexact_parts() else "exact"

    def check_exact(self) -> None:
        """Raise `InvalidInputError` where "exact" was asked for and is not so."""
        parts = self.inexact_parts()
        if self._asked_for == "exact" and parts:
            raise InvalidInputError(
                f"portability can't be exact: in {' and '.join(parts)} floating-point numbers "
                "choose tables; make it guarded, for every machine too, or local"
            )

    def deploy(self) -> Self:
        """Build the coder tables from the present weights, then `prepare`."""
        build_tables(self)
        return self.prepare()

    def prepare(self) -> Self:
        """Evaluation mode, with what is shared in the precision of the portability class.

        Raises `InvalidInputError` where a layer in integers has weights that may round.
        """
        self.eval()
        for module in self.modules():
            if isinstance(module, ExactLinear):
                module.prove()
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
