"""How fast the coder is, and how close to the ideal size, beside other projects' coders."""

import importlib.metadata
import os
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kodec.codecs import Codec
from kodec.eval.running.machine import describe_machine
from kodec.eval.running.run import Progress
from kodec.native import Decoder, Encoder, InvalidInputError, KodecError

from .bench_report import BenchReport
from .coder_peers import MOST_SYMBOLS, PEERS, REFERENCE, Peer, make_peers, peer_versions
from .coder_rows import Coder, Row
from .coder_workloads import PICTURE_IDEAL, GaussianWorkload, Item, picture_items
from .instruction_sets import available_simd, using_simd
from .race import Contestant, Race, threads_of

WORKLOADS = {"A": 64, "B": 21}
"""How many of the 64 scales each draws from; B's are those of typical low-rate latents."""
SLICED_SYMBOLS, SLICED_BLOCKS = 491_520, 20
"""Of a 768x512 picture, 320 latents for 16x16 pixels, and of a sliced latent model."""
SHORT_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
SHORT_STREAMS = 200


@dataclass(frozen=True)
class Measured:
    """All coders on one workload or picture."""

    name: str
    description: str
    ideal: str
    """What the ideal size is."""
    symbols: int
    zeros_percent: float
    ideal_bits_per_symbol: float
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class ShortStreams:
    """Streams of a few symbols each: bytes beyond the ideal, of the mean and of the worst."""

    workload: str
    symbols: int
    streams: int
    ideal_bytes: float
    bytes: float
    overhead_bytes: float
    most_overhead_bytes: float


@dataclass(frozen=True)
class CoderReport(BenchReport):
    """What `bench_coder` measured, and on what."""

    benchmark = "coder"

    workloads: tuple[Measured, ...]
    short_streams: tuple[ShortStreams, ...]
    pictures: tuple[Measured, ...]
    notes: tuple[str, ...] = field(default=())


def bench_coder(
    symbols: int = 4_000_000,
    repeats: int = 15,
    threads: int = 1,
    instruction_sets: Sequence[str] | None = None,
    pictures: Sequence[tuple[str, NDArray[np.uint8]]] = (),
    codec: Codec | None = None,
    qualities: Sequence[int | None] = (None,),
    peers: Sequence[str] = tuple(PEERS),
    progress: Progress | None = None,
) -> CoderReport:
    """Measure the coder from Python, arrays to bytes and back, beside other coders.

    symbols: of each drawn workload; other coders take the first million at most. repeats: timed
    runs of everything in turn, after one that is not timed. threads: 1 measures the thread's CPU
    time, more of them wall-clock time; other coders have one thread anyway. instruction_sets: names
    of `SIMD_NAMES`, by default all that run here; the first is also measured with other symbol
    types and block sizes. pictures: names and pixels (H, W, C) whose latents `codec` makes at each
    of `qualities`. peers: distributions of `PEERS`; those not installed are left out, with a note.

    Every run's symbols are compared with what was coded, and the streams of all instruction sets
    with one another: KodecError where they differ. Raises InvalidInputError for arguments that are
    out of range, an instruction set that this machine lacks, pictures without a codec.
    """
    possible = available_simd()
    chosen = list(dict.fromkeys(instruction_sets or possible))
    for name in chosen:
        if name not in possible:
            raise InvalidInputError(
                f"the instruction set {name} does not run on this machine: choose from "
                f"{', '.join(possible)}"
            )
    if pictures and codec is None:
        raise InvalidInputError("pictures need a codec that makes latents of them")
    notes: list[str] = []
    load_before = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    races = len(WORKLOADS) + len(pictures) * len(qualities)
    race = Race(repeats, threads, races, progress)
    workloads, short, shown = [], [], []
    # For torch one thread, as its work here is the peers'.
    with threads_of(1, threads):
        for name, levels in WORKLOADS.items():
            workload = GaussianWorkload(name, levels, symbols)
            others, missing = make_peers(workload, peers)
            notes += [note for note in missing if note not in notes]
            with using_simd(chosen[0]):
                short += measure_short_streams(workload)
            workloads.append(_measure_workload(race, workload, chosen, others))
        for title, pixels in pictures:
            assert codec is not None
            with using_simd(chosen[0]):
                items = picture_items(codec, title, pixels, qualities)
            shown += [_measure_picture(race, item, stream, chosen) for item, stream in items]
        machine = describe_machine()
    race.done()
    return CoderReport(
        {
            **machine,
            "simd": chosen[0],
            "simd_available": possible,
            "kodec": importlib.metadata.version("kodec"),
            "numpy": np.__version__,
            **{name: version for name, version in peer_versions().items() if name in peers},
        },
        {
            "symbols": symbols,
            "most_symbols_of_other_coders": MOST_SYMBOLS,
            "repeats": repeats,
            "threads": threads,
            "clock": race.clock_name,
            "instruction_sets": chosen,
            "load_average_before": load_before,
        },
        tuple(workloads),
        tuple(short),
        tuple(shown),
        tuple(notes),
    )


