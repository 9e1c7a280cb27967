"""Do files written under one instruction set decode under another, and is the guard wide enough?

    python benchmarks/portability.py [--model default] [--qualities 8,48] [--effort 0]
                                     [--pictures N] [--float32-pictures N] [--jobs 2]
                                     [--work FOLDER] [--json REPORT.json]

Processes with up to six environments write every Kodak picture, refined where an effort is given;
each of them then reads every other's files: the best and the oldest instruction set, each with 1
and 2 threads, AVX2 where there is more than that, and the oldest with MKL held to its oldest
kernels (MKL heeds MKL_ENABLE_INSTRUCTIONS on Intel's processors only, MKL_CBWR on all; the kernels'
hashes in the report show which environments really compute otherwise). Must hold, or the exit
status is 1:

- every reader gets the symbols that the writer wrote, and pixels within 1 of its reconstruction;
- the guard of the scale tables is at least 100 times the worst difference of a log scale between
  any writer and reader of one stream;
- every log scale in the reader moved by 0.99 of the guard, up or down at random: the same symbols;
  moved by 1e-3: an error for every picture, never a picture. So few symbols lie within the guard
  that files written with one of 1e-4 are read likewise, moved by 0.99 of that.

For comparison, not judged: the entropy path in float32, same writers and readers. KODEC_DATA names
the folder with kodak/. The work folder takes 19 MB a picture, quality and environment; the whole
run an hour or so; --jobs is for environments at work at the same time.
"""

import argparse
import functools
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from kodec.codecs import Codec, Encoded, Picture, load, read_plain_picture
from kodec.codecs.fitted import Budget, RefiningCodec, usual_schedule
from kodec.entropy import ScaleTables
from kodec.eval import available_simd, describe_machine, find_dataset
from kodec.native import KodecError
from port_tap import Tap, TappedReader, TappedWriter
from reporting import heading, parser_of, run, write_report

OLDEST = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
    "KODEC_SIMD": "scalar",
}
AVX2 = {
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "MKL_ENABLE_INSTRUCTIONS": "AVX2",
    "KODEC_SIMD": "avx2",
}
OLDEST_MKL = {**OLDEST, "MKL_CBWR": "COMPATIBLE"}
VARIANTS: dict[str, tuple[int, dict[str, str]]] = {
    "best-1": (1, {}),
    "best-2": (2, {}),
    "oldest-1": (1, OLDEST),
    "oldest-2": (2, OLDEST),
    "oldest-mkl": (1, OLDEST_MKL),
    **({"avx2-1": (1, AVX2)} if "avx2" in available_simd()[1:] else {}),
}
FLOAT32_WRITERS = ("best-1", "oldest-mkl")
GUARD_MARGIN = 100.0
WITHIN_GUARD = 0.99
FAR_OUTSIDE = 1e-3
WIDE_GUARD = 1e-4
SAME, OTHER = "same symbols", "OTHER SYMBOLS"


@dataclass(frozen=True)
class Job:
    """What one child process does."""

    variant: str
    threads: int
    model: str
    folder: str
    pictures: list[str]
    qualities: list[int]
    action: str
    """write, read, or move (read with moved scales)."""
    float32: bool
    effort: int

    @property
    def tasks(self) -> list[tuple[str, int]]:
        """Every picture at every quality."""
        return [(picture, quality) for picture in self.pictures for quality in self.qualities]

    @property
    def files(self) -> list[str]:
        """Names of one writer's files, in the same order, without suffix."""
        return [f"{Path(picture).stem}-{quality}" for picture, quality in self.tasks]

    def folder_of(self, writer: str) -> Path:
        """Where a writer's files are."""
        return Path(self.folder) / (writer + ("-float32" if self.float32 else ""))


def load_codec(job: Job) -> Codec:
    """The model, its entropy path in float32 where the job says so."""
    torch.set_num_threads(job.threads)
    codec = load(job.model)
    if job.float32:
        codec.network.latents.float()
    return codec


