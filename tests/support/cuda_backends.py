"""Where the tests of the CUDA coder run: on a device, or on the CPU's emulation of one."""

import ctypes
import fcntl
import importlib.util
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from kodec.entropy import Coders, DeviceCoders, coders_of
from kodec.native import cuda

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build" / "emulated"
PROGRAMS = BUILD / "tests" / "emulated_cuda"

CUDA_DEVICE_TYPE = 2  # DLPack's kDLCUDA


class PretendedTensor:
    """A NumPy array that says over DLPack that it lies on CUDA device 0."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array

    def __dlpack_device__(self) -> tuple[int, int]:
        return CUDA_DEVICE_TYPE, 0

    def __dlpack__(self, **_: object) -> object:
        capsule = self.array.__dlpack__()
        pointer = ctypes.pythonapi.PyCapsule_GetPointer
        pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        # DLTensor begins with the data's address, then the device's type.
        address = pointer(capsule, b"dltensor") + ctypes.sizeof(ctypes.c_void_p)
        ctypes.c_int32.from_address(address).value = CUDA_DEVICE_TYPE
        return capsule


class Emulation:
    """The kernels, compiled as C++, on native/tests/emulated_cuda."""

    def __init__(self) -> None:
        build_emulation("_cuda_emulated")
        self.module = _load(next(PROGRAMS.glob("_cuda.*.so")))

    def tensor(self, array: NDArray[Any]) -> PretendedTensor:
        return PretendedTensor(array)

    def array(self, tensor: PretendedTensor) -> NDArray[Any]:
        return tensor.array

    def stream(self) -> int:
        return 0

    def coders(self) -> DeviceCoders:
        """For ports whose tensors are taken to lie on the device."""
        cpu = torch.device("cpu")
        return DeviceCoders(
            self.module, cpu, self.stream, lambda tensor: self.tensor(tensor.numpy())
        )


class Device:
    """The first CUDA device; skips the test where there is none."""

    def __init__(self) -> None:
        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")
        if not cuda.BUILT:
            pytest.skip("kodec was built without a CUDA compiler")
        from kodec.native import _cuda

        self.module: ModuleType = _cuda

    def tensor(self, array: NDArray[Any]) -> torch.Tensor:
        strides = [step // array.itemsize for step in array.strides]
        tensor = torch.from_numpy(np.ascontiguousarray(array)).cuda()
        if not array.flags.c_contiguous:
            size = sum((n - 1) * step for n, step in zip(array.shape, strides, strict=True)) + 1
            tensor = tensor.new_zeros(size).as_strided(array.shape, strides).copy_(tensor)
        return tensor

    def array(self, tensor: torch.Tensor) -> NDArray[Any]:
        return tensor.cpu().numpy()

    def stream(self) -> int:
        return torch.cuda.current_stream().cuda_stream

    def coders(self) -> Coders:
        """Those that ports use there."""
        return coders_of(torch.device("cuda"))


def build_emulation(target: str) -> None:
    """Build a target of native/tests/emulated_cuda; at once if nothing has changed.

    Skips the test where the tools for it are not installed.
    """
    scripts = str(Path(sys.executable).parent)
    cmake = shutil.which("cmake", path=scripts) or shutil.which("cmake")
    ninja = shutil.which("ninja", path=scripts) or shutil.which("ninja")
    if cmake is None or ninja is None or importlib.util.find_spec("nanobind") is None:
        pytest.skip("cmake, ninja and nanobind are needed to build the emulation")
    import nanobind

    options = {
        "CMAKE_MAKE_PROGRAM": ninja,
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_CXX_FLAGS_RELEASE": "-O1",
        "Python_EXECUTABLE": sys.executable,
        "nanobind_DIR": nanobind.cmake_dir(),
        "KODEC_CUDA": "OFF",
        "KODEC_CUDA_EMULATION": "ON",
    }
    BUILD.mkdir(parents=True, exist_ok=True)
    # Tests of several processes want it: one builds at a time, and the others wait.
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (BUILD / "build.ninja").exists():
            definitions = [f"-D{name}={value}" for name, value in options.items()]
            _run([cmake, "-S", str(ROOT / "native"), "-B", str(BUILD), "-G", "Ninja", *definitions])
        _run([cmake, "--build", str(BUILD), "--target", target])


def _run(command: list[str]) -> None:
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@cache
def _load(path: Path) -> ModuleType:
    # Once: its types can't be registered a second time while the first are alive.
    spec = importlib.util.spec_from_file_location("emulated._cuda", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
