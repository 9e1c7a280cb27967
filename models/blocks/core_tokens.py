"""Tokens in float64, as portable entropy models have them, by the core: without gradients."""

import torch
from torch import Tensor

from kodec.native import simd
from kodec.native.tokens import (
    depthwise,
    depthwise_of_known,
    token_gelu,
    token_magnitudes,
    token_product,
)

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
        plus = plus.expand(*x.shape[:-1], -1).reshape(-1, len(weight)).contiguous()
    found = token_product(
        x.reshape(-1, x.shape[-1]).contiguous(),
        weight.detach().contiguous(),
        None if bias is None else bias.detach(),
        curved,
        plus,
        torch.get_num_threads(),
    )
    return torch.from_numpy(found).view(*x.shape[:-1], -1)


def curved_tokens(x: Tensor) -> Tensor:
    """GELU by tanh: any shape that lies densely in memory, the same shape and order there."""
    last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
    lying = (x.movedim(1, -1) if last else x).contiguous()
    found = torch.from_numpy(token_gelu(lying.view(-1), torch.get_num_threads())).view(lying.shape)
    return found.movedim(-1, 1) if last else found


def token_sizes(x: Tensor) -> Tensor:
    """log(1 + |x|), and the same with x's sign: (N, P, C) -> (N, P, 2 C)."""
    found = token_magnitudes(x.reshape(-1, x.shape[-1]).contiguous(), torch.get_num_threads())
    return torch.from_numpy(found).view(*x.shape[:-1], -1)


def depthwise_filtered(x: Tensor, taps: Tensor, bias: Tensor) -> Tensor:
    """Depthwise convolution: x (N, C, H, W), taps (k, k, C), bias (C,) -> (N, C, H, W).

    The result lies channels last in memory.
    """
    found = depthwise(
        x.movedim(1, -1).contiguous(), taps.detach(), bias.detach(), torch.get_num_threads()
    )
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
    threads = torch.get_num_threads()
    return torch.from_numpy(
        depthwise_of_known(
            grid, margin, places, phases, phase, taps.detach(), bias.detach(), threads
        )
    )
