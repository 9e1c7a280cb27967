"""Layers that start at zero."""

from typing import TypeVar

from torch import nn

Layer = TypeVar("Layer", bound=nn.Conv2d | nn.Linear)


def zeroed(layer: Layer) -> Layer:
    """The layer with weights and bias set to zero, so that its branch starts as nothing."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
