"""Seconds that every published system takes for a picture, CompressAI's own models beside them.

    python benchmarks/systems.py [--configs mbt2018-mean,elic] [--runs 5] [--threads 1]
                                 [--serial-runs 2] [--picture FILE] [--json REPORT.json]

Pixels in memory to bytes and back. A config with a counterpart in CompressAI has that model's
weights, through `kodec import`, so that both code the same latents: drawn at random, then set so
that latents spread from 0.05 to 2 steps and scales fit them. Where there is no counterpart, the
config's own random weights are set likewise, and its times stand alone.

Each system is timed in both portability classes: local, whose entropy path runs in float32 as
CompressAI's does, and whose files other machines may not read, as CompressAI's; and guarded, the
default, in float64. Contestants take turns in every run, in an order that turns round; what is
reported are medians of the seconds, and of the ratios to CompressAI in the same run. With one
thread seconds are the process' CPU time, which a busy machine disturbs less, else they pass by.

Serial orders take CompressAI long: see --serial-runs. Every contestant decodes what it wrote, and
pixels must agree within 0.1 levels on average. Files are held against CompressAI's likelihoods:
ours with the scales that the networks predict, CompressAI's with these as its table of 64 rounds
them up. Random weights predict scales too small for many latents, so that rounding up saves up to
some percent, and so do escapes in place of a Gaussian's tail: files may be 1 % and 64 bytes larger
than that, and 3 % smaller.
"""

import statistics
import sys
import time
from argparse import ArgumentTypeError
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

import kodec.native
from kodec.codecs import (
    read_picture,
    to_array,
    to_tensor,
)
from kodec.eval import describe_machine, find_dataset
from kodec.native import InvalidInputError, KodecError
from random_systems import (
    Config,
    codec_section,
    fixed_rate_configs,
    imported,
    make_codec,
    make_ours_alone,
    make_theirs,
)
from reporting import parser_of, run, write_json

LIMIT, SERIAL_LIMIT = 1.1, 0.2
# Of what is the same codec with the same weights, in other arithmetic.
MOST_BYTES_MORE, MOST_BYTES_LESS, MOST_LEVELS_APART = 0.01, 0.03, 0.1
STREAM_BYTES = 64
SERIAL = ("mbt2018", "cheng2020-anchor", "cheng2020-attn")

Pixels = NDArray[np.uint8]
Times = dict[str, dict[str, list[float]]]


class Peer:
    """CompressAI's model behind the two calls that are timed."""

    def __init__(self, network: Any) -> None:
        self.network = network
        self.network.update(force=True)

    @torch.inference_mode()
    def encode(self, pixels: Pixels) -> dict[str, Any]:
        """Pixels to streams."""
        out: dict[str, Any] = self.network.compress(to_tensor(pixels).contiguous())
        return out

    @torch.inference_mode()
    def decode(self, coded: dict[str, Any]) -> Pixels:
        """Streams to pixels."""
        decoded = self.network.decompress(**{k: coded[k] for k in ("strings", "shape")})
        return to_array(decoded["x_hat"], 3)


def stream_bytes(coded: Any) -> int:
    """Bytes of a file, or of CompressAI's nested lists of streams."""
    if isinstance(coded, bytes):
        return len(coded)
    if isinstance(coded, dict):
        return stream_bytes(coded["strings"])
    return sum(stream_bytes(part) for part in coded)


