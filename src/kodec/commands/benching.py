"""`kodec bench`: how fast the parts are on this machine."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from . import usage
from .demo import sample_picture
from .progress import progress

if TYPE_CHECKING:
    from kodec.eval import CoderReport, Measured, ShortStreams

QUALITIES = (8, 32, 56)
SIMD = ("scalar", "avx2", "avx512")


def add_to(commands: "argparse._SubParsersAction[usage.Parser]") -> None:
    """Add the commands' parsers."""
    bench_ = commands.add_parser(
        "bench", help="how fast the coder is on this machine", description=_BENCH
    )
    parts = bench_.add_subparsers(metavar="PART", title="parts", required=True)
    coder_ = parts.add_parser("coder", help="the entropy coder", description=_CODER)
    coder_.add_argument("--json", action="store_true", help="as JSON")
    coder_.add_argument(
        "--symbols", metavar="N", type=usage.count, default=4_000_000, help="drawn; 4 million"
    )
    coder_.add_argument(
        "--repeats", metavar="R", type=usage.count, default=15, help="timed runs of each; 15"
    )
    coder_.add_argument(
        "--threads",
        metavar="T",
        type=usage.count,
        default=1,
        help="of kodec's coder (1); with more, times are wall-clock times",
    )
    coder_.add_argument(
        "--simd",
        action="append",
        choices=SIMD,
        help="instruction set, several times for several; all that run here, the best first",
    )
    coder_.add_argument(
        "--picture",
        metavar="FILE",
        action="append",
        type=usage.path,
        help="whose latents are coded too, several times for several; the demo's picture, and "
        "the first of Kodak where KODEC_DATA has it",
    )
    coder_.add_argument(
        "--model",
        metavar="NAME|FILE",
        default="default",
        help="the model whose latents they are (default)",
    )
    coder_.add_argument(
        "--qualities",
        metavar="Q,Q,...",
        type=usage.model_qualities,
        help=f"of the pictures, for variable-rate models; {','.join(map(str, QUALITIES))}",
    )
    usage.add_trust(coder_)
    coder_.set_defaults(run=bench_coder)
    for parser in (bench_, coder_):
        usage.add_global_options(parser)


def bench_coder(options: argparse.Namespace) -> None:
    """Measure the coder and print a table, or JSON."""
    from kodec.codecs import load, read_picture
    from kodec.eval import bench_coder as measure

    paths = options.picture if options.picture is not None else _kodak()
    pictures = [(path.name, read_picture(path).pixels) for path in paths]
    if options.picture is None:
        pictures.insert(0, ("demo's picture", sample_picture()))
    codec = load(options.model, trusted=options.trust)
    qualities: list[int | None] = [None]
    if codec.variable_rate:
        qualities = list(options.qualities or QUALITIES)
    elif options.qualities:
        codec.check_quality(options.qualities[0])  # Refuses it.
    with progress(options.quiet) as show:
        report = measure(
            symbols=options.symbols,
            repeats=options.repeats,
            threads=options.threads,
            instruction_sets=options.simd,
            pictures=pictures,
            codec=codec,
            qualities=qualities,
            progress=show,
        )
    if options.json:
        print(json.dumps(report.to_json(), indent=2, allow_nan=False))
    else:
        print("\n".join(describe(report)))


def describe(report: "CoderReport") -> list[str]:
    """A report as lines: the machine, a table for each workload and picture, short streams."""
    machine, settings = report.machine, report.settings
    versions = ("kodec", "torch", "numpy", "compressai", "constriction", "torchac")
    threads = settings["threads"]
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores; {machine['simd']} of "
        f"{', '.join(machine['simd_available'])}; Python {machine['python']}, "
        + ", ".join(f"{name} {machine[name]}" for name in versions if name in machine),
        f"Million symbols a second, {'one thread' if threads == 1 else f'{threads} threads'}, "
        f"{settings['clock']}; medians of {settings['repeats']} runs of all coders in turn, and "
        f"their range. Other coders take {settings['most_symbols_of_other_coders']:,} symbols at "
        "most.",
    ]
    for measured in (*report.workloads, *report.pictures):
        lines += ["", *_table(measured)]
    if report.short_streams:
        lines += ["", *_short(report.short_streams)]
    return [*lines, *(f"note: {note}" for note in report.notes)]


def _table(measured: "Measured") -> list[str]:
    """One workload or picture: a heading, and a line for each coder."""
    compared = any(row.encode_ratio is not None for row in measured.rows)
    lines = [
        f"{measured.name}: {measured.symbols:,} symbols, {measured.description}; "
        f"{measured.zeros_percent:.0f} % zeros",
        f"ideal {measured.ideal_bits_per_symbol:.3f} bit/symbol: {measured.ideal}",
        f"{'coder':<28} {'symbols':>9} {'blocks':>6} {'encode':>7} {'range':>13} {'decode':>7} "
        f"{'range':>13} {'bytes':>10} {'vs ideal':>9}"
        + (f"  {'x CompressAI, enc, dec':>22}" if compared else ""),
    ]
    for row in measured.rows:
        name = " ".join(part for part in (row.coder, row.simd, row.types) if part)
        line = f"{name:<28} {row.symbols:>9,} {row.blocks:>6}"
        for speed in (row.encode, row.decode):
            digits = 1 if speed.median < 100 else 0
            between = f"{speed.least:.{digits}f}..{speed.most:.{digits}f}"
            line += f" {speed.median:>7.{digits}f} {between:>13}"
        line += f" {row.bytes:>10,} {row.excess_percent:>+7.3f} %"
        if row.encode_ratio is not None and row.decode_ratio is not None:
            line += f"  {_factor(row.encode_ratio):>14} {_factor(row.decode_ratio):>7}"
        lines.append(line)
    return lines


def _short(streams: "tuple[ShortStreams, ...]") -> list[str]:
    """Short streams, the workloads beside each other."""
    workloads = list(dict.fromkeys(one.workload for one in streams))
    lines = [
        "Short streams: bytes beyond the ideal, mean and most",
        f"{'symbols':>7} {'streams':>7}"
        + "".join(f"  {f'{name} ideal':>9} {'beyond':>7} {'most':>6}" for name in workloads),
    ]
    for size in dict.fromkeys(one.symbols for one in streams):
        same = [one for one in streams if one.symbols == size]
        lines.append(
            f"{size:>7,} {same[0].streams:>7}"
            + "".join(
                f"  {one.ideal_bytes:>9.1f} {one.overhead_bytes:>7.1f} "
                f"{one.most_overhead_bytes:>6.1f}"
                for one in same
            )
        )
    return lines


def _factor(ratio: float) -> str:
    return f"{ratio:.{2 if ratio < 10 else 1}f}x"


def _kodak() -> list[Path]:
    """The first Kodak picture, if the data set is there."""
    from kodec.eval import DatasetError, find_dataset

    try:
        return list(find_dataset("kodak"))[:1]
    except DatasetError:
        return []


_BENCH = "Measure how fast a part of kodec is on this machine."
_CODER = (
    "Code drawn Gaussian symbols (A: all 64 scales, B: the 21 smallest) and the latents of real "
    "pictures, and print million symbols a second, size against the ideal, and the ratio to "
    "CompressAI's coder in the same run; constriction and torchac take part where installed."
)
