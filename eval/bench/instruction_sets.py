"""Instruction sets of the coder and of layers: which of them run here, and choosing one."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from kodec.native import InvalidInputError, simd

SIMD_NAMES = ("avx512", "avx2", "scalar")
"""From the fastest to the slowest."""

VARIABLE, LAYERS_VARIABLE = "KODEC_SIMD", "KODEC_LAYERS"
"""Read whenever an encoder or decoder is made, and at each layer."""


def available_simd() -> list[str]:
    """The coder's instruction sets that run on this machine, the fastest first."""
    found = []
    for name in SIMD_NAMES:
        try:
            with using_simd(name):
                simd()
        except InvalidInputError:
            continue
        found.append(name)
    return found


@contextmanager
def using_simd(name: str | None) -> Iterator[None]:
    """Let encoders and decoders made inside use an instruction set; None: as it is."""
    if name is None:
        yield
        return
    with _set(VARIABLE, name):
        yield


def without_layers() -> AbstractContextManager[None]:
    """Let all layers of networks inside be PyTorch's."""
    return _set(LAYERS_VARIABLE, "off")


@contextmanager
def _set(variable: str, value: str) -> Iterator[None]:
    before = os.environ.get(variable)
    os.environ[variable] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before
