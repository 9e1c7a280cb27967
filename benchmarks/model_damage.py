"""Damaged and forged model files: an error in one line or a model, in bounded time and memory.

    python benchmarks/model_damage.py [--cases 10000] [--seed 1] [--json REPORT.json]

Five families, each a fifth of the cases, from a small model file that is made here and from the
configs in `train/configs`:

- "bytes": a few bytes changed, inserted or taken out anywhere in the file;
- "config": the file's config changed at random places, its weights as they were;
- "tensors": tensors left out, renamed, cut, of other types, of values that are no numbers, with the
  file's checksum made right again;
- "metadata": the id, the notes, the name, the format;
- "no weights": full-size configs changed at random places, in a file without a single tensor.

Failures, after which the exit status is 1: another exception than `BitstreamError`,
`InvalidInputError` or `UnsupportedError`, or one of several lines; a load that takes more than
--limit seconds of the processor; peak memory, above what the process takes after it has loaded a
sound one, of more than 4 times the larger of the file's size and 16 MiB.
"""

import argparse
import copy
import importlib
import json
import math
import random
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import safetensors.torch
import torch
import yaml
from torch import Tensor

from forging import Tally, mutate
from kodec.codecs import PictureCodec, build_module, load_model, save_model
from kodec.codecs.model_file import _checksum
from kodec.codecs.peak_memory import PeakMemory
from kodec.codecs.tensor_file import read_tensors
from kodec.native import BitstreamError, InvalidInputError, UnsupportedError
from reporting import parser_of, run, write_json

CONFIGS = Path(__file__).parents[1] / "train" / "configs"
MEMORY_FACTOR, LEAST_FILE = 4, 16 * 2**20
EXPECTED = (BitstreamError, InvalidInputError, UnsupportedError)

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 2, 7, 1.5, -0.5, 4e6, 4_000_000, 65_536, 2**31, -(2**63), 2**64),
    *(10**400, 1e-320, 1e308, math.nan, math.inf, -math.inf, "", "x", "x" * 5000, "\n\x1b[2J"),
    *([], {}, [1], [0, 0, 0], [1] * 2000, [[[[]]]], {"class_path": 3}, {"class_path": "os.abort"}),
    *({"init_args": {}}, ["a", {"b": None}], {"class_path": "kodec.entropy.GainUnit"}),
)
CLASS_PATHS = (
    *("os.system", "subprocess.Popen", "torch.nn.Linear", "kodec.load", "kodec", "", "kodec..x"),
    *("kodec.train.RateDistortion", "kodec.entropy.latents.hyperprior.MeanScaleHyperprior"),
    *("kodec.entropy.IntegerTables", "kodec.entropy.FactorisedPrior", "kodec.models.WaveletPacket"),
    *("kodec.codecs.PictureCodec", "kodec.models.GDNAnalysis", "kodec.models.SwinSynthesis"),
    *(
        "kodec.models.LappedAnalysis",
        "kodec.models.WaLLoCAnalysis",
        "kodec.entropy.RegionAdaptation",
    ),
    *("kodec.entropy.FrequencySlices", "kodec.entropy.RasterAutoregression", "kodec.__main__.main"),
    *("kodec.entropy.MultiReference", "kodec.entropy.AdaptiveSlices", "kodec.entropy.UnevenSlices"),
    *("kodec.entropy.CompandedIntegers", "kodec.entropy.RegionPrototypes"),
)


def small_config() -> dict[str, Any]:
    """A variable-rate codec a few channels wide."""

    def part(path: str, **arguments: Any) -> dict[str, Any]:
        return {"class_path": f"kodec.{path}", "init_args": arguments}

    return part(
        "codecs.PictureCodec",
        analysis=part("models.GDNAnalysis", width=4, latents=6),
        latents=part("entropy.MeanScaleHyperprior", channels=6, hyper=4, lagrangian=0.1),
        synthesis=part("models.GDNSynthesis", width=4, latents=6),
        gain=part("entropy.GainUnit", channels=6),
        portability="guarded",
    )


def save_small(path: Path, config: dict[str, Any]) -> bytes:
    """A sound model file's bytes."""
    torch.manual_seed(0)
    network = build_module(config)
    assert isinstance(network, PictureCodec)
    save_model(network, config, path, "small", {"licence": "CC0"})
    return path.read_bytes()


