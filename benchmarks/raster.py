"""Raster autoregression beside CompressAI's: compress and decompress latents of one size.

    python benchmarks/raster.py --channels 192 --height 512 --width 768 --rounds 2

Both models have random weights of the same structure (mbt2018's); the transforms are left out of
kodec's times and, as far as CompressAI's calls allow, measured apart for CompressAI's. One thread.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch

from kodec.entropy import Conditions, RasterAutoregression, SymbolReader, SymbolWriter, build_tables


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, and what the call gave."""
    start = time.perf_counter()
    result = run()
    return time.perf_counter() - start, result


@torch.inference_mode()
def main() -> None:
    """Print seconds of each round and the medians of their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--channels", type=int, default=192)
    parser.add_argument("--height", type=int, default=512)
    parser.add_argument("--width", type=int, default=768)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    from compressai.models import JointAutoregressiveHierarchicalPriors

    theirs = JointAutoregressiveHierarchicalPriors(options.channels, options.channels).eval()
    theirs.update(force=True, scale_table=torch.logspace(-0.96, 2.4, 64).tolist())
    ours = RasterAutoregression(options.channels, options.channels, scales="linear").eval()
    build_tables(ours)
    ours.double()
    ours.hyper_analysis.float()
    x = torch.rand(1, 3, options.height, options.width)
    y = theirs.g_a(x)
    y *= 4 / y.std()
    theirs.g_a = torch.nn.Identity()
    theirs.g_s = torch.nn.Identity()
    cond = Conditions(y.shape)

    def write() -> bytes:
        writer = SymbolWriter(1)
        ours.code(y, cond, writer)
        return writer.finish()[0]

    def read(stream: bytes) -> torch.Tensor:
        reader = SymbolReader([stream])
        y_hat = ours.code(None, cond, reader)
        reader.finish()
        return y_hat

    ratios: list[list[float]] = [[], []]
    for number in range(options.rounds):
        their_encode, packed = timed(lambda: theirs.compress(y))
        their_decode, _ = timed(lambda p=packed: theirs.decompress(**p))  # type: ignore[misc]
        our_encode, stream = timed(write)
        our_decode, _ = timed(lambda s=stream: read(s))  # type: ignore[misc]
        print(
            f"round {number}: encode {our_encode:.2f} s, CompressAI {their_encode:.2f} s; "
            f"decode {our_decode:.2f} s, CompressAI {their_decode:.2f} s"
        )
        ratios[0].append(their_encode / our_encode)
        ratios[1].append(their_decode / our_decode)
    print(f"times faster: encode {statistics.median(ratios[0]):.1f}", end=", ")
    print(f"decode {statistics.median(ratios[1]):.1f}")


if __name__ == "__main__":
    main()