def write_files(job: Job) -> dict[str, Any]:
    """Write every picture at every quality, and beside it what the readers are judged by."""
    codec = load_codec(job)
    folder = job.folder_of(job.variant)
    folder.mkdir()
    taps = [
        write_one(codec, path, quality, folder, job.effort, keep_scales=not job.float32)
        for path, quality in job.tasks
    ]
    return {
        "overrides": sum(tap.close for tap in taps),
        "symbols": sum(tap.coded for tap in taps),
        "guard": min(tables.guard for tables in scale_tables(codec)),
        "kernels": kernels(codec),
    }


def write_one(
    codec: Codec, path: str, quality: int, folder: Path, effort: int, keep_scales: bool = False
) -> Tap:
    """Write one file, and beside it what its readers are judged by."""
    picture, tap = read_plain_picture(path), Tap()
    plain = codec.encode_picture(picture, quality) if effort else None
    with patch(
        "kodec.codecs.pictures.plane_coder.SymbolWriter", functools.partial(TappedWriter, tap)
    ):
        if plain is None:
            encoded = codec.encode_picture(picture, quality)
        else:
            encoded = refined(codec, picture, quality, effort, plain)
    file = folder / f"{Path(path).stem}-{quality}"
    file.with_suffix(".kdc").write_bytes(encoded.data)
    file.with_suffix(".symbols").write_text(tap.symbols.hexdigest())
    np.save(file.with_suffix(".pixels.npy"), encoded.reconstruction.pixels)
    if keep_scales:
        np.save(file.with_suffix(".scales.npy"), np.concatenate(tap.log_scales))
    tap.log_scales.clear()
    return tap


def refined(codec: Codec, picture: Picture, quality: int, effort: int, plain: Encoded) -> Encoded:
    """The picture refined, which its plain file is not."""
    budget = Budget(usual_schedule(codec).steps[effort])
    found = RefiningCodec(codec, budget).refine(picture, quality, plain=plain)
    if not found.better:
        raise KodecError("nothing better than a plain file was found: give a higher --effort")
    return found.coded


def scale_tables(codec: Codec) -> list[ScaleTables]:
    """Every set of scale tables, each with its guard."""
    return [module for module in codec.network.modules() if isinstance(module, ScaleTables)]


def kernels(codec: Codec) -> dict[str, str]:
    """Evidence that environments differ: ATen's level, and hashes of products and of a network."""
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(192, 192, generator=generator, dtype=torch.float64)
    features = torch.rand(1, 3, 64, 64, generator=generator)
    with torch.inference_mode():
        found = {
            "matmul64": x @ x,
            "matmul32": x.float() @ x.float(),
            "exp64": torch.exp(x),
            "analysis": codec.network.analysis(features, torch.tensor([20.0])),
        }
    hashes = {k: hashlib.sha256(v.numpy().tobytes()).hexdigest()[:8] for k, v in found.items()}
    return {"aten": torch.backends.cpu.get_cpu_capability(), **hashes}


def read_one(codec: Codec, file: Path, tap: Tap) -> dict[str, Any]:
    """Read one file and compare it with what its writer left."""
    data = file.with_suffix(".kdc").read_bytes()
    try:
        with patch(
            "kodec.codecs.pictures.plane_coder.SymbolReader", functools.partial(TappedReader, tap)
        ):
            pixels = codec.decode_picture(data).pixels
    except KodecError as error:
        return {"outcome": type(error).__name__}
    same = tap.symbols.hexdigest() == file.with_suffix(".symbols").read_text()
    difference = np.abs(np.load(file.with_suffix(".pixels.npy")).astype(int) - pixels)
    return {
        "outcome": SAME if same else OTHER,
        "differing_samples": int((difference > 0).sum()),
        "samples": difference.size,
        "largest_difference": int(difference.max()),
    }


def read_files(job: Job) -> dict[str, Any]:
    """Read every writer's files: totals by writer."""
    codec = load_codec(job)
    return {
        writer: summarise([read_with_scales(codec, job.folder_of(writer) / f) for f in job.files])
        for writer in VARIANTS
        if job.folder_of(writer).is_dir()
    }


def read_with_scales(codec: Codec, file: Path) -> dict[str, Any]:
    """As `read_one`, and the worst difference of a log scale where the writer left them."""
    tap = Tap()
    row = read_one(codec, file, tap)
    scales = file.with_suffix(".scales.npy")
    if scales.exists() and row["outcome"] == SAME:
        difference = np.abs(np.load(scales) - np.concatenate(tap.log_scales))
        row["log_scale_difference"] = float(difference.max())
    return row