@torch.inference_mode()
def expected_bytes(theirs: Any, x: Tensor) -> tuple[float, float]:
    """Bytes by likelihoods of `x`: with scales as predicted, and rounded up as `Peer` does."""
    from compressai.entropy_models import GaussianConditional

    latents = {"predicted": 0.0, "rounded": 0.0}
    forward = GaussianConditional.forward

    def count(self: Any, y: Tensor, scales: Tensor, means: Any = None, training: Any = None) -> Any:
        coded, likelihood = forward(self, y, scales, means, training)
        rounded = self.scale_table[self.build_indexes(scales)]
        again = self._likelihood(coded, rounded, means).clamp_min(1e-9)
        latents["predicted"] -= float(likelihood.log2().sum()) / 8
        latents["rounded"] -= float(again.log2().sum()) / 8
        return coded, likelihood

    with patch.object(GaussianConditional, "forward", count):
        likelihoods = theirs(x)["likelihoods"]
    total = -sum(float(value.log2().sum()) / 8 for value in likelihoods.values())
    return total, total - latents["predicted"] + latents["rounded"]


class Race:
    """Contestants that take turns: seconds of encoding and decoding by name."""

    def __init__(self, contestants: dict[str, Any], pixels: Pixels, clock: Callable[[], float]):
        self.contestants = contestants
        self.pixels = pixels
        self.clock = clock
        self.times: Times = defaultdict(lambda: defaultdict(list))
        self.sizes: dict[str, int] = {}
        self.decoded: dict[str, Pixels] = {}

    def _timed(self, work: Callable[[], Any]) -> tuple[float, Any]:
        start = self.clock()
        result = work()
        return self.clock() - start, result

    def take_turns(self, backwards: bool) -> None:
        """Each contestant encodes, then decodes what it wrote."""
        for name in list(self.contestants)[:: -1 if backwards else 1]:
            coder = self.contestants[name]
            encoding, coded = self._timed(lambda c=coder: c.encode(self.pixels))  # type: ignore[misc]
            decoding, decoded = self._timed(lambda c=coder, d=coded: c.decode(d))  # type: ignore[misc]
            self.sizes[name] = stream_bytes(coded)
            self.decoded[name] = decoded
            self.times[name]["encode"].append(encoding)
            self.times[name]["decode"].append(decoding)

    def check(self, config: str, expected: dict[str, float]) -> None:
        """Raise `KodecError` where contestants differ in more than rounding.

        expected: bytes that a file should have, of those contestants of which it is known.
        """
        first, *others = self.contestants
        for name, size in expected.items():
            more = self.sizes[name] - size
            if not -MOST_BYTES_LESS * size <= more <= MOST_BYTES_MORE * size + STREAM_BYTES:
                raise KodecError(f"{config}: {name} wrote {self.sizes[name]} bytes for {size:.0f}")
        for name in others:
            pixels = np.abs(self.decoded[name].astype(int) - self.decoded[first]).mean()
            if pixels > MOST_LEVELS_APART:
                raise KodecError(f"{config}: {name} and {first} differ by {pixels:.3f} levels")

    def outcome(self) -> Config:
        """Medians of seconds, by contestant, and of the ratios to CompressAI in the same run."""
        found: Config = {}
        for name, by_verb in self.times.items():
            found[name] = {"bytes": self.sizes[name]}
            for verb, seconds in by_verb.items():
                found[name][verb] = {"median": statistics.median(seconds), "all": seconds}
                if "CompressAI" in self.times and name != "CompressAI":
                    peer = self.times["CompressAI"][verb]
                    ratios = [a / b for a, b in zip(seconds, peer, strict=True)]
                    found[name][verb]["ratio"] = statistics.median(ratios)
        return found


