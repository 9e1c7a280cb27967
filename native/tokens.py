"""What entropy models are made of, in C++ and float64, for CPUs; no torch, no gradients.

Runs on any CPU; which instructions it uses is the coder's choice (`kodec.native.simd`).
"""

from ._tokens import (
    depthwise,
    depthwise_of_known,
    keep_freed,
    laplace_symbols,
    located,
    token_gelu,
    token_magnitudes,
    token_product,
)

__all__ = [
    "depthwise",
    "depthwise_of_known",
    "keep_freed",
    "laplace_symbols",
    "located",
    "token_gelu",
    "token_magnitudes",
    "token_product",
]
