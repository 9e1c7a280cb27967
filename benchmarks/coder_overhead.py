"""What short streams cost in bytes, and many small blocks in time, beside the coder's ideal.

    python benchmarks/coder_overhead.py [--draws 2000] [--repeats 15] [--json REPORT.json]

Workloads: zero-mean Gaussians whose scales are drawn from the usual 64 log-spaced ones from 0.11 to
256, all of them (A) or the first 21 (B). One thread of the instruction set that KODEC_SIMD names.

Bytes: streams of 1 to 1,000 symbols, each of its own draws. Ideal is -log2 of the probability that
the coder's own integer tables give the symbols' codes, and the raw bits; what follows an escape
counts as overhead. At most 16 bytes are allowed for 100 symbols, on average and at worst. Beside
it, the overhead against the Gaussians themselves, integrated over unit bins.

Time: the same symbols as one block and as 20, encoded from arrays to bytes and decoded to an array,
in turn, CPU time of the thread, medians. Half the speed of one block is the least allowed.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from kodec.entropy import ScaleTables
from kodec.eval import describe_machine
from kodec.native import Decoder, Encoder, InvalidInputError, Tables, set_threads, simd
from reporting import parser_of, run, write_json

WORKLOADS = {"A": 64, "B": 21}
SHORT = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
LONG = (100_000, 400_000, 4_000_000)
BLOCKS = 20
LIMIT_SYMBOLS, LIMIT_BYTES = 100, 16.0
LIMIT_SPEED = 0.5
# Work that is timed at once; less is repeated, since short times are measured badly.
SYMBOLS_AT_ONCE = 1_000_000
NO_OVERRIDES = np.zeros(0, np.uint32)

Symbols = NDArray[np.int16]
Indexes = NDArray[np.uint8]
Blocks = Sequence[tuple[Symbols, Indexes]]


class Gaussians:
    """The scales, the coder's tables for them, and what these say a symbol costs."""

    def __init__(self) -> None:
        tables = ScaleTables("gaussian")
        tables.build()
        self.native: Tables = tables.native
        self.bits = tables.bits
        self.scales = np.exp(tables.log_smallest + np.arange(tables.levels) * tables.log_step)
        arrays = tables.arrays()
        self.sizes = arrays["sizes"].astype(np.int64)
        self.offsets = arrays["offsets"].astype(np.int64)
        self.shifts = arrays["shifts"].astype(np.int64)
        self.starts = np.cumsum(self.sizes) - self.sizes
        self.information = -np.log2(arrays["frequencies"].astype(np.float64) / 2**14)

    def draw(self, rng: np.random.Generator, count: int, levels: int) -> tuple[Symbols, Indexes]:
        """Symbols (count,) and their table indexes (count,) from the first `levels` scales."""
        chosen = rng.integers(0, levels, count)
        symbols = np.rint(rng.standard_normal(count) * self.scales[chosen]).astype(np.int16)
        return symbols, (chosen + 1).astype(np.uint8)

    def ideal_bits(self, symbols: Symbols, indexes: Indexes) -> tuple[float, int]:
        """Bits of the symbols' codes and of what is sent raw; and how many symbols escape."""
        table = indexes.astype(np.int64) - 1
        code = symbols.astype(np.int64) - self.offsets[table] >> self.shifts[table]
        escape = self.sizes[table] - 1
        escapes = (code < 0) | (code >= escape)
        bits = self.information[self.starts[table] + np.where(escapes, escape, code)]
        return float((bits + self.shifts[table]).sum()), int(escapes.sum())

    def true_bits(self, symbols: Symbols, indexes: Indexes) -> float:
        """Bits that the Gaussians themselves leave the symbols."""
        scales = torch.from_numpy(self.scales[indexes.astype(np.int64) - 1])
        return float(self.bits(torch.from_numpy(symbols).double(), scales).sum())


def encode(blocks: Blocks, tables: Tables) -> bytes:
    """The stream of the blocks, in segments and lanes of the encoder's choice."""
    encoder = Encoder()
    for symbols, indexes in blocks:
        encoder.add(symbols, indexes, tables, NO_OVERRIDES)
    return encoder.finish()


def decode(stream: bytes, blocks: Blocks, tables: Tables, out: NDArray[np.int32]) -> None:
    """Decode all blocks into `out`, one behind the other."""
    decoder = Decoder(stream)
    start = 0
    for _, indexes in blocks:
        decoder.decode(indexes, tables, out[start : start + len(indexes)])
        start += len(indexes)
    decoder.finish()


@dataclass
class Overhead:
    """Streams of one number of symbols: bytes, means over the draws unless named otherwise."""

    workload: str
    symbols: int
    draws: int
    bytes: float
    ideal: float
    overhead: float
    worst: float
    worst_without_escapes: float
    draws_with_escapes: int
    true_overhead: float
    true_worst: float


def measure_overhead(
    gaussians: Gaussians, workload: str, symbols: int, draws: int, seed: int
) -> Overhead:
    """Encode `draws` streams of `symbols` symbols, and check that they come back."""
    rng = np.random.default_rng((seed, symbols))
    sizes, ideals, true_ideals = np.zeros(draws), np.zeros(draws), np.zeros(draws)
    escapes = np.zeros(draws, np.int64)
    out = np.zeros(symbols, np.int32)
    for draw in range(draws):
        block = gaussians.draw(rng, symbols, WORKLOADS[workload])
        stream = encode([block], gaussians.native)
        decode(stream, [block], gaussians.native, out)
        if not np.array_equal(out, block[0]):
            raise AssertionError("other symbols came back")
        bits, escapes[draw] = gaussians.ideal_bits(*block)
        sizes[draw], ideals[draw] = len(stream), bits / 8
        true_ideals[draw] = gaussians.true_bits(*block) / 8
    over, true_over = sizes - ideals, sizes - true_ideals
    return Overhead(
        workload,
        symbols,
        draws,
        float(sizes.mean()),
        float(ideals.mean()),
        float(over.mean()),
        float(over.max()),
        float(over[escapes == 0].max(initial=-math.inf)),
        int((escapes > 0).sum()),
        float(true_over.mean()),
        float(true_over.max()),
    )