def move_scales(job: Job) -> dict[str, Any]:
    """Read one's own files with moved scales: totals by guard and distance."""
    codec = load_codec(job)
    guard = min(tables.guard for tables in scale_tables(codec))
    folder = job.folder_of(job.variant)

    def read_moved(shift: float) -> dict[str, Any]:
        seeds = range(0, 1000 * len(job.files), 1000)
        rows = [
            read_one(codec, folder / file, Tap(shift, seed))
            for seed, file in zip(seeds, job.files, strict=True)
        ]
        return {"moved_by": shift, **summarise(rows)}

    found = {
        "within": {"guard": guard, **read_moved(WITHIN_GUARD * guard)},
        "outside": {"guard": guard, **read_moved(FAR_OUTSIDE)},
    }
    for tables in scale_tables(codec):
        tables.guard = WIDE_GUARD
    folder = folder.with_name("wide-guard")
    folder.mkdir()
    overrides = sum(write_one(codec, *task, folder, job.effort).close for task in job.tasks)
    found["within a wide guard"] = {
        "guard": WIDE_GUARD,
        "overrides": overrides,
        **read_moved(WITHIN_GUARD * WIDE_GUARD),
    }
    return found


def summarise(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Counts of outcomes, and the worst of each number (None where it was not measured)."""
    outcomes: dict[str, int] = {}
    for row in rows:
        outcomes[row["outcome"]] = outcomes.get(row["outcome"], 0) + 1
    differences = [row["log_scale_difference"] for row in rows if "log_scale_difference" in row]
    return {
        "files": len(rows),
        "outcomes": outcomes,
        "largest_difference": max((row.get("largest_difference", 0) for row in rows), default=0),
        "differing_samples": sum(row.get("differing_samples", 0) for row in rows),
        "samples": sum(row.get("samples", 0) for row in rows),
        "log_scale_difference": max(differences) if differences else None,
    }


def child(job: Job) -> dict[str, Any]:
    """Run a job in a process with the variant's environment."""
    threads, environment = VARIANTS[job.variant]
    inherited = {k: v for k, v in os.environ.items() if k not in OLDEST_MKL}
    print(f"{job.variant}: {job.action}{' float32' if job.float32 else ''}", file=sys.stderr)
    done = subprocess.run(
        [sys.executable, __file__, "--job", json.dumps(asdict(job))],
        env={**inherited, **environment, "OMP_NUM_THREADS": str(threads)},
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise KodecError(f"the child process {job.variant} ({job.action}) failed, see above")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def main() -> int:
    """Measure, print, and return the exit status."""
    parser = parser_of(__doc__)
    parser.add_argument("--model", default="default", help="embedded model or model file")
    parser.add_argument("--qualities", default="8,48")
    parser.add_argument("--effort", type=int, default=0, help="refine before coding: 0 to 9 (0)")
    parser.add_argument("--pictures", type=int, help="only the first N")
    parser.add_argument(
        "--float32-pictures", type=int, default=6, help="pictures of the float32 comparison (6)"
    )
    parser.add_argument("--jobs", type=int, default=1, help="environments at work at a time")
    parser.add_argument("--work", type=Path, help="where the files go, emptied at the end")
    parser.add_argument("--json", type=Path, help="write the report")
    parser.add_argument("--job", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.job:
        job = Job(**json.loads(options.job))
        action = {"write": write_files, "read": read_files, "move": move_scales}[job.action]
        print(json.dumps(action(job)))
        return 0
    pictures = [str(path) for path in find_dataset("kodak")[: options.pictures]]
    qualities = [int(quality) for quality in options.qualities.split(",")]
    codec = load(options.model)
    with tempfile.TemporaryDirectory(prefix="kodec-portability-", dir=options.work) as folder:

        def run_one(variant: str, action: str, float32: bool = False) -> dict[str, Any]:
            threads = VARIANTS[variant][0]
            shown = pictures[: options.float32_pictures] if float32 else pictures
            where = (variant, threads, options.model, folder)
            return child(Job(*where, shown, qualities, action, float32, options.effort))

        with ThreadPoolExecutor(options.jobs) as pool:

            def run_all(
                variants: Sequence[str], action: str, float32: bool = False
            ) -> dict[str, Any]:
                work = functools.partial(run_one, action=action, float32=float32)
                return dict(zip(variants, pool.map(work, variants), strict=True))

            written = run_all(tuple(VARIANTS), "write")
            read = run_all(tuple(VARIANTS), "read")
            moved = run_one("best-1", "move")
            run_all(FLOAT32_WRITERS, "write", float32=True)
            read32 = run_all(tuple(VARIANTS), "read", float32=True)

    guard = written["best-1"]["guard"]
    worst = max(pair["log_scale_difference"] or 0.0 for by in read.values() for pair in by.values())
    pixels_off = max(pair["largest_difference"] for by in read.values() for pair in by.values())
    files = len(pictures) * len(qualities)
    all_same = {SAME: files}
    identical = all(pair["outcomes"] == all_same for by in read.values() for pair in by.values())
    checks = {
        "same symbols everywhere": identical,
        "pixels within 1": pixels_off <= 1,
        f"guard at least {GUARD_MARGIN:.0f} x the worst difference": guard >= GUARD_MARGIN * worst,
        f"scales moved by {WITHIN_GUARD} of the guard: same symbols": moved["within"]["outcomes"]
        == all_same,
        f"the same with a guard of {WIDE_GUARD}": moved["within a wide guard"]["outcomes"]
        == all_same,
        f"scales moved by {FAR_OUTSIDE}: always an error": not any(
            outcome in (SAME, OTHER) for outcome in moved["outside"]["outcomes"]
        ),
    }

    print(f"{heading(codec, len(pictures))}, {files}")
    print(
        f"files an environment (qualities {options.qualities}, effort {options.effort}); "
        f"{describe_machine()['cpu']}"
    )
    print("\nenvironment  overrides  symbols   kernels")
    for variant, row in written.items():
        shown = " ".join(f"{key}={value}" for key, value in row["kernels"].items())
        print(f"{variant:11s} {row['overrides']:10d} {row['symbols']:10d} {shown}")
    print_pairs("float64 (as shipped)", read)
    print(f"\nworst difference of a log scale {worst:.3g}; guard {guard:.3g}", end="")
    print(f" = {guard / worst:.0f} times" if worst else "")
    per_picture = [row["overrides"] / files for row in written.values()]
    print(f"overrides a picture: {min(per_picture):.4f} to {max(per_picture):.4f}")
    for row in moved.values():
        signalled = f", {row['overrides']} overrides" if "overrides" in row else ""
        print(
            f"guard {row['guard']:.3g}{signalled}, scales moved by {row['moved_by']:.3g}: "
            f"{row['outcomes']}"
        )
    print_pairs("float32, for comparison", read32)
    print()
    for check, held in checks.items():
        print(f"{'held' if held else 'FAILED':6s} {check}")
    report = {
        "pictures": len(pictures),
        "qualities": qualities,
        "effort": options.effort,
        "checks": checks,
        "guard": guard,
        "worst_log_scale_difference": worst,
        "written": written,
        "read": read,
        "moved": moved,
        "read_float32": read32,
    }
    write_report(options.json, codec, report)
    return 0 if all(checks.values()) else 1


def print_pairs(title: str, read: dict[str, dict[str, Any]]) -> None:
    """One line a reader and writer."""
    print(f"\n{title}")
    print("reader     writer     outcomes                       pixels off  by at most  log scale")
    for reader, by_writer in read.items():
        for writer, pair in by_writer.items():
            outcomes = ", ".join(f"{count} {name}" for name, count in pair["outcomes"].items())
            scales = pair["log_scale_difference"]
            share = pair["differing_samples"] / max(pair["samples"], 1)
            print(
                f"{reader:10s} {writer:10s} {outcomes:30s} {share:10.2e}  "
                f"{pair['largest_difference']:10d}  " + ("-" if scales is None else f"{scales:.3g}")
            )


if __name__ == "__main__":
    run(main, "portability.py")