def encode_item(item: Item) -> bytes:
    """The item's stream."""
    encoder = Encoder()
    for block in item.blocks:
        encoder.add(block.symbols, block.indexes, block.tables, block.overrides)
    return encoder.finish()


def decode_item(item: Item, stream: bytes) -> list[NDArray[np.int32]]:
    """The symbols of each block in the item's stream."""
    decoder = Decoder(stream)
    symbols = [decoder.decode(block.indexes, block.tables) for block in item.blocks]
    decoder.finish()
    return symbols


def measure_short_streams(workload: GaussianWorkload) -> list[ShortStreams]:
    """Overheads of up to 200 streams of each size, cut from the workload one after another."""
    found = []
    for size in SHORT_SIZES:
        count = min(SHORT_STREAMS, workload.symbols.size // size)
        if not count:
            continue
        items = [workload.item(size, start=size * number) for number in range(count)]
        sizes = np.array([len(encode_item(item)) for item in items])
        ideal = np.array([item.ideal_bits / 8 for item in items])
        found.append(
            ShortStreams(
                workload=workload.name,
                symbols=size,
                streams=count,
                ideal_bytes=float(ideal.mean()),
                bytes=float(sizes.mean()),
                overhead_bytes=float((sizes - ideal).mean()),
                most_overhead_bytes=float((sizes - ideal).max()),
            )
        )
    return found


def _measure_workload(
    race: Race, workload: GaussianWorkload, chosen: list[str], others: list[Peer]
) -> Measured:
    whole, part = workload.item(), min(workload.symbols.size, SLICED_SYMBOLS)
    ours = [_kodec(whole, name) for name in chosen]
    wide = _kodec(workload.item(wide=True), chosen[0])
    sliced = [_kodec(workload.item(part, blocks), chosen[0]) for blocks in (1, SLICED_BLOCKS)]
    theirs = [_of_peer(peer, workload) for peer in others]
    rows = _race(race, workload.name, [*ours, wide, *sliced, *theirs])
    _check_same(workload.name, [*ours, wide])
    return _measured(whole, workload.ideal, rows)


def _measure_picture(race: Race, item: Item, stream: bytes, chosen: list[str]) -> Measured:
    ours = [_kodec(item, name) for name in chosen]
    rows = _race(race, item.name, ours)
    _check_same(item.name, ours, stream)
    return _measured(item, PICTURE_IDEAL, rows)


def _measured(item: Item, ideal: str, rows: tuple[Row, ...]) -> Measured:
    return Measured(
        name=item.name,
        description=item.description,
        ideal=ideal,
        symbols=item.symbols,
        zeros_percent=100 * item.zeros,
        ideal_bits_per_symbol=item.ideal_bits / item.symbols,
        rows=rows,
    )


def _race(race: Race, name: str, coders: list[Coder]) -> tuple[Row, ...]:
    race.run(name, [one.contestant for one in coders])
    reference = next((one for one in coders if one.contestant.name == REFERENCE), None)
    return tuple(one.row(reference) for one in coders)


def _kodec(item: Item, simd_name: str) -> Coder:
    def right(decoded: list[NDArray[np.int32]]) -> bool:
        pairs = zip(decoded, item.blocks, strict=True)
        return all(np.array_equal(symbols, block.symbols) for symbols, block in pairs)

    steps = {"encode": lambda _: encode_item(item), "decode": lambda s: decode_item(item, s)}
    types = {f"{block.symbols.dtype}/{block.indexes.dtype}" for block in item.blocks}
    return Coder(
        Contestant("kodec", steps, right, simd_name),
        types=", ".join(sorted(types)),
        blocks=len(item.blocks),
        symbols=item.symbols,
        ideal_bits=item.ideal_bits,
        size=len,
    )


def _of_peer(peer: Peer, workload: GaussianWorkload) -> Coder:
    symbols = workload.symbols[: peer.symbols]
    steps = {"encode": lambda _: peer.encode(), "decode": peer.decode}
    return Coder(
        Contestant(peer.name, steps, lambda d: np.array_equal(peer.values(d), symbols)),
        types="",
        blocks=1,
        symbols=peer.symbols,
        ideal_bits=float(workload.bits[: peer.symbols].sum()),
        size=peer.size,
    )


def _check_same(name: str, ours: list[Coder], stream: bytes | None = None) -> None:
    streams = {one.stream for one in ours} | ({stream} if stream is not None else set())
    if len(streams) != 1:
        raise KodecError(f"instruction sets wrote different streams of {name}; please report it")
