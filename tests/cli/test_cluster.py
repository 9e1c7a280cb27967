"""Many files on a real Dask cluster of two worker processes, one of which is killed."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kodec.codecs import load, read_picture

distributed = pytest.importorskip("distributed")

Cli = Callable[..., Any]
SavePicture = Callable[..., Path]

# Dask has its own warnings of late heartbeats and closed connections.
pytestmark = pytest.mark.filterwarnings("ignore")


class Cluster:
    """A scheduler and two workers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        address = folder / "scheduler.json"
        self._folder = folder
        self.processes = [self._start("scheduler", "--port", "0", "--scheduler-file", address)]
        while not address.exists() or not address.read_text():
            assert self.processes[0].poll() is None
            time.sleep(0.05)
        self.address: str = json.loads(address.read_text())["address"]
        # Without nannies: what is killed stays away.
        self.workers = [self.add_worker() for _ in range(2)]

    def add_worker(self) -> "subprocess.Popen[bytes]":
        worker = self._start("worker", self.address, "--no-nanny", "--nthreads", "1")
        self.processes.append(worker)
        return worker

    def _start(self, what: str, *arguments: object) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "distributed.cli.dask_" + what, *map(str, arguments)]
        dask = {"DASK_DISTRIBUTED__DASHBOARD__ENABLED": "False", "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            [*command, "--no-dashboard"],
            cwd=self._folder,
            env={**os.environ, **dask},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def end(self) -> None:
        for process in self.processes[::-1]:
            process.kill()
            process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    (tmp_path / "dask").mkdir()
    cluster = Cluster(tmp_path / "dask")
    try:
        yield cluster
    finally:
        cluster.end()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_a_worker_is_killed_and_nothing_is_lost(
    kodec: Cli, tiny_model: Path, save_picture: SavePicture, tmp_path: Path, cluster: Cluster
) -> None:
    """Of encoding, and of measuring, which gives what this process alone measures."""
    (tmp_path / "in").mkdir()
    sources = [save_picture(f"in/{number:02}.png", 96, 96) for number in range(24)]
    (tmp_path / "in" / "broken.png").write_bytes(b"no picture")
    coded, manifest = tmp_path / "coded", tmp_path / "manifest.jsonl"
    where = ("--output-dir", f"file://{coded}", "--manifest", manifest, "--model", tiny_model)
    command = ("encode", f"file://{tmp_path}/in", *where)
    call = subprocess.Popen(
        [sys.executable, "-m", "kodec", *map(str, command), "--scheduler", cluster.address],
        stderr=subprocess.PIPE,
        text=True,
    )
    while call.poll() is None and not (manifest.exists() and manifest.read_text().count("\n") > 3):
        time.sleep(0.02)
    cluster.workers[0].send_signal(signal.SIGKILL)
    _, err = call.communicate()
    assert call.returncode == 1, err
    # Dask may have a word of its own on the worker that is gone.
    first, last = (line for line in err.splitlines() if line.startswith("kodec: "))
    assert first.startswith(f"kodec: {tmp_path}/in/broken.png ")
    assert last.startswith("kodec: 1 of 25 files failed")
    expected = load(tiny_model).encode_picture(read_picture(sources[0])).data
    assert len(list(coded.iterdir())) == len(sources)
    assert all(path.read_bytes() == expected for path in coded.iterdir())
    (tmp_path / "in" / "broken.png").unlink()
    outcome = kodec(*command, "--scheduler", cluster.address)
    # What the killed worker was at was coded twice, and may be coded again.
    done = re.search(r"(\d+) of them done before", outcome.out)
    assert outcome.status == 0 and done is not None and int(done[1]) >= 20

    # The same of measuring: one of two is killed.
    few = tmp_path / "few"
    few.mkdir()
    for number in range(4):
        sources[number].rename(few / f"{number}.png")
    fresh = cluster.add_worker()
    asked = ("eval", "--model", tiny_model, "--dataset", few, "--qualities", "20,40")
    alone, together = tmp_path / "alone.json", tmp_path / "together.json"
    assert kodec(*asked, "--output", alone).status == 0
    rows = tmp_path / "together.json.partial"
    over = threading.Event()
    killer = threading.Thread(target=kill_once, args=(fresh, rows.exists, over))
    killer.start()
    outcome = kodec(*asked, "--output", together, "--scheduler", cluster.address)
    over.set()
    killer.join()
    assert (outcome.status, outcome.err) == (0, "")
    measured = [json.loads(path.read_text())["results"] for path in (alone, together)]
    assert measured[0]["bpp"] == measured[1]["bpp"]
    assert measured[0]["psnr-rgb"] == measured[1]["psnr-rgb"]


def kill_once(
    worker: "subprocess.Popen[bytes]", begun: Callable[[], bool], over: threading.Event
) -> None:
    while not over.wait(0.01):
        if begun():
            worker.kill()
            return


def test_no_cluster_is_one_line(kodec: Cli, save_picture: SavePicture, tmp_path: Path) -> None:
    where = ("--output-dir", tmp_path / "out", "--scheduler", "nonsense://127.0.0.1:1")
    outcome = kodec("encode", save_picture(), *where)
    assert "no Dask scheduler answers at nonsense://127.0.0.1:1" in outcome.complaint
