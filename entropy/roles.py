"""Which side runs a part of a model: precision, model id and what decoders need follow from it."""

from typing import Literal, TypeVar

from torch import nn

Role = Literal["encoder", "shared", "decoder"]
"""encoder: only encoders run it. shared: both sides do, before a table index, a snapped state or
another decision that both must make alike. decoder: what comes after all of these, which may differ
in the last bit."""

_MARK = "_kodec_role"
Module = TypeVar("Module", bound=nn.Module)


def as_role(role: Role, module: Module) -> Module:
    """The module, marked: it and its parts, but those marked otherwise, have this role."""
    setattr(module, _MARK, role)
    return module


def encoder_only(module: Module) -> Module:
    """The module, marked as the encoder's."""
    return as_role("encoder", module)


def role_of(module: nn.Module, above: Role = "shared") -> Role:
    """The role that a module is marked with; unmarked, that of the module above it."""
    found: Role = getattr(module, _MARK, above)
    return found


def roles_of(root: nn.Module) -> dict[str, Role]:
    """The role of `root` and of every module in it, by path; shared where nothing is marked."""
    found: dict[str, Role] = {}
    # Parents come before their parts.
    for path, module in root.named_modules():
        above: Role = found[path.rpartition(".")[0]] if path else "shared"
        found[path] = role_of(module, above)
    return found
