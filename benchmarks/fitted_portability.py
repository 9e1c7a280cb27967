"""Decode fitted files under every setting: the same numbers, pixels within 1.

    python benchmarks/fitted_portability.py FILE.kdc...

Each variant is a process of its own, with the instruction sets and threads of portability.py. What
was parsed (parameters, indexes, latents) must be equal, but for the last bits of latents that means
in float64 are part of (guarded files: another symbol would be an error of the coder's); of pixels,
the largest difference is told.
"""

import dataclasses
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kodec.codecs.fitted import open_fitted
from kodec.native import KodecError
from portability import VARIANTS
from reporting import parser_of, run

# Of latents in quantisation steps.
ROUNDING = 1e-9


def numbers(value: Any) -> Iterator[np.ndarray[Any, Any]]:
    """All that was parsed, in order."""
    if isinstance(value, Tensor):
        yield value.detach().double().cpu().numpy().reshape(-1)
    elif isinstance(value, int | float):
        yield np.array([float(value)])
    elif isinstance(value, Mapping):
        for key in sorted(value):
            yield from numbers(value[key])
    elif isinstance(value, list | tuple):
        for item in value:
            yield from numbers(item)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            yield from numbers(getattr(value, field.name))


def child(path: Path, threads: int, output: Path) -> None:
    """Decode, and keep what came of it."""
    torch.set_num_threads(threads)
    file = open_fitted(path.read_bytes())
    parsed = np.concatenate(list(numbers(file.parameters)))
    np.savez(output, parsed=parsed, frame=file.reconstruction.frame(0))


def compare(path: Path, folder: Path) -> bool:
    """Print a line for each variant; whether all numbers were the same and pixels within 1."""
    found: dict[str, Any] = {}
    for name, (threads, environment) in VARIANTS.items():
        output = folder / f"{name}.npz"
        command = [sys.executable, __file__, "--child", str(output), str(threads), str(path)]
        variables = {**os.environ, **environment, "OMP_NUM_THREADS": str(threads)}
        subprocess.run(command, env=variables, check=True)
        found[name] = np.load(output)
    first = next(iter(found.values()))
    good = True
    for name, arrays in found.items():
        away = float(np.abs(arrays["parsed"] - first["parsed"]).max())
        apart = int(np.abs(arrays["frame"].astype(int) - first["frame"].astype(int)).max())
        good &= away <= ROUNDING and apart <= 1
        count = len(arrays["parsed"])
        print(f"{path.name} {name}: {count} numbers {away:.0e} apart, pixels {apart}")
    return good


def main() -> int:
    """Compare each file."""
    parser = parser_of(__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--child", nargs=2, help="what a variant's process gets")
    options = parser.parse_args()
    if options.child:
        child(options.files[0], int(options.child[1]), Path(options.child[0]))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        results = [compare(path, Path(folder)) for path in options.files]
    return 0 if all(results) else 1


if __name__ == "__main__":
    run(main, "fitted_portability.py", (KodecError, OSError))
