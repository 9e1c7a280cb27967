"""The coder's instruction sets: which of them this machine runs, and choosing one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from kodec.native import InvalidInputError, simd

SIMD_NAMES = ("avx512", "avx2", "scalar")
"""From the fastest to the slowest."""

VARIABLE = "KODEC_SIMD"
"""Read whenever an encoder or decoder is made."""


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
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = name
    try:
        yield
    finally:
        if before is None:
            del os.environ[VARIABLE]
        else:
            os.environ[VARIABLE] = before
