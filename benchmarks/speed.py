"""Seconds to encode and decode a 768x512 picture, beside CompressAI's scale hyperprior.

    python benchmarks/speed.py [--model default] [--threads N] [--repeats 15] [--qualities 8,32,48]
                               [--picture FILE] [--json REPORT.json]

Models loaded, one warm-up each, then all in turn within every repeat, so that a busy machine slows
them alike; medians. From pixels in memory to a file's bytes and back. The peer is CompressAI's
`bmshj2018-hyperprior`, quality 3, architecture with random weights, through its public API: its
networks take the time that trained ones take, its coder at most that, as its streams are short.

Where kodec's time goes comes from runs of their own, with clocks inside. The picture is the first
Kodak picture of 768x512 (KODEC_DATA names the folder with kodak/) unless a file is given.
"""

import os
import sys
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kodec.codecs import Codec, load, read_picture, to_array, to_tensor
from kodec.entropy import Distribution, SymbolReader, SymbolWriter
from kodec.eval import describe_machine, find_dataset
from kodec.native import Decoder, Encoder, InvalidInputError
from reporting import parser_of, run, write_report

WIDTH, HEIGHT = 768, 512
LIMIT_SECONDS = 0.5
PEER = "bmshj2018-hyperprior-3"

Pixels = NDArray[np.uint8]
Seconds = dict[str, float]


