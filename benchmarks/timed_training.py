"""Training for a given CPU time or number of steps, and comparing what came of it by picture."""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from kodec.eval import Interval, describe_machine
from kodec.eval.curves.bootstrap import interval_of_mean
from kodec.native import InvalidInputError, KodecError
from kodec.train.schedule import WarmupStableDecay
from reporting import write_json

SYSTEMS = Path(__file__).with_name("small_systems.yaml")
TICKS = 1_000_000  # Of a whole training, for the schedule, which counts in integers.

Row = dict[str, float | str]


@dataclass(frozen=True)
class Plan:
    """How long and how fast to learn.

    seconds: CPU time of the steps. steps: their number; where it is given, time has no say.
    warmup, decay: first and last fractions of the training over which the learning rate rises from
    zero and falls to it. clip: norm of gradients. checks: how many times to validate, evenly
    spread. slow: parts of parameter names -> factor on their learning rate.
    """

    seconds: float
    steps: int | None = None
    learning_rate: float = 1e-3
    warmup: float = 0.02
    decay: float = 0.5
    clip: float = 1.0
    checks: int = 8
    seed: int = 0
    slow: Mapping[str, float] = field(default_factory=dict)

    def done(self, seconds: float, steps: int) -> float:
        """Which fraction of the training that much time and that many steps are."""
        return seconds / self.seconds if self.steps is None else steps / self.steps


def train_for(
    module: nn.Module,
    plan: Plan,
    batch: Callable[[int], Any],
    loss_of: Callable[[Any], Tensor],
    validate: Callable[[], Mapping[str, float]],
    clock: Callable[[], float] = time.process_time,
) -> list[dict[str, float]]:
    """Train in place until the plan's time or steps are used up; returns the validation curve.

    batch: number of the step -> what `loss_of` takes. Only the steps themselves are on the clock:
    not the making of batches, nor validation, which runs at the start, at even distances
    and at the end. Each point has `seconds`, `steps`, and what `validate` measures. Raises
    `KodecError` where the loss is not finite.
    """
    schedule = WarmupStableDecay(TICKS, round(plan.warmup * TICKS), plan.decay)
    groups = [
        {"params": [p], "factor": next((f for part, f in plan.slow.items() if part in name), 1.0)}
        for name, p in module.named_parameters()
    ]
    optimiser = torch.optim.Adam(groups, lr=plan.learning_rate, fused=True)
    curve: list[dict[str, float]] = []
    spent, steps = 0.0, 0

    def check() -> None:
        module.eval()
        with torch.no_grad():
            found = validate()
        module.train()
        curve.append({"seconds": round(spent, 1), "steps": steps, **found})
        print(json.dumps(curve[-1]), flush=True)

    check()
    while plan.done(spent, steps) < 1:
        given = batch(steps)
        torch.manual_seed(int(np.random.SeedSequence((plan.seed, steps)).generate_state(1)[0]))
        start = clock()
        factor = schedule(int(plan.done(spent, steps) * TICKS))
        for group in optimiser.param_groups:
            group["lr"] = plan.learning_rate * factor * group["factor"]
        loss = loss_of(given)
        if not torch.isfinite(loss):
            raise KodecError(f"the loss is not finite at step {steps}: lower the learning rate")
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), plan.clip)
        optimiser.step()
        spent += clock() - start
        steps += 1
        if plan.done(spent, steps) >= len(curve) / plan.checks:
            check()
    return curve


def systems(kind: str) -> dict[str, Any]:
    """The config sections of `small_systems.yaml`: `transforms` or `latents`, by name."""
    found: dict[str, Any] = yaml.safe_load(SYSTEMS.read_text())[kind]
    return found


def chosen(names: Sequence[str], kind: str) -> list[str]:
    """Those names, or all; raises `InvalidInputError` for one that is not there."""
    known = systems(kind)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidInputError(f"{kind} are {', '.join(known)}, not {unknown[0]}")
    return list(names) or list(known)


def one_thread() -> None:
    """One thread for torch; CPU time is then the time of the work."""
    torch.set_num_threads(1)


def write_run(
    path: Path,
    name: str,
    config: Mapping[str, Any],
    plan: Plan,
    module: nn.Module,
    curve: Sequence[Mapping[str, float]],
    kodak: Sequence[Row],
    **more: Any,
) -> None:
    """One run's results: what was trained, how, the curve, and a row for each Kodak picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "name": name,
        "parameters": sum(p.numel() for p in module.parameters()),
        "plan": asdict(plan),
        **more,
        "curve": list(curve),
        "kodak": list(kodak),
        "config": config,
        "environment": {k: v for k, v in os.environ.items() if k.startswith("MALLOC_")},
        "machine": describe_machine(),
    }
    write_json(path, content, indent=1)


def read_runs(folder: Path, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The runs that are there, by name, in the order of `names`."""
    files = {name: folder / f"{name}.json" for name in names}
    return {name: json.loads(p.read_text()) for name, p in files.items() if p.is_file()}


def mean(run: Mapping[str, Any], key: str) -> float:
    """The mean over a run's Kodak pictures."""
    return float(np.mean([row[key] for row in run["kodak"]]))


def paired_difference(
    test: Mapping[str, Any], anchor: Mapping[str, Any], key: str
) -> tuple[float, Interval]:
    """How many percent `test` lies above `anchor`: mean over pictures, and its interval.

    Of each picture the ratio is taken, so that pictures count alike; they are drawn anew for the
    interval. Training is not: one seed is one seed. Raises `InvalidInputError` where the runs have
    other pictures.
    """
    pictures = [[row["image"] for row in run["kodak"]] for run in (test, anchor)]
    if pictures[0] != pictures[1]:
        raise InvalidInputError(f"{test['name']} and {anchor['name']} have different pictures")
    pairs = zip(test["kodak"], anchor["kodak"], strict=True)
    percents = [100 * (ours[key] / theirs[key] - 1) for ours, theirs in pairs]
    return float(np.mean(percents)), interval_of_mean(percents)


def in_words(difference: tuple[float, Interval]) -> str:
    """For a table: +1.23 [+0.45, +2.01]."""
    value, interval = difference
    return f"{value:+.2f} [{interval.low_percent:+.2f}, {interval.high_percent:+.2f}]"


def draw_curves(
    path: Path,
    runs: Mapping[str, Mapping[str, Any]],
    key: str,
    label: str,
    skip: float,
    logarithmic: bool = False,
) -> None:
    """Draw validation curves from `skip` of each run's training on.

    Over steps, where all runs were given their number, else over CPU time.
    """
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot, ticker

    over = "steps" if all(run["plan"].get("steps") for run in runs.values()) else "seconds"
    figure, axes = pyplot.subplots(figsize=(8.5, 4.5), layout="constrained")
    colours = pyplot.get_cmap("tab20").colors  # type: ignore[attr-defined]
    axes.set_prop_cycle(color=[*colours[::2], *colours[1::2]])
    for marker, (name, run) in zip("os^vDPX*<>dph" * 2, runs.items(), strict=False):
        points = [p for p in run["curve"] if p[over] >= skip * run["plan"][over]]
        axes.plot(
            [p[over] for p in points],
            [p[key] for p in points],
            marker=marker,
            markersize=4,
            label=f"{name} ({run['curve'][-1]['steps']:,} steps)",
        )
    if logarithmic:
        axes.set_yscale("log")
        for axis_part in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
            axis_part(ticker.FormatStrFormatter("%g"))
    axes.set_xlabel("CPU seconds of training steps, one thread" if over == "seconds" else over)
    axes.set_ylabel(label)
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
