"""Parameters of fitted networks: weights to integers to bits, and back to the same weights.

weights --quantisers--> Quantised --ParameterCoder, a port--> Quantised --dequantise--> weights
"""

from .integer_code import choose_model, code_integers
from .masks import code_mask, mask_symbols
from .parameter_coder import CODING_BYTES, ParameterCoder, TensorLayout
from .quantised import Quantised
from .quantisers import given_step, in_halves, over_axis, symmetric, uniform, without

__all__ = [
    "CODING_BYTES",
    "ParameterCoder",
    "Quantised",
    "TensorLayout",
    "choose_model",
    "code_integers",
    "code_mask",
    "given_step",
    "in_halves",
    "mask_symbols",
    "over_axis",
    "symmetric",
    "uniform",
    "without",
]
