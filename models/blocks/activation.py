"""Activations behind convolutions, in one pass with them where they can be."""

from typing import Literal, get_args

from torch import Tensor, nn

from .finish import Finish
from .memory import add_to

Activation = Literal["relu", "leaky_relu", "gelu"]
# Of what is negative.
SLOPES = {"relu": 0.0, "leaky_relu": 0.01}


def checked(name: Activation) -> Activation:
    """The name; ValueError if it is none."""
    if name not in get_args(Activation):
        raise ValueError(f"activation is one of {get_args(Activation)}, not {name!r}")
    return name


def activated(
    layer: nn.Module, x: Tensor, activation: Activation, plus: Tensor | None = None
) -> Tensor:
    """act(layer(x)), and `plus` added if there is one: (N, C, H, W) -> (N, C', H', W').

    The layer is a `PaddedConv2d` or `SubpixelConv2d`.
    """
    if activation != "gelu":
        out: Tensor = layer(x, Finish(SLOPES[activation], plus))
        return out
    found = nn.functional.gelu(layer(x))
    return found if plus is None else add_to(found, plus)


def activated_sum(layer: nn.Module, x: Tensor, activation: Activation, plus: Tensor) -> Tensor:
    """act(layer(x) + plus): (N, C, H, W) -> (N, C', H', W')."""
    if activation != "gelu":
        out: Tensor = layer(x, Finish(plus=plus, last_slope=SLOPES[activation]))
        return out
    return nn.functional.gelu(layer(x, Finish(plus=plus)))
