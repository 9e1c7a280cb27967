"""A run shared by processes: the same losses however many share it, also from one to another."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

# One import for all runs: each one's processes are forked from this one, which itself trains
# nothing before the last.
SCRIPT = """
import json, pathlib, sys
import torch
from kodec.train import RateDistortion, train

torch.set_num_threads(1)
folder = pathlib.Path(sys.argv[1])
whole = RateDistortion.training_step

def step(self, x, batch_idx):
    loss = whole(self, x, batch_idx)
    with (folder / f"{name}-{self.global_rank}.jsonl").open("a") as file:
        file.write(json.dumps([self.global_step, loss.item()]) + "\\n")
    return loss

RateDistortion.training_step = step
for name, arguments in json.loads((folder / "runs.json").read_text()):
    train(arguments)
"""

STEPS, BATCH = 6, 4


def losses(folder: Path, name: str) -> list[float]:
    """Of each step, the mean over processes and accumulated batches."""
    steps: dict[int, list[float]] = {}
    for path in sorted(folder.glob(f"{name}-*.jsonl")):
        for line in path.read_text().splitlines():
            step, loss = json.loads(line)
            steps.setdefault(step, []).append(loss)
    return [sum(steps[step]) / len(steps[step]) for step in sorted(steps)]


@pytest.mark.skipif(sys.platform != "linux", reason="forked processes")
def test_the_number_of_processes_changes_nothing(
    tiny_config: dict[str, Any], arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    def run(name: str, processes: int, parts: int, steps: int, *more: str) -> list[Any]:
        tiny_config["trainer"] |= {
            "max_steps": steps,
            "devices": processes,
            "strategy": "auto" if processes == 1 else "ddp_fork",
            "accumulate_grad_batches": parts,
            "limit_val_batches": 0,
        }
        tiny_config["data"]["batch_size"] = BATCH // processes // parts
        # The rate does not depend on how long the run is.
        tiny_config["model"]["decay"] = 0.0
        return [name, arguments(tiny_config, name, *more)]

    broken = str(tmp_path / "four" / "checkpoints" / "last.ckpt")
    runs = [
        run("four", 4, 1, STEPS // 2),
        run("two", 2, 1, STEPS, "--ckpt_path", broken),
        run("parts", 2, 2, STEPS // 2),
        run("one", 1, 1, STEPS, "--ckpt_path", broken),
        run("whole", 1, 1, STEPS),
    ]
    (tmp_path / "runs.json").write_text(json.dumps(runs))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)],
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=480,
    )
    assert done.returncode == 0, done.stderr.decode()
    whole = losses(tmp_path, "whole")
    assert len(whole) == STEPS and len(set(whole)) == STEPS
    # Sums in another order, no more.
    close = {"rel": 2e-4}
    assert losses(tmp_path, "four") == pytest.approx(whole[: STEPS // 2], **close)
    assert losses(tmp_path, "parts") == pytest.approx(whole[: STEPS // 2], **close)
    for name in ("two", "one"):
        assert losses(tmp_path, name) == pytest.approx(whole[STEPS // 2 :], **close), name
