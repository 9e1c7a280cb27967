"""Files a second of many small pictures: single calls, one call, two jobs, a Dask cluster of two.

    python benchmarks/many_files.py --pictures 1000 --single 10

The pictures are crops of the demo's; the model is the default one, or with --small one of a few
channels and random weights, so that what is measured is what kodec does around a model. Wall-clock
and CPU seconds (all processes', loading included); on a busy machine the latter tell more.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

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
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kodec-") as name:
        folder = Path(name)
        pictures = write_pictures(folder / "in", options.pictures)
        model = ["--model", str(save_small_model(folder))] if options.small else []
        command = [sys.executable, "-m", "kodec", "encode"]
        single = measured(
            [
                [*command, str(path), str(folder / "single.kdc"), *model]
                for path in pictures[: options.single]
            ],
            options.single,
        )
        show("single calls", single, single)
        for jobs in (1, 2):
            out = folder / f"jobs{jobs}"
            many = [*command, str(folder / "in"), "--output-dir", str(out), *model]
            show(f"--jobs {jobs}", measured([[*many, "--jobs", str(jobs)]], len(pictures)), single)
            if jobs == 1:
                again = measured([[*many, "--jobs", "1"]], len(pictures))
                show("the same again: nothing to do", again, single)
        with Cluster(folder) as address:
            many[many.index("--output-dir") + 1] = str(folder / "dask")
            found = measured([[*many, "--scheduler", address]], len(pictures))
            show("--scheduler, 2 workers (this call's CPU alone)", found, single)
        for path in (folder / "jobs1").glob("*.kdc"):
            for other in ("jobs2", "dask"):
                assert path.read_bytes() == (folder / other / path.name).read_bytes()
    return 0


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


def measured(commands: list[list[str]], files: int) -> tuple[float, float, int]:
    """Wall-clock and CPU seconds of commands one after another, and the files they code."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    for command in commands:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    wall = time.perf_counter() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, cpu, files


def show(name: str, found: tuple[float, float, int], single: tuple[float, float, int]) -> None:
    """A line: files a second, CPU milliseconds a file, and how many times single calls' speed."""
    wall, cpu, files = found
    times = files / wall / (single[2] / single[0])
    print(
        f"{name:48} {files / wall:8.2f} files/s {1000 * cpu / files:9.1f} ms CPU a file "
        f"{times:7.1f} x",
        flush=True,
    )


class Cluster:
    """A scheduler and two workers of one thread each, for as long as the context lasts."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> str:
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
        address: str = json.loads(where.read_text())["address"]
        worker = ("worker", address, "--no-nanny", "--nthreads", "1")
        self._processes += [begin(*worker), begin(*worker)]
        return address

    def __exit__(self, *_: object) -> None:
        for process in self._processes[::-1]:
            process.kill()
            process.wait()


if __name__ == "__main__":
    run(main, "many_files.py")
