"""Tokens in float64, as portable entropy models have them, by the core: without gradients."""

import torch
from torch import Tensor

from kodec.native import simd
from kodec.native.tokens import (
    depthwise,
    depthwise_of_known,
    laplace_symbols,
    located,
    token_gelu,
    token_magnitudes,
    token_product,
)

from .core_floats import as_array

# Fewer tokens are not worth a call.
LEAST_TOKENS = 4


def core_takes_tokens(x: Tensor) -> bool:
    """Whether the core can have this input here: float64 on a CPU, without gradients."""
    return x.dtype == torch.float64 and x.device.type == "cpu" and not torch.is_grad_enabled()


def core_multiplies(x: Tensor, weight: Tensor) -> bool:
    """Whether the core can have this product, (..., A) with (B, A), and is quicker than PyTorch.

    MKL keeps to AVX2 on CPUs that are not Intel's: with AVX-512 the core takes half its time, with
    AVX2 as long, and what follows the product takes no further pass. Without these it is slower.
    """
    tokens = x.numel() // max(1, x.shape[-1])
    return (
        core_takes_tokens(x)
        and weight.dtype == x.dtype
        and tokens >= LEAST_TOKENS
        and simd() != "scalar"
    )


def multiplied(
    x: Tensor, weight: Tensor, bias: Tensor | None, curved: bool, plus: Tensor | None
) -> Tensor:
    """x (..., A) with weight (B, A), plus bias; GELU of it if curved; plus (..., B): (..., B)."""
    if plus is not None:
        plus = plus.expand(*x.shape[:-1], -1).reshape(-1, len(weight))
    found = token_product(
        as_array(x.reshape(-1, x.shape[-1])),
        as_array(weight),
        None if bias is None else as_array(bias),
        curved,
        None if plus is None else as_array(plus),
        torch.get_num_threads(),
    )
    return torch.from_numpy(found).view(*x.shape[:-1], -1)


def curved_tokens(x: Tensor) -> Tensor:
    """GELU by tanh: any shape that lies densely in memory, the same shape and order there."""
    last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
    lying = (x.movedim(1, -1) if last else x).contiguous()
    found = torch.from_numpy(token_gelu(as_array(lying.view(-1)), torch.get_num_threads()))
    found = found.view(lying.shape)
    return found.movedim(-1, 1) if last else found


def token_sizes(x: Tensor) -> Tensor:
    """log(1 + |x|), and the same with x's sign: (N, P, C) -> (N, P, 2 C)."""
    found = token_magnitudes(as_array(x.reshape(-1, x.shape[-1])), torch.get_num_threads())
    return torch.from_numpy(found).view(*x.shape[:-1], -1)


def depthwise_filtered(x: Tensor, taps: Tensor, bias: Tensor) -> Tensor:
    """Depthwise convolution: x (N, C, H, W), taps (k, k, C), bias (C,) -> (N, C, H, W).

    The result lies channels last in memory.
    """
    lying = as_array(x.movedim(1, -1))
    found = depthwise(lying, as_array(taps), as_array(bias), torch.get_num_threads())
    return torch.from_numpy(found).movedim(-1, 1)


def depthwise_known(
    grid: Tensor,
    margin: int,
    places: Tensor,
    phases: Tensor,
    phase: int,
    taps: Tensor,
    bias: Tensor,
) -> Tensor:
    """The same of what is known so far, where it is wanted, (N, P, C).

    See `kodec.native.tokens.depthwise_of_known`.
    """
    found = depthwise_of_known(
        as_array(grid),
        margin,
        as_array(places),
        as_array(phases),
        phase,
        as_array(taps),
        as_array(bias),
        torch.get_num_threads(),
    )
    return torch.from_numpy(found)


def laplace_rounded(
    y: Tensor,
    mean: Tensor,
    log_scale: Tensor,
    coded_from: float,
    log_smallest: float,
    lagrangian: float,
) -> Tensor:
    """Symbols of y, float32 or float64, in float64; all of one shape.

    See `kodec.native.tokens.laplace_symbols`.
    """
    found = laplace_symbols(
        as_array(y).reshape(-1),
        as_array(mean).reshape(-1),
        as_array(log_scale).reshape(-1),
        coded_from,
        log_smallest,
        lagrangian,
        torch.get_num_threads(),
    )
    return torch.from_numpy(found).view(y.shape)


def located_tokens(
    parameters: Tensor, log_spread: Tensor, predicted: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Means and log scales (N, P, C) of relative ones (N, P, 2 C), log_spread (C,).

    See `kodec.native.tokens.located`.
    """
    n, tokens, both = parameters.shape
    beside = None if predicted is None else as_array(predicted.reshape(-1, both // 2))
    found = located(
        as_array(parameters.reshape(-1, both)),
        as_array(torch.exp(log_spread)),
        as_array(log_spread),
        beside,
        torch.get_num_threads(),
    )
    mean, log_scale = torch.from_numpy(found).view(2, n, tokens, both // 2)
    return mean, log_scale
