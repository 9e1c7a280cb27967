"""How many crops a second the training loader gives, a step takes, and how many GPUs that feeds.

    python benchmarks/loader_throughput.py --configs default,mbt2018-mean,elic

The loader: crops of Kodak's pictures, out of PNG and JPEG files (decoded anew each time, as of a
set that does not fit into memory), out of shards of the same JPEG files, and out of memory. The
step: forward, backward and Adam of a config, one crop, float32; its operations are counted by
PyTorch as they run. CPU seconds of one thread, the sources and steps in turns, medians of the
repeats. A GPU's crops a second are paper: --tflops, of which --share is reached. KODEC_DATA names
the folder with the data.
"""

import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from kodec.codecs import PictureCodec, build_module
from kodec.commands.packaged_configs import packaged_configs
from kodec.eval import find_dataset
from kodec.train import RateDistortion
from kodec.train.data import RandomCrops, load_rgb, pixels_and_regions
from kodec.train.numbered_batches import samples_of
from kodec.train.shards import ShardedPictures
from reporting import parser_of, run
from timed_training import one_thread


def main() -> int:
    """Measure and print both tables."""
    parser = parser_of(__doc__)
    parser.add_argument("--configs", default="default,mbt2018-mean,elic")
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--batches", type=int, default=4, help="of 8 crops, a source and repeat")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--tflops", type=float, default=989.0, help="of a GPU: H100, bf16, dense")
    parser.add_argument("--share", type=float, default=0.2, help="of them that a step reaches")
    options = parser.parse_args()
    one_thread()
    names = options.configs.split(",")
    with tempfile.TemporaryDirectory(prefix="kodec-") as folder:
        sources = loaders(Path(folder), options.crop)
        steps = [Step(name, options.crop) for name in names]
        spent: dict[str, list[float]] = {name: [] for name in [*sources, *names]}
        for repeat in range(options.repeats):
            for name, crops in sources.items():
                numbers = range(repeat * options.batches, (repeat + 1) * options.batches)
                seconds = cpu_seconds(lambda: [crops.batch(number) for number in numbers])
                spent[name].append(seconds / (8 * options.batches))
            picture, _ = pixels_and_regions(sources["memory"].batch(repeat))
            for step in steps:
                spent[step.name].append(cpu_seconds(lambda: step.run(picture[:1], repeat)))
    print(f"| source, crops of {options.crop} | ms of CPU a crop | crops/s a core |\n|---|---|---|")
    for name in sources:
        middle = float(np.median(spent[name]))
        print(f"| {name} | {1000 * middle:.2f} | {1 / middle:.0f} |")
    print(
        "\n| config | 10^9 operations a crop | ms of CPU a crop | crops/s of a GPU, on paper "
        "| loader's cores a GPU, JPEG shards |\n|---|---|---|---|---|"
    )
    of_shards = float(np.median(spent["JPEG shards"]))
    for step in steps:
        middle = float(np.median(spent[step.name]))
        of_gpu = options.tflops * 1e12 * options.share / step.operations
        print(
            f"| {step.name} | {step.operations / 1e9:.0f} | {1000 * middle:.0f} | {of_gpu:.0f} "
            f"| {of_gpu * of_shards:.1f} |"
        )
    return 0


def loaders(folder: Path, crop: int) -> dict[str, RandomCrops]:
    """Crops out of each kind of source, of the same pictures."""
    originals = find_dataset("kodak")
    jpegs = []
    for path in originals:
        jpegs.append(folder / f"{path.stem}.jpg")
        Image.fromarray(load_rgb(path)).save(jpegs[-1], quality=95)
    with tarfile.open(folder / "000000.tar", "w") as tar:
        for path in jpegs:
            tar.add(path, path.name)
    shards = ShardedPictures([folder / "000000.tar"])

    def crops(paths: list[Path] | ShardedPictures, memory: int = 0) -> RandomCrops:
        return RandomCrops(paths, crop, 8, seed=0, cache_bytes=memory)

    found = {
        "PNG files": crops(originals),
        "JPEG files": crops(jpegs),
        "JPEG shards": crops(shards),
        "memory": crops(originals, 2**30),
    }
    for number in range(100, 120):
        # Until all of them are there.
        found["memory"].batch(number)
    return found


class Step:
    """A config's training step, and how many operations it is."""

    def __init__(self, name: str, crop: int) -> None:
        self.name = name
        content: dict[str, Any] = yaml.safe_load(packaged_configs()[name].read_text())
        settings = {k: v for k, v in content["model"].items() if k not in ("codec", "start_from")}
        codec = build_module(content["model"]["codec"])
        assert isinstance(codec, PictureCodec)
        self._task = RateDistortion(codec, **settings)
        self._optimiser = torch.optim.Adam(codec.parameters(), lr=1e-6, fused=True)
        with FlopCounterMode(display=False) as counter:
            self.run(torch.rand(1, 3, crop, crop), 0)
        self.operations = counter.get_total_flops()

    def run(self, x: torch.Tensor, number: int) -> None:
        """One step of one crop."""
        loss = self._task.loss_of(x, samples_of(number, len(x), 0, 1))[0]
        self._optimiser.zero_grad()
        loss.backward()
        self._optimiser.step()


def cpu_seconds(work: Callable[[], object]) -> float:
    """Of this process."""
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    run(main, "loader_throughput.py")
