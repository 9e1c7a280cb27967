"""What measured times and bytes depend on: the machine, and the versions of what ran."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import torch


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


def describe_versions() -> dict[str, str]:
    """The versions of kodec and of the libraries that measure."""
    found = {}
    for name in ("kodec", "numpy", "pillow", "av", "pytorch-msssim"):
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
