"""Layers of transforms in C++, for CPUs; no torch. Only where `runs_layers()`."""

from ._layers import (
    convolution,
    divisive_normalisation,
    filter_gradient,
    gelu,
    gelu_gradient,
    minimal_filtering,
    place_filter,
    places,
    runs_layers,
)

__all__ = [
    "convolution",
    "divisive_normalisation",
    "filter_gradient",
    "gelu",
    "gelu_gradient",
    "minimal_filtering",
    "place_filter",
    "places",
    "runs_layers",
]
