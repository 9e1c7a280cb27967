"""Where the time of encoding and decoding whole pictures goes.

    python benchmarks/profile_codec.py [--quality 32] [--repeats 5] [--threads 1] [PICTURE ...]

Without pictures: kodim01 (KODEC_DATA) and a picture of 4000x3000 put together from the Kodak set.
Times are medians of this process's CPU seconds, of one thread by default:

    coder       inside the rANS coder, its index checksums included
    symbols     the rest of the port: quantisation, table indexes, values for what follows
    networks    the latent model's other work: hyperprior and contexts
    transform   analysis or synthesis, with strips and gain
    other       pixels, container, checksums
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import kodec
import reporting
from kodec.codecs import Codec, read_picture
from kodec.entropy import SymbolReader, SymbolWriter, ports
from kodec.eval import describe_machine, find_dataset

STAGES = ("coder", "symbols", "networks", "transform", "other")


class Stopwatch:
    """CPU seconds inside the functions that it wraps, each without those it calls."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = dict.fromkeys(STAGES, 0.0)
        self._inner = [0.0]

    def wrap(self, owner: Any, name: str, stage: str) -> None:
        """Time `owner.name` from now on."""
        function = getattr(owner, name)

        def timed(*arguments: Any, **named: Any) -> Any:
            self._inner.append(0.0)
            start = time.process_time()
            try:
                return function(*arguments, **named)
            finally:
                whole = time.process_time() - start
                self.seconds[stage] += whole - self._inner.pop()
                self._inner[-1] += whole

        setattr(owner, name, timed)


def instrument(codec: Codec) -> Stopwatch:
    """Wrap the stages of this codec, and of all ports."""
    watch = Stopwatch()
    for kind, methods in (("Encoder", ("add", "finish")), ("Decoder", ("decode", "finish"))):
        native = getattr(ports, kind)

        def made(*arguments: Any, native: Any = native, methods: Any = methods) -> Any:
            return _Timed(native(*arguments), methods, watch)

        setattr(ports, kind, made)
    for port in (SymbolWriter, SymbolReader):
        watch.wrap(port, "code", "symbols")
    watch.wrap(codec.network.latents, "code", "networks")
    watch.wrap(codec.network, "_strip_by_strip", "transform")
    return watch


class _Timed:
    """A native coder whose methods count as coder time; itself can't be changed."""

    def __init__(self, native: Any, methods: tuple[str, ...], watch: Stopwatch) -> None:
        self._native = native
        for name in methods:
            setattr(self, name, getattr(native, name))
            watch.wrap(self, name, "coder")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)


def measure(work: Callable[[], Any], watch: Stopwatch, repeats: int) -> dict[str, float]:
    """Median seconds of each stage over repeated runs, after one that does not count."""
    runs = []
    for _ in range(repeats + 1):
        watch.seconds = dict.fromkeys(STAGES, 0.0)
        start = time.process_time()
        work()
        whole = time.process_time() - start
        watch.seconds["other"] = whole - sum(watch.seconds.values())
        runs.append(watch.seconds | {"whole": whole})
    return {key: float(np.median([run[key] for run in runs[1:]])) for key in (*STAGES, "whole")}


def large_picture() -> NDArray[np.uint8]:
    """4000x3000 pixels: Kodak pictures side by side."""
    landscape = [read_picture(path).pixels for path in find_dataset("kodak")]
    tiles = [pixels for pixels in landscape if pixels.shape == (512, 768, 3)]
    rows = [
        np.concatenate([tiles[(6 * r + c) % len(tiles)] for c in range(6)], 1) for r in range(6)
    ]
    return np.ascontiguousarray(np.concatenate(rows)[:3000, :4000])


def report(name: str, codec: Codec, pixels: NDArray[np.uint8], quality: int, repeats: int) -> None:
    """Print a picture's two lines."""
    watch = instrument(codec)
    data = codec.encode(pixels, quality)
    symbols = codec.network.symbols_per_item(*pixels.shape[:2])[-1]
    print(
        f"\n{name}, {pixels.shape[1]}x{pixels.shape[0]}: {symbols:,} symbols, {len(data):,} bytes"
    )
    print(f"{'ms':>8}" + "".join(f"{stage:>12}" for stage in (*STAGES, "whole")))
    for label, work in (
        ("encode", lambda: codec.encode(pixels, quality)),
        ("decode", lambda: codec.decode(data)),
    ):
        seconds = measure(work, watch, repeats)
        cells = "".join(f"{1e3 * seconds[stage]:>12.1f}" for stage in (*STAGES, "whole"))
        print(f"{label:>8}{cells}")


def main() -> int:
    """Print the tables."""
    parser = reporting.parser_of(__doc__)
    parser.add_argument("pictures", nargs="*", type=Path, metavar="PICTURE")
    parser.add_argument("--quality", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if hasattr(kodec.native, "set_threads"):
        kodec.native.set_threads(options.threads)
    codec = kodec.load()
    print(reporting.heading(codec, max(len(options.pictures), 2)))
    print(", ".join(f"{key} {value}" for key, value in describe_machine().items()))
    if options.pictures:
        chosen = [(path.name, read_picture(path).pixels) for path in options.pictures]
    else:
        first = find_dataset("kodak")[0]
        chosen = [(first.name, read_picture(first).pixels), ("mosaic", large_picture())]
    for name, pixels in chosen:
        report(name, kodec.load(), pixels, options.quality, options.repeats)
    return 0


if __name__ == "__main__":
    sys.exit(reporting.run(main, "profile_codec"))
