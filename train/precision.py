"""Which arithmetic training runs in, where the config leaves it to the machine."""

import re
from pathlib import Path

import torch

_CPU_INFO = Path("/proc/cpuinfo")
# Matrix products of bfloat16 in hardware: AVX-512, AMX, 64-bit ARM.
_CPU_FEATURES = {"avx512_bf16", "amx_bf16", "bf16"}


def automatic_precision(accelerator: str = "auto") -> str:
    """`bf16-mixed` where the device computes with bfloat16 faster, otherwise `32-true`.

    accelerator: as Lightning names it; "auto" is the GPU if there is one.
    """
    on_cuda = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    if on_cuda:
        gains = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        gains = accelerator in ("auto", "cpu") and cpu_has_bfloat16()
    return "bf16-mixed" if gains else "32-true"


def cpu_has_bfloat16(cpu_info: Path = _CPU_INFO) -> bool:
    """Whether the CPU multiplies bfloat16 itself; systems without /proc/cpuinfo count as no."""
    try:
        text = cpu_info.read_text()
    except OSError:
        return False
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return found is not None and not _CPU_FEATURES.isdisjoint(found[1].split())
