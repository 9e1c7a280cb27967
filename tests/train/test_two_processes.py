"""Two processes on the CPU: other crops, the same weights."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Lightning starts the second process by running the same script again.
SCRIPT = """
import hashlib, json, pathlib, sys
import torch
from kodec.train import RateDistortion, train

torch.set_num_threads(1)
whole, crops = RateDistortion.training_step, []

def digest(tensors):
    return hashlib.sha256(b"".join(t.detach().numpy().tobytes() for t in tensors)).hexdigest()

def step(self, x, batch_idx):
    if self.global_step == 0:
        crops.append(digest(self.codec.parameters()))
    crops.append(digest([x]))
    return whole(self, x, batch_idx)

def end(self):
    seen = {"start": crops[0], "crops": crops[1:], "end": digest(self.codec.parameters())}
    pathlib.Path(sys.argv[0]).with_name(f"rank{self.global_rank}.json").write_text(json.dumps(seen))

RateDistortion.training_step, RateDistortion.on_train_end = step, end
train(sys.argv[1:])
"""


def test_two_processes(
    tiny_config: dict[str, Any], arguments: Callable[..., list[str]], tmp_path: Path
) -> None:
    tiny_config["trainer"] |= {
        "max_steps": 3,
        "devices": 2,
        "strategy": "ddp",
        "val_check_interval": 3,
        "log_every_n_steps": 1,
    }
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), *arguments(tiny_config, "run")],
        capture_output=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=240,
    )
    assert done.returncode == 0, done.stderr.decode()
    first, second = (json.loads((tmp_path / f"rank{r}.json").read_text()) for r in (0, 1))
    assert len(first["crops"]) == len(second["crops"]) == 3
    assert not set(first["crops"]) & set(second["crops"])
    assert first["start"] == second["start"] != first["end"] == second["end"]
    # One set of logs, written by the first process.
    (metrics,) = (tmp_path / "run" / "logs").glob("*/metrics.csv")
    assert "train/images_per_second" in metrics.read_text()