def full_configs() -> list[dict[str, Any]]:
    """The codecs of all training configs."""
    models = [yaml.safe_load(path.read_text())["model"] for path in sorted(CONFIGS.glob("*.yaml"))]
    return [model.get("init_args", model)["codec"] for model in models]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) in a config."""
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    elif isinstance(value, list):
        items = enumerate(value)
    for key, item in items:
        yield value, key
        yield from places(item)


def mutate_config(config: dict[str, Any], rng: random.Random) -> Any:
    """A config with one to three random changes."""
    out: Any = {"root": copy.deepcopy(config)}
    # Three levels of a hundred: what this program itself can copy.
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        every = list(places(out))
        if not every:
            break
        holder, key = rng.choice(every)
        old, kind = holder[key], rng.randrange(8)
        if kind == 0:
            del holder[key]
        elif kind == 1 and isinstance(holder, dict):
            holder[rng.choice(("channels", "extra", "heads", "count", "kernel", "dict_kwargs"))] = (
                rng.choice(VALUES)
            )
        elif kind == 2:
            other, name = rng.choice(every)
            holder[key] = copy.deepcopy(other[name])
        elif kind == 3 and isinstance(old, int | float) and not isinstance(old, bool):
            holder[key] = rng.choice((old + 1, old - 1, -old, old * 2, old * 1000, old / 2, 0))
        elif kind == 4:
            nested: Any = old
            for _ in range(rng.choice((3, 50, 100))):
                nested = [nested] if rng.random() < 0.5 else {"init_args": nested}
            holder[key] = nested
        elif kind == 5 or key == "class_path":
            sections = [h for h, k in every if k == "class_path"]
            if sections:
                rng.choice(sections)["class_path"] = rng.choice(CLASS_PATHS)
        else:
            holder[key] = copy.deepcopy(rng.choice(VALUES))
    return out.get("root")


def with_config(tensors: dict[str, Tensor], metadata: dict[str, str], config: Any) -> bytes:
    """A file of that config; the checksum does not cover it."""
    return safetensors.torch.save(tensors, {**metadata, "config": json.dumps(config)})


def mutate_tensors(tensors: dict[str, Tensor], rng: random.Random) -> dict[str, Tensor]:
    """One tensor left out, added, or replaced by another."""
    out = dict(tensors)
    name = rng.choice(sorted(out))
    value = out[name]
    kind = rng.randrange(7)
    if kind == 0:
        del out[name]
    elif kind == 1:
        out[rng.choice(("weights/x", "tables/x", "", name + ".", "y" * 5000))] = value.clone()
    elif kind == 2:
        out[name] = value.to(
            rng.choice((torch.float64, torch.int8, torch.bool, torch.bfloat16, torch.int64))
        )
    elif kind == 3:
        out[name] = value.flatten()[: rng.randrange(value.numel() + 1)].clone()
    elif kind == 4:
        out[name] = value.clone().unsqueeze(rng.choice((0, -1)))
    elif kind == 5:
        out[name] = torch.zeros(rng.choice(((0,), (0, 2**40), (), (1, 1, 1, 1, 1))))
    else:
        changed = value.clone().reshape(-1)
        bad = [math.nan, math.inf, -1e9, 0] if value.is_floating_point() else [-1, 0, 65_535, 2**30]
        changed[rng.randrange(len(changed))] = rng.choice(bad)
        out[name] = changed.reshape(value.shape)
    return out


def mutate_metadata(metadata: dict[str, str], rng: random.Random) -> dict[str, str]:
    """One entry left out or replaced."""
    out = dict(metadata)
    name = rng.choice(sorted(out))
    deep = "[" * 100_000
    values = ("", "00" * 8, "zz", "[]", "{}", "null", '{"a": 3}', deep, "x" * 2_000_000, "NaN")
    if rng.randrange(6) == 0:
        del out[name]
    else:
        out[name] = rng.choice((*values, mutate(out[name].encode() or b"x", rng).decode("latin-1")))
    return out


def cases(folder: Path, count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Damaged files, each with its family; the same ones for the same seed."""
    rng = random.Random(seed)
    path = folder / "sound.safetensors"
    config = small_config()
    data = save_small(path, config)
    metadata, tensors = read_tensors(path, "a model")
    tensors = {name: value.clone() for name, value in tensors.items()}
    full = full_configs()

    def sealed() -> bytes:
        changed = mutate_tensors(tensors, rng)
        return safetensors.torch.save(changed, {**metadata, "checksum": _checksum(changed)})

    bare = {**metadata, "checksum": _checksum({})}
    families: dict[str, Callable[[], bytes]] = {
        "bytes": lambda: mutate(data, rng),
        "config": lambda: with_config(tensors, metadata, mutate_config(config, rng)),
        "tensors": sealed,
        "metadata": lambda: safetensors.torch.save(tensors, mutate_metadata(metadata, rng)),
        "no weights": lambda: with_config({}, bare, mutate_config(rng.choice(full), rng)),
    }
    for number in range(count):
        name = list(families)[number % len(families)]
        yield name, families[name]()


def load_case(path: Path) -> str:
    """What loading gives, in words."""
    load_model(path)
    return "loaded"


def main() -> int:
    """Try all, print, and return the exit status."""
    parser = parser_of(__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--limit", type=float, default=5.0, help="seconds that a load may take")
    parser.add_argument("--json", type=Path, help="write the report")
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        return examine(Path(folder), options)


def examine(folder: Path, options: argparse.Namespace) -> int:
    """All cases."""
    torch.set_num_threads(1)
    # What Swin transforms are made of, which is imported with the first of them.
    importlib.import_module("torchvision.models.swin_transformer")
    path, memory, highest, loaded = folder / "case.safetensors", PeakMemory(), 0, 0
    tallies: dict[str, Tally] = {}
    for name, data in cases(folder, options.cases, options.seed):
        if not tallies:
            load_model(folder / "sound.safetensors")
            memory.restart()
            loaded = memory.read()
        path.write_bytes(data)
        tally = tallies.setdefault(name, Tally())
        work = partial(load_case, path)
        failure = tally.attempt(data, work, options.limit, EXPECTED, time.process_time)
        above = memory.read() - loaded
        highest = max(highest, above)
        if above > MEMORY_FACTOR * max(len(data), LEAST_FILE):
            failure = f"{above / 2**20:.0f} MiB"
            tally.fail(failure, data)
            memory.restart()
        if failure:
            print(f"{name}: {failure}", flush=True)
    for name, tally in tallies.items():
        failed = f"{len(tally.failures):4d} failures"
        print(f"{name:12s} {failed}, slowest {tally.slowest:.2f} s; {tally.in_words()}")
    print(f"peak memory above a loaded sound one: {highest / 2**20:.1f} MiB")
    held = not any(tally.failures for tally in tallies.values())
    print("all held" if held else "FAILED")
    if options.json:
        families = {name: tally.report() for name, tally in tallies.items()}
        report = {"cases": options.cases, "held": held, "peak_bytes": highest}
        write_json(options.json, {**report, "families": families})
    return 0 if held else 1


if __name__ == "__main__":
    run(main, "model_damage.py")
