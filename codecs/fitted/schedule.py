"""How a fit goes on: phases as data, and what it may take."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import yaml

from kodec.native import InvalidInputError

PACKAGED = Path(__file__).with_name("schedules.yaml")
MAX_STEPS = 1_000_000
MAX_CANDIDATES = 64

Way = Literal["geometric", "linear", "cosine", "constant"]
Word = str | bool | tuple[str, ...]


def _finite(value: Any) -> bool:
    # True and False are numbers to Python alone.
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and math.isfinite(value)


@dataclass(frozen=True)
class Ramp:
    """A number that goes from `start` at a phase's first step to `end` at its last.

    way: between them: by equal factors ("geometric", both above 0), by equal differences
    ("linear"), by half a cosine, or not at all ("constant": it is `start`). warm_up: the share of
    the phase in which it first comes up to `start`, linearly, from `warm_up_from` times that.
    Raises `InvalidInputError`.
    """

    start: float
    end: float
    way: Way = "geometric"
    warm_up: float = 0.0
    warm_up_from: float = 0.0

    def __post_init__(self) -> None:
        if self.way not in get_args(Way):
            raise InvalidInputError(f"a ramp's way is {', '.join(get_args(Way))}, not {self.way!r}")
        ends = (self.start, self.end)
        if not all(_finite(end) for end in ends):
            raise InvalidInputError(f"a ramp is between two numbers, not {ends}")
        if self.way == "geometric" and min(ends) <= 0:
            raise InvalidInputError(f"a geometric ramp's ends are above 0, not {ends}")
        if not (_finite(self.warm_up) and 0 <= self.warm_up < 1):
            raise InvalidInputError(f"a warm-up is a share from 0 to below 1, not {self.warm_up}")
        if not (_finite(self.warm_up_from) and 0 <= self.warm_up_from <= 1):
            raise InvalidInputError(f"a warm-up begins at 0 to 1 of it, not {self.warm_up_from}")

    def at(self, passed: float) -> float:
        """The number where `passed` in [0, 1] of the phase is."""
        if passed < self.warm_up:
            share = passed / self.warm_up
            return self.start * (self.warm_up_from + (1 - self.warm_up_from) * share)
        passed = (passed - self.warm_up) / (1 - self.warm_up)
        if self.way == "geometric":
            return math.exp((1 - passed) * math.log(self.start) + passed * math.log(self.end))
        if self.way == "linear":
            return (1 - passed) * self.start + passed * self.end
        if self.way == "cosine":
            return self.end + (self.start - self.end) * (1 + math.cos(math.pi * passed)) / 2
        return self.start


@dataclass(frozen=True)
class Phase:
    """A part of a fit that goes on in one way.

    share: of the fit's steps, relative to the other phases'. steps: so many instead; phases with
    steps take half of a fit at most where others have shares, and go by their proportions
    otherwise. learning_rate: of the optimiser's groups, each times its own "scale". knobs: numbers
    by name that the fitting reads, words: what else it reads. measure_every: what the values come
    to is measured after so many steps, and where the phase ends. from_best: it begins from the best
    state so far. new_optimiser: it begins with a new one. forget: what was best before counts no
    more, since what is measured changes. candidates: so many states go through it, one after the
    other, each with a new optimiser: in a fit's first phase those that `Fitting.restart` makes,
    later the best ones, at its end, of the phase before. Raises `InvalidInputError`.
    """

    share: float = 1.0
    learning_rate: Ramp = Ramp(1e-3, 1e-3)
    knobs: Mapping[str, Ramp] = field(default_factory=dict)
    words: Mapping[str, Word] = field(default_factory=dict)
    name: str = ""
    steps: int | None = None
    measure_every: int = 1
    from_best: bool = False
    new_optimiser: bool = False
    forget: bool = False
    candidates: int = 1

    def __post_init__(self) -> None:
        if not (_finite(self.share) and self.share > 0):
            raise InvalidInputError(f"a phase's share is above 0, not {self.share!r}")
        for name, value, most in (
            ("steps", self.steps, MAX_STEPS),
            ("measure_every", self.measure_every, MAX_STEPS),
            ("candidates", self.candidates, MAX_CANDIDATES),
        ):
            if value is not None and not (type(value) is int and 1 <= value <= most):
                raise InvalidInputError(f"a phase's {name} is 1 to {most:,}, not {value!r}")
        if not (_finite(self.learning_rate.at(0.5)) and self.learning_rate.at(0.5) >= 0):
            raise InvalidInputError("a learning rate is no negative number")

    def knob(self, name: str, passed: float, default: float | None = None) -> float:
        """A knob where `passed` in [0, 1] of the phase is; what is not set is `default`.

        Raises `InvalidInputError` where it is not set and has no default.
        """
        ramp = self.knobs.get(name)
        if ramp is not None:
            return ramp.at(passed)
        if default is None:
            raise InvalidInputError(f"a phase {self.name!r} needs {name}, which it does not set")
        return default


@dataclass(frozen=True)
class Moment:
    """Where a fit is.

    passed: of the phase, in [0, 1]. step: of the whole fit's `steps`, from 0 on. candidate: which
    of the phase's.
    """

    phase: Phase
    passed: float
    step: int
    steps: int
    candidate: int = 0

    @property
    def learning_rate(self) -> float:
        """Of the phase, here."""
        return self.phase.learning_rate.at(self.passed)

    def knob(self, name: str, default: float | None = None) -> float:
        """A knob of the phase, here; see `Phase.knob`."""
        return self.phase.knob(name, self.passed, default)


@dataclass(frozen=True)
class Leg:
    """One candidate's way through a phase: steps `start` to `end` - 1 of the fit.

    fresh: whether it has an optimiser of its own.
    """

    number: int
    phase: Phase
    candidate: int
    start: int
    end: int
    fresh: bool

    def moment(self, step: int, steps: int, turn: tuple[int, float] = (0, 0.0)) -> Moment:
        """Where a step of the leg is; turn: a step of it, and how much had passed of it there."""
        start, before = turn if self.start < turn[0] < self.end else (self.start, 0.0)
        last = self.end - start - 1
        # A leg of one step is at its beginning; what is left of a longer one, at its end.
        share = (step - start) / last if last else float(start > self.start)
        return Moment(self.phase, before + (1 - before) * share, step, steps, self.candidate)


@dataclass(frozen=True)
class Schedule:
    """Phases in turn, and how many steps each effort is.

    steps: of efforts 0, 1, ... A fit of any number of steps is the same schedule, shorter or
    longer.
    """

    phases: tuple[Phase, ...]
    steps: tuple[int, ...]

    def legs(self, steps: int, ends: Sequence[int] = ()) -> list[Leg]:
        """What a fit of `steps` steps goes through, legs without steps too.

        ends: of the legs, where they are not what `steps` alone makes of them.
        """
        if ends:
            starts = (0, *ends)
            return [
                replace(leg, start=start, end=end)
                for leg, start, end in zip(self.legs(steps), starts, ends, strict=False)
            ]
        weights = self._weights(steps)
        whole = math.fsum(w * p.candidates for w, p in zip(weights, self.phases, strict=True))
        found: list[Leg] = []
        start, passed, before = 0, 0.0, 1
        for weight, phase in zip(weights, self.phases, strict=True):
            fresh = phase.new_optimiser or phase.candidates > 1 or before > 1
            for candidate in range(phase.candidates):
                passed += weight
                end = max(start, min(steps, round(steps * passed / whole)))
                found.append(Leg(len(found), phase, candidate, start, end, fresh))
                start = end
            before = phase.candidates
        return found

    def leg(self, step: int, steps: int, ends: Sequence[int] = ()) -> Leg:
        """The leg that a step in 0..steps - 1 is in."""
        for leg in self.legs(steps, ends):
            if step < leg.end:
                return leg
        raise IndexError(f"step {step} of {steps}")

    def ends_after(self, leg: Leg, done: int, steps: int, ends: Sequence[int]) -> list[int]:
        """Where legs end if the number of steps becomes `steps` when `done` are done, within a leg.

        Those before it stay as they were, and each of the others has a step at least that is not
        done.
        """
        found = list(ends[: leg.number])
        for later in self.legs(steps)[leg.number :]:
            found.append(max(later.end, done + 1, *found[-1:]))
        return found

    def _weights(self, steps: int) -> list[float]:
        """Of the phases, for one candidate each; only their proportions count."""
        fixed = sum((p.steps or 0) * p.candidates for p in self.phases)
        shares = math.fsum(p.share * p.candidates for p in self.phases if p.steps is None)
        if not fixed or not shares:
            return [p.share if p.steps is None else float(p.steps) for p in self.phases]
        taken = min(fixed, steps / 2)
        return [
            p.share * (steps - taken) / shares if p.steps is None else p.steps * taken / fixed
            for p in self.phases
        ]


@dataclass(frozen=True)
class PhaseKeys:
    """What the phases of a kind of fit may set beside what all have.

    knobs, words: by name. check: raises `InvalidInputError` for a phase that means nothing.
    """

    knobs: frozenset[str] = frozenset()
    words: frozenset[str] = frozenset()
    check: Callable[[Phase], object] = lambda phase: None


_COMMON = {
    *("share", "learning_rate", "name", "steps", "measure_every", "from_best", "new_optimiser"),
    *("forget", "candidates"),
}
_FLAGS = ("from_best", "new_optimiser", "forget")


def read_schedule(name: str, path: Path | None = None, keys: PhaseKeys | None = None) -> Schedule:
    """A schedule by its name, of a file of such, or of those that are packaged.

    keys: what its phases may set. Raises `InvalidInputError` for what is none, with the place in
    the file.
    """
    own = path is not None and path.parent != PACKAGED.parent
    where = str(path) if own else "the packaged schedules"
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
        return _schedule(content[name], keys or PhaseKeys())
    except (KeyError, TypeError, ValueError) as error:
        reason = f"there is no {error}" if isinstance(error, KeyError) else str(error)
        raise InvalidInputError(f"the schedule {name!r} in {where}: {reason}") from None


def _schedule(section: Mapping[str, Any], keys: PhaseKeys) -> Schedule:
    unknown = section.keys() - {"phases", "steps"}
    if unknown:
        raise ValueError(f"{min(unknown)!r} means nothing; it has phases and steps")
    phases = tuple(_phase(item, keys) for item in _list(section["phases"], "phases"))
    steps = tuple(_list(section["steps"], "steps"))
    if not all(isinstance(n, int) and 0 <= n <= MAX_STEPS for n in steps):
        raise ValueError(f"steps are whole numbers up to {MAX_STEPS:,}, one for each effort")
    return Schedule(phases, steps)


def _phase(item: Mapping[str, Any], keys: PhaseKeys) -> Phase:
    if not isinstance(item, Mapping):
        raise ValueError(f"a phase has a learning_rate and more, by name; {item!r} has not")
    unknown = {str(key) for key in item.keys() - _COMMON - keys.knobs - keys.words}
    if unknown:
        raise ValueError(f"{min(unknown)!r} means nothing in a phase")
    if "share" in item and "steps" in item:
        raise ValueError("a phase has a share or steps, not both")
    for flag in _FLAGS:
        if not isinstance(item.get(flag, False), bool):
            raise ValueError(f"{flag} is true or false, not {item[flag]!r}")
    phase = Phase(
        item.get("share", 1.0),
        _ramp(item["learning_rate"], "learning_rate"),
        {key: _ramp(item[key], key) for key in sorted(keys.knobs & item.keys())},
        {key: _word(item[key], key) for key in sorted(keys.words & item.keys())},
        str(item.get("name", "")),
        item.get("steps"),
        item.get("measure_every", 1),
        item.get("from_best", False),
        item.get("new_optimiser", False),
        item.get("forget", False),
        item.get("candidates", 1),
    )
    keys.check(phase)
    return phase


def _list(value: Any, name: str) -> Sequence[Any]:
    if not isinstance(value, list) or not value:
        raise ValueError(f"{name} is a list, not {value!r}")
    return value


def _ramp(value: Any, name: str) -> Ramp:
    """A number for a phase, its first and last (geometrically), or a ramp's fields by name."""
    if isinstance(value, Mapping):
        unknown = value.keys() - Ramp.__dataclass_fields__.keys()
        if unknown or "start" not in value:
            raise ValueError(f"{name} has a start, an end and a way, not {dict(value)!r}")
        return Ramp(**{"end": value["start"], **value})
    ends = value if isinstance(value, list) else [value, value]
    fits = all(_finite(v) and v > 0 for v in ends)
    if len(ends) != 2 or not fits:
        raise ValueError(f"{name} is a number above 0, or two, not {value!r}")
    return Ramp(float(ends[0]), float(ends[1]))


def _word(value: Any, name: str) -> Word:
    if isinstance(value, str | bool):
        return value
    if isinstance(value, list) and all(isinstance(v, str) for v in value):
        return tuple(value)
    raise ValueError(f"{name} is a word, a list of words, true or false, not {value!r}")
