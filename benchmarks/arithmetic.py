"""What products in other arithmetic, and a compiled graph, would bring before either is built.

    python benchmarks/arithmetic.py products         # 1536x192x384, in one thread
    python benchmarks/arithmetic.py compiled         # the default's transforms by torch.compile

`products` multiplies tokens (1536, 192) by weights (192, 384), as the default's entropy network has
them for 768x512: in float64 and float32 by PyTorch and by the core, in 16-bit and in 8-bit integers
by loops over AVX-512 VNNI's instructions, compiled here by g++, with sums in 32 bits. Integers are
timed alone, without the roundings between layers that would go with them. `compiled` needs g++ too.
All take turns; the least CPU time of a thread counts, as the machine may be busy.
"""

import argparse
import ctypes
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kodec.eval.bench.instruction_sets import without_layers
from kodec.models import RefinedLappedAnalysis, RefinedLappedSynthesis
from kodec.models.blocks import PointwiseConv2d

ROWS, INPUTS, OUTPUTS = 1536, 192, 384

VNNI = r"""
#include <immintrin.h>
#include <cstddef>
#include <cstdint>
// Rows of `words` 32-bit words, each of which holds two or four integers along the depth, times
// panels (words, 32) of such words: sums (rows, 32), 32-bit.
template <bool Bytes>
static void multiply(const std::int32_t *rows, const std::int32_t *panels, std::int32_t *sums,
                     std::size_t count, std::size_t words, std::size_t outputs) {
  for (std::size_t o = 0; o < outputs; o += 32, panels += words * 32)
    for (std::size_t r = 0; r + 12 <= count; r += 12) {
      __m512i sum[12][2];
      for (int i = 0; i < 12; ++i) sum[i][0] = sum[i][1] = _mm512_setzero_si512();
      for (std::size_t k = 0; k < words; ++k) {
        const __m512i a = _mm512_loadu_si512(panels + 32 * k);
        const __m512i b = _mm512_loadu_si512(panels + 32 * k + 16);
#pragma GCC unroll 12
        for (int i = 0; i < 12; ++i) {
          const __m512i value = _mm512_set1_epi32(rows[(r + i) * words + k]);
          sum[i][0] = Bytes ? _mm512_dpbusd_epi32(sum[i][0], value, a)
                            : _mm512_dpwssd_epi32(sum[i][0], value, a);
          sum[i][1] = Bytes ? _mm512_dpbusd_epi32(sum[i][1], value, b)
                            : _mm512_dpwssd_epi32(sum[i][1], value, b);
        }
      }
      for (int i = 0; i < 12; ++i) {
        _mm512_storeu_si512(sums + (r + i) * outputs + o, sum[i][0]);
        _mm512_storeu_si512(sums + (r + i) * outputs + o + 16, sum[i][1]);
      }
    }
}
extern "C" void words16(const std::int32_t *a, const std::int32_t *b, std::int32_t *c,
                        std::size_t n, std::size_t k, std::size_t o) {
  multiply<false>(a, b, c, n, k, o);
}
extern "C" void bytes8(const std::int32_t *a, const std::int32_t *b, std::int32_t *c,
                       std::size_t n, std::size_t k, std::size_t o) {
  multiply<true>(a, b, c, n, k, o);
}
"""


