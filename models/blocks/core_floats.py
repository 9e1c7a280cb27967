"""What the core takes: plain float32 in a CPU's memory."""

import torch
from torch import Tensor


def core_takes_floats(*tensors: Tensor) -> bool:
    """Whether all of these are float32 on a CPU, outside autocast: the core may have them."""
    return not torch.is_autocast_enabled("cpu") and all(
        tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in tensors
    )
