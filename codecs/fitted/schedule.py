"""How a fit goes on: phases as data, and what it may take."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from kodec.entropy import Relaxation
from kodec.native import InvalidInputError

PACKAGED = Path(__file__).with_name("schedules.yaml")
MAX_STEPS = 1_000_000


@dataclass(frozen=True)
class Phase:
    """A part of a fit with one way of rounding.

    share: of the fit's steps, relative to the other phases'. learning_rate, temperature: from its
    first step to its last, geometrically. values: see `Relaxation`.
    """

    share: float
    learning_rate: tuple[float, float]
    values: Literal["rounding", "noise", "annealed"] = "rounding"
    temperature: tuple[float, float] | None = None

    def rate(self, done: float) -> float:
        """The learning rate where `done` in [0, 1] of the phase is."""
        return _between(self.learning_rate, done)

    def relaxation(self, done: float) -> Relaxation:
        """The meter's relaxation there."""
        temperature = None if self.temperature is None else _between(self.temperature, done)
        return Relaxation(self.values, temperature)


@dataclass(frozen=True)
class Schedule:
    """Phases in turn, and how many steps each effort is.

    steps: of efforts 0, 1, ... A fit of any number of steps is the same schedule, shorter or
    longer.
    """

    phases: tuple[Phase, ...]
    steps: tuple[int, ...]

    def place(self, step: int, steps: int) -> tuple[Phase, float]:
        """The phase of a step in 0..steps - 1, and how much of the phase is done before it."""
        whole = sum(phase.share for phase in self.phases)
        start = 0
        passed = 0.0
        for phase in self.phases:
            passed += phase.share
            end = round(steps * passed / whole)
            if step < end:
                return phase, (step - start) / max(1, end - start - 1)
            start = end
        raise IndexError(f"step {step} of {steps}")


def _between(ends: tuple[float, float], done: float) -> float:
    return math.exp((1 - done) * math.log(ends[0]) + done * math.log(ends[1]))


def read_schedule(name: str, path: Path | None = None) -> Schedule:
    """A schedule by its name, of a file of such, or of those that are packaged.

    Raises `InvalidInputError` for what is none, with the place in the file.
    """
    where = "the packaged schedules" if path is None else str(path)
    try:
        content = yaml.safe_load((path or PACKAGED).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InvalidInputError(f"{where} can't be read as YAML: {reason}") from None
    if not isinstance(content, Mapping) or not isinstance(content.get(name), Mapping):
        raise InvalidInputError(
            f"{where} have no schedule {name!r}: write one as docs/cli.md shows"
        )
    try:
        return _schedule(content[name])
    except (KeyError, TypeError, ValueError) as error:
        reason = f"there is no {error}" if isinstance(error, KeyError) else str(error)
        raise InvalidInputError(f"the schedule {name!r} in {where}: {reason}") from None


def _schedule(section: Mapping[str, Any]) -> Schedule:
    unknown = section.keys() - {"phases", "steps"}
    if unknown:
        raise ValueError(f"{min(unknown)!r} means nothing; it has phases and steps")
    phases = tuple(_phase(item) for item in _list(section["phases"], "phases"))
    steps = tuple(_list(section["steps"], "steps"))
    if not all(isinstance(n, int) and 0 <= n <= MAX_STEPS for n in steps):
        raise ValueError(f"steps are whole numbers up to {MAX_STEPS:,}, one for each effort")
    return Schedule(phases, steps)


def _phase(item: Mapping[str, Any]) -> Phase:
    if not isinstance(item, Mapping):
        raise ValueError(f"a phase has a learning_rate and more, by name; {item!r} has not")
    unknown = item.keys() - {"share", "learning_rate", "values", "temperature"}
    if unknown:
        raise ValueError(f"{min(unknown)!r} means nothing in a phase")
    share = item.get("share", 1.0)
    if not (isinstance(share, int | float) and math.isfinite(share) and share > 0):
        raise ValueError(f"a phase's share is above 0, not {share!r}")
    temperature = item.get("temperature")
    phase = Phase(
        float(share),
        _ends(item["learning_rate"], "learning_rate"),
        item.get("values", "rounding"),
        None if temperature is None else _ends(temperature, "temperature"),
    )
    phase.relaxation(0.0)
    return phase


def _list(value: Any, name: str) -> Sequence[Any]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"{name} is a list, not {value!r}")
    return value


def _ends(value: Any, name: str) -> tuple[float, float]:
    """One number for a phase, or its first and last."""
    ends = value if isinstance(value, list) else [value, value]
    fits = all(isinstance(v, int | float) and math.isfinite(v) and v > 0 for v in ends)
    if len(ends) != 2 or not fits:
        raise ValueError(f"{name} is a number above 0, or two, not {value!r}")
    return float(ends[0]), float(ends[1])
