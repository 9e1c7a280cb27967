"""Layers of transforms in C++, for CPUs; no torch. Only where `runs_layers()`."""

from ._layers import (
    Filters,
    convolution,
    divisive_normalisation,
    filter_gradient,
    from_blocks,
    gelu,
    gelu_gradient,
    keep_freed,
    layers_name,
    minimal_filtering,
    place_filter,
    places,
    runs_layers,
    to_blocks,
)

__all__ = [
    "Filters",
    "convolution",
    "divisive_normalisation",
    "filter_gradient",
    "from_blocks",
    "gelu",
    "gelu_gradient",
    "keep_freed",
    "layers_name",
    "minimal_filtering",
    "place_filter",
    "places",
    "runs_layers",
    "to_blocks",
]
