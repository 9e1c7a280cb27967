"""Files a second of many small pictures: single calls, one call, two jobs, a Dask cluster of two.

    python benchmarks/many_files.py --pictures 1000 --single 10 --rounds 3

The pictures are crops of the demo's; the model is the default one, or with --small one of a few
channels and random weights, so that what is measured is what kodec does around a model. All ways
in turns, in an order that turns round; medians over the rounds of wall-clock and CPU seconds (all
processes', loading included; of Dask the scheduler's and workers' too, which stay from round to
round), and of the rounds' ratios. On a busy machine CPU seconds tell more; the load is printed.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import torch

from kodec.codecs import Picture, build_module, save_model, write_picture
from kodec.codecs.pictures.picture_codec import PictureCodec
from kodec.commands.demo import sample_picture
from reporting import parser_of, run

SIDE = 256


def main() -> int:
    """Measure and print a table."""
    parser = parser_of(__doc__)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--single", type=int, default=10, help="of them, coded by single calls")
    parser.add_argument("--small", action="store_true", help="a model of a few channels")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kodec-") as name:
        folder = Path(name)
        pictures = write_pictures(folder / "in", options.pictures)
        model = ["--model", str(save_small_model(folder))] if options.small else []
        with Cluster(folder) as cluster:
            found = race(folder, pictures, model, options, cluster)
    print(f"load {os.getloadavg()[0]:.1f} at the end, {options.pictures} pictures of {SIDE}x{SIDE}")
    print("| | files/s | CPU ms a file | by the clock | by CPU time |\n|---|---|---|---|---|")
    for way, against in AGAINST.items():
        rounds, others = found[way], found[against]
        per_second = [measured.files / measured.wall for measured in rounds]
        cpu = [1000 * measured.cpu / measured.files for measured in rounds]
        pairs = list(zip(rounds, others, strict=True))
        faster = [b.wall * a.files / (a.wall * b.files) for a, b in pairs]
        cheaper = [b.cpu * a.files / (a.cpu * b.files) for a, b in pairs]
        of = "" if way == against else f" times {against}"
        print(
            f"| {way} | {median(per_second):.2f} | {median(cpu):.1f} "
            f"| {median(faster):.2f}{of} ({min(faster):.2f} to {max(faster):.2f}) "
            f"| {median(cheaper):.2f}{of} |"
        )
    return 0


AGAINST = {
    "single calls": "single calls",
    "one call": "single calls",
    "nothing to do": "single calls",
    "--jobs 2": "one call",
    "--scheduler, 2 workers": "--jobs 2",
}
"""What is measured, and what it is compared with."""


class Measured(NamedTuple):
    """Seconds, and the files that were coded in them."""

    wall: float
    cpu: float
    files: int


def race(
    folder: Path,
    pictures: list[Path],
    model: list[str],
    options: argparse.Namespace,
    cluster: "Cluster",
) -> dict[str, list[Measured]]:
    """All ways in turns; every file is held to be the same in all of them."""
    command = [sys.executable, "-m", "kodec", "encode"]
    singles = [
        [*command, str(path), str(folder / "single.kdc"), *model]
        for path in pictures[: options.single]
    ]
    found: dict[str, list[Measured]] = {way: [] for way in AGAINST}
    for number in range(options.rounds):
        outputs = {way: folder / f"{number}{way}" for way in AGAINST}
        many = {
            way: [*command, str(folder / "in"), "--output-dir", str(output), *model]
            for way, output in outputs.items()
        }
        ways: list[tuple[str, list[list[str]]]] = [
            ("single calls", singles),
            ("one call", [many["one call"]]),
            ("--jobs 2", [[*many["--jobs 2"], "--jobs", "2"]]),
            (
                "--scheduler, 2 workers",
                [[*many["--scheduler, 2 workers"], "--scheduler", cluster.address]],
            ),
        ]
        for way, commands in ways if number % 2 == 0 else ways[::-1]:
            files = options.single if way == "single calls" else len(pictures)
            found[way].append(measured(commands, files, cluster))
        found["nothing to do"].append(measured([many["one call"]], len(pictures), cluster))
        for path in outputs["one call"].glob("*.kdc"):
            for way in ("--jobs 2", "--scheduler, 2 workers"):
                assert path.read_bytes() == (outputs[way] / path.name).read_bytes()
        for output in outputs.values():
            shutil.rmtree(output, ignore_errors=True)
    return found


def write_pictures(folder: Path, count: int) -> list[Path]:
    """Crops of the demo's picture."""
    folder.mkdir()
    pixels = sample_picture()
    height, width, _ = pixels.shape
    rng = np.random.default_rng(0)
    paths = []
    for number in range(count):
        top, left = int(rng.integers(height - SIDE)), int(rng.integers(width - SIDE))
        paths.append(folder / f"{number:04}.png")
        write_picture(paths[-1], Picture(pixels[top : top + SIDE, left : left + SIDE]))
    return paths


def save_small_model(folder: Path) -> Path:
    """A mean-scale hyperprior of a few channels with random weights."""

    def part(name: str, **arguments: object) -> dict[str, object]:
        return {"class_path": f"kodec.{name}", "init_args": arguments}

    torch.manual_seed(0)
    config = part(
        "codecs.PictureCodec",
        analysis=part("models.GDNAnalysis", width=8, latents=12),
        latents=part("entropy.MeanScaleHyperprior", channels=12, hyper=8),
        synthesis=part("models.GDNSynthesis", width=8, latents=12),
    )
    network = build_module(config)
    assert isinstance(network, PictureCodec)
    save_model(network, config, folder / "small.safetensors", "small", {"licence": "CC0"})
    return folder / "small.safetensors"


def measured(commands: list[list[str]], files: int, cluster: "Cluster") -> Measured:
    """Wall-clock and CPU seconds of commands one after another, with what the cluster spent."""
    before, of_cluster = resource.getrusage(resource.RUSAGE_CHILDREN), cluster.cpu_seconds()
    began = time.perf_counter()
    for command in commands:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if "--scheduler" in commands[0]:
        cpu += cluster.cpu_seconds() - of_cluster
    return Measured(wall, cpu, files)


class Cluster:
    """A scheduler and two workers of one thread each, for as long as the context lasts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> "Cluster":
        where = self._folder / "scheduler.json"
        start = [sys.executable, "-m", "distributed.cli.dask_"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        quiet = subprocess.DEVNULL

        def begin(what: str, *arguments: str) -> "subprocess.Popen[bytes]":
            command = [*start[:2], start[2] + what, *arguments, "--no-dashboard"]
            return subprocess.Popen(
                command, cwd=self._folder, env=environment, stdout=quiet, stderr=quiet
            )

        self._processes = [begin("scheduler", "--port", "0", "--scheduler-file", str(where))]
        while not where.exists() or not where.read_text():
            time.sleep(0.1)
        self.address: str = json.loads(where.read_text())["address"]
        worker = ("worker", self.address, "--no-nanny", "--nthreads", "1")
        self._processes += [begin(*worker), begin(*worker)]
        return self

    def cpu_seconds(self) -> float:
        """What the scheduler and the workers have spent so far."""
        ticks = 0
        for process in self._processes:
            fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def __exit__(self, *_: object) -> None:
        for process in self._processes[::-1]:
            process.kill()
            process.wait()


if __name__ == "__main__":
    run(main, "many_files.py")