def measure(name: str, pixels: Pixels, runs: int, clock: Callable[[], float]) -> Config:
    """All contestants of one config."""
    torch.manual_seed(0)
    section = codec_section(name)
    x = to_tensor(pixels).contiguous()
    theirs = make_theirs(name, x)
    state = make_ours_alone(section, x) if theirs is None else imported(theirs, name)
    contestants: dict[str, Any] = {}
    expected = {}
    if theirs is not None:
        contestants["CompressAI"] = Peer(theirs)
        predicted, rounded = expected_bytes(theirs, x)
        expected = {"CompressAI": rounded, "local": predicted, "guarded": predicted}
    for portability in ("local", "guarded"):
        contestants[portability] = make_codec(name, section, state, portability)
    race = Race(contestants, pixels, clock)
    for number in range(runs):
        race.take_turns(backwards=number % 2 == 1)
        print(f"\r{name}: run {number + 1}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    race.check(name, expected)
    outcome = race.outcome()
    for contestant, size in expected.items():
        outcome[contestant]["expected_bytes"] = round(size)
    return outcome


def row(name: str, outcome: Config) -> str:
    """A line of the table."""

    def cell(contestant: str, verb: str) -> str:
        if contestant not in outcome:
            return "-"
        found = outcome[contestant][verb]
        ratio = f" ({found['ratio']:.2f})" if "ratio" in found else ""
        return f"{found['median']:.2f}{ratio}"

    cells = [
        cell(contestant, verb)
        for verb in ("encode", "decode")
        for contestant in ("CompressAI", "local", "guarded")
    ]
    sizes = [f"{found['bytes']:,}" for found in outcome.values()]
    return f"| `{name}` | " + " | ".join(cells) + f" | {', '.join(sizes)} |"


def over_limit(outcomes: dict[str, Config]) -> list[str]:
    """Which ratios are beyond what is allowed."""
    found = []
    for name, outcome in outcomes.items():
        limit = SERIAL_LIMIT if name in SERIAL else LIMIT
        for contestant in ("local", "guarded"):
            for verb in ("encode", "decode"):
                ratio = outcome[contestant][verb].get("ratio")
                if ratio is not None and ratio > limit:
                    found.append(f"{name}, {contestant}, {verb}: {ratio:.2f}, over {limit}")
    return found


def whole(text: str) -> int:
    """A whole number above zero."""
    if not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"a whole number above zero, not {text!r}")
    return int(text)


def main() -> int:
    """Measure, print, and return the exit status."""
    parser = parser_of(__doc__)
    parser.add_argument("--configs", help="names, by default every config of one rate")
    parser.add_argument("--runs", type=whole, default=5)
    parser.add_argument("--serial-runs", type=whole, default=2, help="of serial orders")
    parser.add_argument("--threads", type=whole, default=1)
    parser.add_argument("--picture", type=Path, help="an RGB picture; by default kodim01")
    parser.add_argument("--json", type=Path, help="write the report")
    options = parser.parse_args()
    known = fixed_rate_configs()
    asked = options.configs
    names = known if asked is None else [name.strip() for name in asked.split(",")]
    if unknown := [name for name in names if name not in known]:
        raise InvalidInputError(f"configs are {', '.join(known)}; not {', '.join(unknown)}")
    torch.set_num_threads(options.threads)
    kodec.native.set_threads(options.threads)
    path = options.picture or find_dataset("kodak")[0]
    pixels = read_picture(path).pixels
    clock = time.process_time if options.threads == 1 else time.perf_counter
    machine = describe_machine()
    print(
        f"{path.name}, {pixels.shape[1]}x{pixels.shape[0]}; {machine['cpu']}, {machine['cores']} "
        f"cores, {machine['threads']} threads, {machine['cpu_capability']}, torch "
        f"{machine['torch']}; medians of {options.runs} runs, (ratio to CompressAI)\n"
    )
    print("| config | encode: CompressAI | local | guarded ", end="")
    print("| decode: CompressAI | local | guarded | bytes |\n|---|---|---|---|---|---|---|---|")
    outcomes = {}
    for name in names:
        runs = options.serial_runs if name in SERIAL else options.runs
        outcomes[name] = measure(name, pixels, runs, clock)
        print(row(name, outcomes[name]), flush=True)
        over = over_limit(outcomes)
        if options.json is not None:
            report = {"picture": path.name, "machine": machine, "systems": outcomes, "over": over}
            write_json(options.json, report)
    print("\n" + ("\n".join(over) or "every ratio within its limit"))
    return 1 if over else 0


if __name__ == "__main__":
    run(main, "systems.py")
