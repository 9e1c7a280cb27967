"""What fitted pictures are made of, in C++ with gradients, for CPUs; no torch.

Runs on any CPU; which instructions it uses is the coder's choice (`kodec.native.simd`).
"""

from ._grids import (
    build_pyramid,
    context_rate,
    network_gradient,
    pyramid_gradient,
    run_network,
    small_convolution,
    small_convolution_gradient,
    soft_round,
    stack_gradient,
    stack_grids,
)

__all__ = [
    "build_pyramid",
    "context_rate",
    "network_gradient",
    "pyramid_gradient",
    "run_network",
    "small_convolution",
    "small_convolution_gradient",
    "soft_round",
    "stack_gradient",
    "stack_grids",
]
