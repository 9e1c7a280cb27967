"""What the core takes: plain float32 in a CPU's memory, where its layers are quicker."""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from kodec.native.layers import layers_name, runs_layers

# Multiplications below which products by AVX2 take longer than PyTorch's, by the tenth.
LEAST_BY_AVX2 = 2**24


def as_array(x: Tensor) -> NDArray[Any]:
    """Its values, without gaps, as the core takes them: a tensor itself takes it six times as long
    to look at."""
    found: NDArray[Any] = x.detach().contiguous().numpy()
    return found


def core_takes_floats(*tensors: Tensor) -> bool:
    """Whether all of these are float32 on a CPU, outside autocast: the core may have them."""
    return not torch.is_autocast_enabled("cpu") and all(
        tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in tensors
    )


def _is_quicker() -> bool:
    """Whether this CPU is one that was measured, and KODEC_LAYERS is not `off`.

    Where PyTorch was told to keep to the plainest instructions, everything is its own.
    """
    return runs_layers() and torch.backends.cpu.get_cpu_capability() in ("AVX2", "AVX512")


def core_takes(x: Tensor) -> bool:
    """Whether the core can have this input here, without gradients, and is quicker."""
    return not torch.is_grad_enabled() and core_takes_floats(x) and _is_quicker()


def core_multiplies_floats(x: Tensor, products: int) -> bool:
    """The same where all it does with it are so many multiplications, of positions by weights."""
    return core_takes(x) and (products >= LEAST_BY_AVX2 or layers_name() != "avx2")


def core_trains(x: Tensor) -> bool:
    """Whether the core can have this input here where gradients are asked for, and is quicker."""
    return torch.is_grad_enabled() and core_takes_floats(x) and _is_quicker()


def lies_channels_last(x: Tensor) -> bool:
    """Whether (N, C, H, W) lies channels last in memory, and not channels first as well."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