def race(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Least seconds of CPU time of each, in turn."""
    best = dict.fromkeys(ways, float("inf"))
    for number in range(rounds + 1):
        for name, way in ways.items():
            start = time.thread_time()
            way()
            taken = time.thread_time() - start
            if number:
                best[name] = min(best[name], taken)
    return best


def integer_products(folder: Path) -> dict[str, Callable[[], object]]:
    """Products in integers, proved right first."""
    source, library = folder / "vnni.cpp", folder / "vnni.so"
    source.write_text(VNNI)
    flags = ["-O3", "-mavx512f", "-mavx512vnni", "-shared", "-fPIC"]
    subprocess.run(["g++", *flags, str(source), "-o", str(library)], check=True)
    loaded = ctypes.CDLL(str(library))
    rng = np.random.default_rng(0)
    ways: dict[str, Callable[[], object]] = {}
    for name, kind, weights_kind in (
        ("16-bit integers (VNNI)", np.int16, np.int16),
        ("8-bit integers (VNNI)", np.uint8, np.int8),
    ):
        packed = 4 // np.dtype(kind).itemsize
        x = rng.integers(0, 100, (ROWS, INPUTS)).astype(kind)
        weight = rng.integers(-100, 100, (INPUTS, OUTPUTS)).astype(weights_kind)
        panels = weight.reshape(INPUTS // packed, packed, OUTPUTS // 32, 32)
        panels = np.ascontiguousarray(panels.transpose(2, 0, 3, 1))
        sums = np.zeros((ROWS, OUTPUTS), np.int32)
        function = loaded.words16 if packed == 2 else loaded.bytes8

        def way(
            function: Callable[..., None] = function,
            x: NDArray[Any] = x,
            panels: NDArray[Any] = panels,
            sums: NDArray[Any] = sums,
            packed: int = packed,
        ) -> None:
            pointers = [ctypes.c_void_p(array.ctypes.data) for array in (x, panels, sums)]
            sizes = [ctypes.c_size_t(size) for size in (ROWS, INPUTS // packed, OUTPUTS)]
            function(*pointers, *sizes)

        way()
        if not np.array_equal(sums, x.astype(np.int64) @ weight.astype(np.int64)):
            raise SystemExit(f"{name}: wrong sums")
        ways[name] = way
    return ways


@torch.inference_mode()
def products(rounds: int) -> None:
    """Time each arithmetic."""
    torch.manual_seed(0)
    layer = PointwiseConv2d(INPUTS, OUTPUTS)
    x = torch.randn(1, INPUTS, 32, ROWS // 32).to(memory_format=torch.channels_last)
    rows, weight = x.movedim(1, -1).reshape(ROWS, INPUTS), layer.weight[..., 0, 0]
    rows64, weight64 = rows.double(), weight.double()
    ways: dict[str, Callable[[], object]] = {
        "float64, PyTorch": lambda: torch.nn.functional.linear(rows64, weight64),
        "float32, PyTorch": lambda: torch.nn.functional.linear(rows, weight),
        "float32, the core": lambda: layer(x),
    }
    with tempfile.TemporaryDirectory() as folder:
        ways |= integer_products(Path(folder))
        best = race(ways, rounds)
    first = best["float64, PyTorch"]
    for name, seconds in best.items():
        rate = ROWS * INPUTS * OUTPUTS / seconds / 1e9
        print(f"{name:24} {1e3 * seconds:6.2f} ms {rate:6.0f} G products/s {first / seconds:5.2f}")


@torch.inference_mode()
def compiled(rounds: int, height: int, width: int) -> None:
    """Time the default's transforms as they are, without the core, and compiled."""
    os.environ.setdefault("TORCHINDUCTOR_CPP_WRAPPER", "0")
    torch.manual_seed(0)
    quality = torch.tensor([32.0])
    for name, module, x in (
        ("analysis", RefinedLappedAnalysis().eval(), torch.rand(1, 3, height, width)),
        (
            "synthesis",
            RefinedLappedSynthesis().eval(),
            torch.randn(1, 768, height // 16, width // 16),
        ),
    ):
        with without_layers():
            graph = torch.compile(module, fullgraph=False)
            start = time.perf_counter()
            graph(x, quality)
            seconds = time.perf_counter() - start

        def plain(module: torch.nn.Module = module, x: torch.Tensor = x) -> None:
            with without_layers():
                module(x, quality)

        def by_graph(graph: Callable[..., object] = graph, x: torch.Tensor = x) -> None:
            with without_layers():
                graph(x, quality)

        ways: dict[str, Callable[[], object]] = {
            "PyTorch": plain,
            "torch.compile": by_graph,
            "the core": lambda module=module, x=x: module(x, quality),  # type: ignore[misc]
        }
        best = race(ways, rounds)
        taken = ", ".join(f"{way} {1e3 * value:.1f} ms" for way, value in best.items())
        print(f"{name} {width}x{height}: {taken}; compiling took {seconds:.0f} s")


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("what", choices=("products", "compiled"))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument(
        "--size", default="768x512", help="of the picture, both sides multiples of 16"
    )
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.what == "products":
        products(arguments.rounds)
    else:
        width, height = map(int, arguments.size.split("x"))
        compiled(arguments.rounds, height, width)


if __name__ == "__main__":
    main()
