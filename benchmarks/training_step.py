"""CPU time of a training step of the default model, with and without the quicker products.

    python benchmarks/training_step.py --steps 13

Both ways in turns, in one process, on the same crops of natural-crops, in bfloat16 (mixed) and in
float32; medians, with quartiles of the whole. KODEC_DATA names the folder with the data. One
thread.
"""

import time
from typing import Any

import numpy as np
import torch
import yaml
from torch import nn

from compare_structures import CONFIG, task_of
from kodec.models.blocks import products
from kodec.train import CropData
from kodec.train.data import RandomCrops, pixels_and_regions
from kodec.train.numbered_batches import samples_of
from reporting import parser_of, run
from timed_training import one_thread

PARTS = ("crops", "forward", "backward", "clipping", "Adam")


def main() -> int:
    """Measure and print the table."""
    parser = parser_of(__doc__)
    parser.add_argument("--steps", type=int, default=13, help="of each way")
    options = parser.parse_args()
    one_thread()
    config = yaml.safe_load(CONFIG.read_text())
    task = task_of(config, "default", seed=0)
    data = CropData(**config["data"])
    crops = RandomCrops(data.paths("train"), data.crop, data.batch_size, data.seed)
    optimiser = torch.optim.Adam(task.codec.parameters(), lr=1e-6, fused=True)
    quick = products._has_quick_products()
    found: dict[tuple[bool, bool], list[Any]] = {
        (halves, way): [] for halves in (True, False) for way in sorted({False, quick})
    }

    def step(number: int, halves: bool) -> Any:
        marks = [time.process_time()]
        x, _ = pixels_and_regions(crops.batch(number))
        marks.append(time.process_time())
        with torch.autocast("cpu", torch.bfloat16, enabled=halves):
            loss = task.loss_of(x, samples_of(number, len(x), 0, 1))[0]
        marks.append(time.process_time())
        optimiser.zero_grad()
        loss.backward()
        marks.append(time.process_time())
        nn.utils.clip_grad_norm_(task.codec.parameters(), 1.0)
        marks.append(time.process_time())
        optimiser.step()
        marks.append(time.process_time())
        return 1000 * np.diff(marks)

    own = products._has_quick_products
    for number in range(options.steps + 3):
        for halves, way in found:
            products._has_quick_products = lambda way=way: way  # type: ignore[assignment]
            spent = step(number, halves)
            if number >= 3:
                found[halves, way].append(spent)
    products._has_quick_products = own
    print("| arithmetic | products | " + " | ".join(PARTS) + " | all, ms |")
    print("|" + "---|" * (len(PARTS) + 3))
    for (halves, way), rows in found.items():
        parts = [f"{v:.0f}" for v in np.median(rows, axis=0)]
        low, middle, high = np.quantile(np.sum(rows, axis=1), [0.25, 0.5, 0.75])
        names = ["bfloat16" if halves else "float32", "oneDNN's" if way else "MKL's"]
        print("| " + " | ".join([*names, *parts, f"{middle:.0f} ({low:.0f} to {high:.0f})"]) + " |")
    return 0


if __name__ == "__main__":
    run(main, "training_step.py")
