"""What measured times and bytes depend on: the machine, and the versions of what ran."""

import os
import platform
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import torch

from kodec.eval.metrics.vmaf import vmaf_version


def describe_machine() -> dict[str, str | int]:
    """What times depend on: processor, cores, threads, and the versions of Python and torch."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }


def describe_versions(metrics: Sequence[str] = ()) -> dict[str, str]:
    """The versions of kodec and of what measures, the libraries of these metrics among it."""
    found = {"ffmpeg (vmaf)": vmaf_version()} if "vmaf" in metrics else {}
    libraries = ["kodec", "numpy", "pillow", "av", "pytorch-msssim"]
    for name in [*libraries, *(["torchmetrics"] if "lpips" in metrics else [])]:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()
