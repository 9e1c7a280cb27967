"""The examples for several machines, as two machines of one process each on this one (gloo)."""

import csv
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="scripts for Linux")

# What Slurm would do on two machines: start the command on each with its number.
SRUN = """#!/usr/bin/env bash
for node in 0 1; do
  SLURM_PROCID=$node SLURM_NODEID=$node SLURM_LOCALID=0 SLURM_NTASKS=2 "$@" &
done
wait -n && wait -n
"""


def environment(more: dict[str, str]) -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "OMP_NUM_THREADS": "1", "PATH": path, **more}


def free_port() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1])


def losses(run: Path) -> list[float]:
    rows = (run / "logs" / "version_0" / "metrics.csv").read_text().splitlines()
    return [float(row["train/loss"]) for row in csv.DictReader(rows) if row["train/loss"]]


def run_all(commands: list[list[str]], environments: list[dict[str, str]]) -> None:
    started = [
        subprocess.Popen(command, env=environment(more), stderr=subprocess.PIPE, text=True)
        for command, more in zip(commands, environments, strict=True)
    ]
    for process in started:
        _, err = process.communicate(timeout=300)
        assert process.returncode == 0, err


def test_torchrun_and_slurm_train_alike(
    tiny_config: dict[str, Any], arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    tiny_config["trainer"] |= {"max_steps": 2, "log_every_n_steps": 1, "limit_val_batches": 0}
    port = free_port()
    run_all(
        [[str(EXAMPLES / "torchrun.sh"), *arguments(tiny_config, "torchrun")]] * 2,
        [{"NODES": "2", "NODE": n, "MASTER": "127.0.0.1", "PORT": port} for n in "01"],
    )
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "srun").write_text(SRUN)
    (tmp_path / "bin" / "srun").chmod(0o755)
    job = {
        "SLURM_JOB_ID": "1",
        "SLURM_JOB_NAME": "kodec",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_NNODES": "2",
        "SLURM_NTASKS": "2",
        "SLURM_NTASKS_PER_NODE": "1",
        "SLURM_NODELIST": "127.0.0.1",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": free_port(),
        "RUN": str(tmp_path / "slurm"),
        "PATH": f"{tmp_path / 'bin'}{os.pathsep}{environment({})['PATH']}",
    }
    command = [str(EXAMPLES / "train.slurm"), *arguments(tiny_config, "unused")]
    run_all([command], [job])
    assert len(losses(tmp_path / "slurm")) == 2
    assert losses(tmp_path / "slurm") == losses(tmp_path / "torchrun")
    # Submitted again, it goes on.
    (tmp_path / "bin" / "srun").write_text('#!/usr/bin/env bash\necho "$@"\n')
    told = subprocess.run(command, env=environment(job), capture_output=True, text=True).stdout
    checkpoint = tmp_path / "slurm" / "checkpoints" / "last.ckpt"
    assert f"--ckpt_path {checkpoint} --trainer.default_root_dir {tmp_path / 'slurm'}" in told