class Peer:
    """CompressAI's model behind the two calls that are timed."""

    def __init__(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            from compressai.zoo import bmshj2018_hyperprior
        torch.manual_seed(0)
        self.network = bmshj2018_hyperprior(3, pretrained=False).eval()
        self.network.update()

    @torch.inference_mode()
    def encode(self, pixels: Pixels) -> dict[str, Any]:
        """Pixels to streams."""
        compressed: dict[str, Any] = self.network.compress(to_tensor(pixels).contiguous())
        return compressed

    @torch.inference_mode()
    def decode(self, compressed: dict[str, Any]) -> Pixels:
        """Streams to pixels."""
        decoded = self.network.decompress(compressed["strings"], compressed["shape"])
        return to_array(decoded["x_hat"], 3)


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that `work` takes, and what it returns."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def race(codec: Codec, peer: Peer, pixels: Pixels, qualities: list[int], repeats: int) -> Any:
    """Every contestant in turn, `repeats` times after a warm-up: lists of seconds by name."""
    times: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    sizes: dict[str, int] = {}
    for repeat in range(repeats + 1):
        for quality in qualities:
            name = f"kodec {codec.name}, quality {quality}"
            encoding, data = timed(lambda q=quality: codec.encode(pixels, q))  # type: ignore[misc]
            decoding, _ = timed(lambda d=data: codec.decode(d))  # type: ignore[misc]
            sizes[name] = len(data)
            if repeat:
                times[name]["encode"].append(encoding)
                times[name]["decode"].append(decoding)
        name = f"CompressAI {PEER}"
        encoding, streams = timed(lambda: peer.encode(pixels))
        decoding, _ = timed(lambda s=streams: peer.decode(s))  # type: ignore[misc]
        sizes[name] = sum(len(string) for strings in streams["strings"] for string in strings)
        if repeat:
            times[name]["encode"].append(encoding)
            times[name]["decode"].append(decoding)
        print(f"\rrepeat {repeat}/{repeats}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return {
        name: {
            "bytes": sizes[name],
            **{
                verb: {
                    "median": float(np.median(seconds)),
                    "least": min(seconds),
                    "most": max(seconds),
                }
                for verb, seconds in by_verb.items()
            },
        }
        for name, by_verb in times.items()
    }


class Stopwatch:
    """Adds up seconds by name; a part inside another counts for itself alone."""

    def __init__(self) -> None:
        self.seconds: Seconds = defaultdict(float)
        self._inner = [0.0]

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Time the body as `name`."""
        self._inner.append(0.0)
        start = time.perf_counter()
        try:
            yield
        finally:
            whole = time.perf_counter() - start
            self.seconds[name] += whole - self._inner.pop()
            self._inner[-1] += whole

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, timed as `name`."""

        def wrapped(*arguments: Any, **named: Any) -> Any:
            with self.part(name):
                return function(*arguments, **named)

        return wrapped


def where_time_goes(codec: Codec, pixels: Pixels, quality: int, repeats: int) -> dict[str, Seconds]:
    """Median seconds of each part of encoding and decoding, by verb and part."""
    found: dict[str, list[Seconds]] = {"encode": [], "decode": []}
    data = codec.encode(pixels, quality)
    for _ in range(repeats):
        for verb in found:
            watch = Stopwatch()
            with clocks(codec, watch), watch.part("rest"):
                if verb == "encode":
                    codec.encode(pixels, quality)
                else:
                    codec.decode(data)
            found[verb].append(watch.seconds)
    return {
        verb: {
            part: float(np.median([run[part] for run in runs]))
            for part in sorted({part for run in runs for part in run})
        }
        for verb, runs in found.items()
    }


@contextmanager
def clocks(codec: Codec, watch: Stopwatch) -> Iterator[None]:
    """Put a clock around every part of the codec."""

    class TimedEncoder:
        def __init__(self) -> None:
            encoder = Encoder()
            self.add = watch.wrap("rANS", encoder.add)
            self.finish = watch.wrap("rANS", encoder.finish)

    class TimedDecoder:
        def __init__(self, stream: bytes) -> None:
            decoder = watch.wrap("rANS", Decoder)(stream)
            self.symbols = decoder.symbols
            self.decode = watch.wrap("rANS", decoder.decode)
            self.finish = watch.wrap("rANS", decoder.finish)

    class TimedWriter(SymbolWriter):
        def code(self, name: str, y: Tensor | None, dist: Distribution) -> Tensor:
            with watch.part("symbols and table indexes"):
                return super().code(name, y, dist)

    class TimedReader(SymbolReader):
        def code(self, name: str, y: Tensor | None, dist: Distribution) -> Tensor:
            with watch.part("symbols and table indexes"):
                return super().code(name, y, dist)

    network = codec.network
    latents: Any = network.latents
    with ExitStack() as stack:
        for target, replacement in (
            ("kodec.entropy.ports.symbol_streams.Encoder", TimedEncoder),
            ("kodec.entropy.ports.symbol_streams.Decoder", TimedDecoder),
            ("kodec.codecs.codec.SymbolWriter", TimedWriter),
            ("kodec.codecs.codec.SymbolReader", TimedReader),
        ):
            stack.enter_context(patch(target, replacement))
        wrapped = watch.wrap("entropy networks", latents.code)
        stack.enter_context(patch.object(latents, "code", wrapped))
        modules: list[tuple[str, nn.Module]] = [
            ("analysis", network.analysis),
            ("synthesis", network.synthesis),
        ]
        for part, module in modules:
            forward = watch.wrap(part, module.forward)
            stack.enter_context(patch.object(module, "forward", forward))
        yield


def picture_of(path: Path | None) -> tuple[str, Pixels]:
    """Name and pixels of the picture to code."""
    for candidate in find_dataset("kodak") if path is None else [path]:
        pixels = read_picture(candidate).pixels
        if pixels.shape == (HEIGHT, WIDTH, 3):
            return candidate.name, pixels
    raise InvalidInputError(f"no RGB picture of {WIDTH}x{HEIGHT} pixels: name another --picture")


def print_parts(parts: dict[str, Seconds], quality: int) -> None:
    """Where the time goes, as a table."""
    print(f"\nwhere kodec's time goes, quality {quality} (ms)")
    names = sorted({name for part in parts.values() for name in part})
    for name in names:
        row = [1000 * parts[verb].get(name, 0.0) for verb in ("encode", "decode")]
        print(f"{name:28s} {row[0]:8.1f} {row[1]:8.1f}")
    totals = [1000 * sum(parts[verb].values()) for verb in ("encode", "decode")]
    print(f"{'together':28s} {totals[0]:8.1f} {totals[1]:8.1f}")


def print_race(race_: Any, contestants: Sequence[str]) -> None:
    """Medians, as a table, with the ratio to the peer."""
    peer = race_[contestants[-1]]
    print(f"{'median seconds':36s} {'encode':>8s} {'decode':>8s} {'bytes':>8s}  peer's time / own")
    for name in contestants:
        row = race_[name]
        own = [row[verb]["median"] for verb in ("encode", "decode")]
        ratios = [peer[verb]["median"] / row[verb]["median"] for verb in ("encode", "decode")]
        print(
            f"{name:36s} {own[0]:8.3f} {own[1]:8.3f} {row['bytes']:8d}  "
            f"{ratios[0]:.2f} encoding, {ratios[1]:.2f} decoding"
        )


def main() -> int:
    """Measure, print, and return the exit status."""
    parser = parser_of(__doc__)
    parser.add_argument("--model", default="default", help="embedded model or model file")
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--threads", type=int, default=cores, help="of torch; by default all cores")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--qualities", default="8,32,48")
    parser.add_argument("--picture", type=Path, help="an RGB picture of 768x512 pixels")
    parser.add_argument("--json", type=Path, help="write the report")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    name, pixels = picture_of(options.picture)
    qualities = [int(quality) for quality in options.qualities.split(",")]
    codec = load(options.model)
    load_before = os.getloadavg()[0]
    outcome = race(codec, Peer(), pixels, qualities, options.repeats)
    middle = sorted(qualities)[len(qualities) // 2]
    parts = where_time_goes(codec, pixels, middle, options.repeats)

    machine = describe_machine()
    print(
        f"{name}, {WIDTH}x{HEIGHT}; {machine['cpu']}, {machine['cores']} cores, "
        f"{machine['threads']} threads, {machine['cpu_capability']}, torch {machine['torch']}; "
        f"load average before {load_before:.2f}; {options.repeats} repeats"
    )
    contestants = list(outcome)
    print_race(outcome, contestants)
    print_parts(parts, middle)
    slowest = max(
        outcome[row][verb]["median"] for row in contestants[:-1] for verb in ("encode", "decode")
    )
    held = slowest < LIMIT_SECONDS
    print(f"\nslowest median {slowest:.3f} s: {'below' if held else 'NOT BELOW'} {LIMIT_SECONDS} s")
    report = {
        "load_average_before": load_before,
        "picture": name,
        "repeats": options.repeats,
        "held": held,
        "seconds": outcome,
        "parts": {"quality": middle, **parts},
    }
    write_report(options.json, codec, report)
    return 0 if held else 1


if __name__ == "__main__":
    run(main, "speed.py")