@dataclass
class Speeds:
    """Million symbols a second of one direction, as one block and as many; and how they compare."""

    workload: str
    symbols: int
    direction: str
    one_block: float
    many_blocks: float
    ratio: float


def measure_speeds(gaussians: Gaussians, workload: str, symbols: int, repeats: int) -> list[Speeds]:
    """Both directions of one size; the ratio is the median of every repeat's own."""
    rng = np.random.default_rng(symbols)
    whole = gaussians.draw(rng, symbols, WORKLOADS[workload])
    many = list(
        zip(np.array_split(whole[0], BLOCKS), np.array_split(whole[1], BLOCKS), strict=True)
    )
    tables = gaussians.native
    out = np.zeros(symbols, np.int32)
    times = max(1, SYMBOLS_AT_ONCE // symbols)

    def seconds(work: Callable[[], object]) -> float:
        start = time.thread_time()
        for _ in range(times):
            work()
        return time.thread_time() - start

    spent: dict[tuple[str, int], list[float]] = {}
    for repeat in range(repeats + 1):
        for blocks in ([whole], many):
            stream = encode(blocks, tables)
            for direction, work in (
                ("encode", lambda b=blocks: encode(b, tables)),
                ("decode", lambda s=stream, b=blocks: decode(s, b, tables, out)),
            ):
                taken = seconds(work)
                if repeat:
                    spent.setdefault((direction, len(blocks)), []).append(taken)
            if not np.array_equal(out, whole[0]):
                raise AssertionError("other symbols came back")
    rows = []
    for direction in ("encode", "decode"):
        one, twenty = (np.array(spent[direction, count]) for count in (1, BLOCKS))
        million = symbols * times / 1e6
        rows.append(
            Speeds(
                workload,
                symbols,
                direction,
                million / float(np.median(one)),
                million / float(np.median(twenty)),
                float(np.median(one / twenty)),
            )
        )
    return rows


def print_overheads(rows: Sequence[Overhead]) -> None:
    """As a table, one line for each workload and number of symbols."""
    columns = "symbols bytes ideal overhead worst unescaped escapes true worst".split()
    print("\nworkload " + " ".join(f"{column:>9s}" for column in columns))
    for row in rows:
        print(
            f"{row.workload:8s} {row.symbols:9d} {row.bytes:9.1f} {row.ideal:9.1f} "
            f"{row.overhead:9.2f} {row.worst:9.2f} {row.worst_without_escapes:9.2f} "
            f"{row.draws_with_escapes:9d} {row.true_overhead:9.2f} {row.true_worst:9.2f}"
        )
    print("unescaped: worst of the draws without escapes; escapes: draws with some;")
    print("true: overhead against the Gaussians themselves, mean and worst")


def print_speeds(rows: Sequence[Speeds]) -> None:
    """As a table, one line for each workload, size and direction."""
    print(f"\nworkload  symbols direction  one block  {BLOCKS} blocks (M symbols/s)  ratio")
    for row in rows:
        print(
            f"{row.workload:8s} {row.symbols:8d} {row.direction:9s} {row.one_block:10.0f} "
            f"{row.many_blocks:10.0f} {row.ratio:20.2f}"
        )


def main() -> int:
    """Measure, print, and return the exit status."""
    parser = parser_of(__doc__)
    parser.add_argument("--draws", type=int, default=2000, help="of each number of symbols")
    parser.add_argument("--repeats", type=int, default=15, help="of each timing")
    parser.add_argument("--json", type=Path, help="write the report")
    options = parser.parse_args()
    if options.draws < 1 or options.repeats < 1:
        raise InvalidInputError("--draws and --repeats must be at least 1")
    set_threads(1)
    gaussians = Gaussians()
    machine = describe_machine()
    print(f"{machine['cpu']}, {simd()}, {options.draws} draws, {options.repeats} repeats")

    overheads = [
        measure_overhead(gaussians, workload, symbols, options.draws, seed)
        for seed, workload in enumerate(WORKLOADS)
        for symbols in SHORT
    ]
    print_overheads(overheads)
    speeds = [
        row
        for workload in WORKLOADS
        for symbols in LONG
        for row in measure_speeds(gaussians, workload, symbols, options.repeats)
    ]
    print_speeds(speeds)

    limited = [row for row in overheads if row.symbols == LIMIT_SYMBOLS]
    checks = {
        f"on average at most {LIMIT_BYTES:g} bytes for {LIMIT_SYMBOLS} symbols": all(
            row.overhead <= LIMIT_BYTES for row in limited
        ),
        "the same at worst": all(row.worst <= LIMIT_BYTES for row in limited),
        f"{BLOCKS} blocks at no less than {LIMIT_SPEED:g} of one block's speed": all(
            row.ratio >= LIMIT_SPEED for row in speeds
        ),
    }
    print()
    for name, held in checks.items():
        print(f"{'held' if held else 'NOT HELD':8s} {name}")
    if options.json:
        report = {
            "machine": machine,
            "simd": simd(),
            "checks": checks,
            "overheads": [asdict(row) for row in overheads],
            "speeds": [asdict(row) for row in speeds],
        }
        write_json(options.json, report)
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    run(main, "coder_overhead.py")
