"""The one fitting loop: parameters, phases, a budget, the best state kept, exact resume."""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from kodec.codecs.interrupts import interrupts_noted
from kodec.native import InvalidInputError, KodecError

from .schedule import MAX_STEPS, Leg, Moment, Phase, Schedule

# Of a budget in minutes, so many steps and such a share of it are timed before the others are
# counted.
TIMED = 3
TIMED_SHARE = 0.01
# They are counted again where such shares of the time have passed.
COUNTED_AGAIN = (0.1, 0.3, 0.6, 0.85)
SAVE_EVERY = 10.0


@dataclass(frozen=True)
class Figures:
    """What the values give as they are coded: bpp, PSNR in dB, loss (bpp + lambda x distortion)."""

    loss: float
    bpp: float
    psnr: float


class Fitting(ABC):
    """What is fitted.

    values: by name, the tensors that are optimised, and others of which the state consists, such as
    masks: they are kept with the best and restored as they were. identity: what it is a fit of; a
    stored state of another one is refused. divides_steps: whether parts of it have steps of their
    own by how many there are in all, which minutes then come to once and for good.
    """

    values: Mapping[str, Tensor]
    identity: Mapping[str, str]
    divides_steps: bool = False

    def optimiser(self) -> torch.optim.Optimizer:
        """Of the values; by default Adam of those that require gradients.

        Phases set its rate; a group with a "scale" has the phase's rate times that.
        """
        return torch.optim.Adam([v for v in self.values.values() if v.requires_grad], lr=1.0)

    def begin(self, phase: Phase) -> None:
        """A phase begins, for one candidate; by default nothing happens.

        Called before the phase's optimiser is made. A fit that goes on calls it for all phases that
        had begun, in their order, and sets the values afterwards.
        """

    def restart(self, candidate: int) -> None:
        """Make the values anew, in place, as a candidate from 1 on; they are the first's before.

        Raises `InvalidInputError` where there is only one way to begin.
        """
        raise InvalidInputError("this fit has one beginning: its phases have no candidates")

    @abstractmethod
    def descend(self, moment: Moment) -> None:
        """Add the loss's gradients, of the values as they are, to theirs.

        Random numbers that it draws from PyTorch's generator are a function of the step.
        """

    @abstractmethod
    def measure(self) -> Figures:
        """What the values give as they are coded, without gradients."""


@dataclass(frozen=True)
class Budget:
    """What a fit may take: steps, or minutes. It ends early where it reaches a PSNR or a bpp.

    A shorter budget is the same schedule in fewer steps. Raises `InvalidInputError`.
    """

    steps: int | None = None
    minutes: float | None = None
    psnr: float | None = None
    bpp: float | None = None

    def __post_init__(self) -> None:
        if (self.steps is None) == (self.minutes is None):
            raise InvalidInputError("a fit has a budget of steps, or of minutes")
        if self.steps is not None and not 0 <= self.steps <= MAX_STEPS:
            raise InvalidInputError(f"a fit takes 0 to {MAX_STEPS:,} steps, not {self.steps:,}")
        if self.minutes is not None and not 0 <= self.minutes < math.inf:
            raise InvalidInputError("minutes are 0 or more, and no infinity")

    def in_words(self) -> str:
        """Steps or minutes, and targets."""
        words = [f"{self.minutes:g} minutes" if self.steps is None else f"{self.steps} steps"]
        words += [] if self.psnr is None else [f"to {self.psnr:g} dB"]
        words += [] if self.bpp is None else [f"to {self.bpp:g} bpp"]
        return ", ".join(words)

    def every(self, usual: int) -> int:
        """After how many steps to measure: more often than usual where there is a target."""
        return usual if self.psnr is None and self.bpp is None else max(1, usual // 8)

    def reached(self, figures: Figures) -> bool:
        """Whether a target is."""
        return (self.psnr is not None and figures.psnr >= self.psnr) or (
            self.bpp is not None and figures.bpp <= self.bpp
        )

    def affordable(self, done: int, seconds: float, each: float) -> int:
        """How many steps in all, where `done` took `seconds`, and another one takes `each`."""
        assert self.minutes is not None
        left = max(0.0, 60 * self.minutes - seconds)
        return min(MAX_STEPS, done + int(left / max(each, 1e-6)))


@dataclass
class Fit:
    """Where a fit is, and the best that it has seen.

    steps: in all; None until a budget in minutes has been counted in steps. legs: numbers of those
    that have begun. arrived: losses and values of the present phase's candidates, at their ends;
    waiting: those of the phase before, the best first. counted: steps and seconds where minutes
    were counted in steps; then ends: of legs, and turn: the step in which they were counted last,
    and how much of its leg had passed.
    """

    steps: int | None
    done: int = 0
    seconds: float = 0.0
    start: Figures | None = None
    figures: Figures | None = None
    best: dict[str, Tensor] = field(default_factory=dict)
    legs: list[int] = field(default_factory=list)
    arrived: list[tuple[float, dict[str, Tensor]]] = field(default_factory=list)
    waiting: list[tuple[float, dict[str, Tensor]]] = field(default_factory=list)
    counted: list[tuple[int, float]] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    turn: tuple[int, float] = (0, 0.0)
    interrupted: bool = False


Show = Callable[[int, int, str], None]
"""Called with steps done, steps in all, and the best figures in words."""


class Store(Protocol):
    """Where a fit is kept, until what comes of it is written."""

    def save(self, run: Fit, fitting: Fitting, optimiser: torch.optim.Optimizer | None) -> None:
        """Keep it, whole or not at all."""


def nothing_shown(done: int, total: int, label: str) -> None:
    """A `Show` for nobody."""


def fit(
    fitting: Fitting,
    schedule: Schedule,
    budget: Budget,
    show: Show = nothing_shown,
    accept: Callable[[Figures], bool] = lambda figures: True,
    store: Store | None = None,
    begun: tuple[Fit, torch.optim.Optimizer | None] | None = None,
) -> Fit:
    """Optimise the values within the budget; they end as the best ones that were measured.

    accept: which states may be kept, beside the first. store: where the fit is kept, every ten
    seconds and when it is interrupted; of a whole fit too, until what came of it is safe. begun: a
    fit from there, to go on with; it ends as if it had not been broken. An interrupt lets the step
    end, then the fit; a second one ends it at once.

    Raises `KodecError` where nothing measured is finite.
    """
    run, optimiser = begun or (Fit(budget.steps), None)
    clock = _Clock(run.seconds)
    saved = time.monotonic()
    with interrupts_noted() as interrupts:
        if run.start is None:
            run.start = run.figures = _measured(fitting)
            run.best = _copies(fitting)
            clock.measured()
        while not interrupts and not _over(run, budget):
            leg, moment = _place(schedule, run)
            if leg.number not in run.legs:
                optimiser = _begin(fitting, run, leg, optimiser)
            assert optimiser is not None
            _step(fitting, moment, run, optimiser)
            clock.stepped()
            if run.steps is None and clock.ripe(budget):
                each = clock.step + clock.measurement / leg.phase.measure_every
                run.steps = budget.affordable(run.done, clock.seconds(), each)
                run.counted.append((run.done, clock.seconds()))
            elif budget.minutes is not None and run.counted and not fitting.divides_steps:
                _count_again(schedule, run, leg, budget, clock.seconds())
            ends = (
                run.steps is not None
                and run.done >= schedule.legs(run.steps, run.ends)[leg.number].end
            )
            if ends or run.done % leg.phase.measure_every == 0:
                figures = fitting.measure()
                _keep_better(fitting, run, figures, accept)
                clock.measured()
                if ends and leg.phase.candidates > 1:
                    run.arrived.append((figures.loss, _copies(fitting)))
            run.seconds = clock.seconds()
            assert run.figures is not None
            show(run.done, run.steps or run.done + 1, _words(run.figures))
            if store is not None and time.monotonic() - saved > SAVE_EVERY:
                store.save(run, fitting, optimiser)
                saved = time.monotonic()
        run.interrupted = bool(interrupts) and not _over(run, budget)
        if store is not None and run.interrupted:
            store.save(run, fitting, optimiser)
    set_values(fitting, run.best)
    return run


def _over(run: Fit, budget: Budget) -> bool:
    assert run.figures is not None
    if budget.minutes == 0 or budget.reached(run.figures):
        return True
    return run.steps is not None and run.done >= run.steps


def enter(
    fitting: Fitting, leg: Leg, optimiser: torch.optim.Optimizer | None
) -> torch.optim.Optimizer:
    """Begin a leg, and give the optimiser for it; what a fit that goes on does again."""
    with _seeded(leg.number):
        fitting.begin(leg.phase)
    return fitting.optimiser() if leg.fresh or optimiser is None else optimiser


def set_values(fitting: Fitting, values: Mapping[str, Tensor]) -> None:
    """Copy values into the fitting's, by name."""
    with torch.no_grad():
        for name, value in fitting.values.items():
            value.copy_(values[name])


def _count_again(schedule: Schedule, run: Fit, leg: Leg, budget: Budget, seconds: float) -> None:
    """By what steps took since minutes were counted last; the leg goes on from where it is.

    A state that is saved later than the last of these goes on to the same bytes.
    """
    assert run.steps is not None and budget.minutes is not None
    again = len(run.counted) - 1
    if again == len(COUNTED_AGAIN) or seconds < COUNTED_AGAIN[again] * 60 * budget.minutes:
        return
    legs = schedule.legs(run.steps, run.ends)
    done, before = run.counted[-1]
    if run.done in (done, legs[leg.number].end):
        return
    turn = run.done, legs[leg.number].moment(run.done, run.steps, run.turn).passed
    steps = budget.affordable(run.done, seconds, (seconds - before) / (run.done - done))
    run.ends = schedule.ends_after(leg, run.done, steps, [other.end for other in legs])
    run.turn, run.steps = turn, run.ends[-1]
    run.counted.append((run.done, seconds))


def _place(schedule: Schedule, run: Fit) -> tuple[Leg, Moment]:
    if run.steps is not None:
        leg = schedule.leg(run.done, run.steps, run.ends)
        return leg, leg.moment(run.done, run.steps, run.turn)
    # While minutes are still to be counted in steps, the schedule stands at its beginning.
    leg = schedule.leg(0, MAX_STEPS)
    return leg, Moment(leg.phase, 0.0, run.done, MAX_STEPS, leg.candidate)


def _begin(
    fitting: Fitting, run: Fit, leg: Leg, optimiser: torch.optim.Optimizer | None
) -> torch.optim.Optimizer:
    phase = leg.phase
    if leg.candidate == 0 and run.arrived:
        run.waiting, run.arrived = sorted(run.arrived, key=_loss), []
    if leg.candidate < len(run.waiting):
        set_values(fitting, run.waiting[leg.candidate][1])
    elif leg.candidate:
        with _seeded(leg.candidate):
            fitting.restart(leg.candidate)
    elif phase.from_best:
        set_values(fitting, run.best)
    if leg.candidate == phase.candidates - 1:
        run.waiting = []
    optimiser = enter(fitting, leg, optimiser)
    run.legs.append(leg.number)
    if phase.forget and leg.candidate == 0:
        run.figures, run.best = _measured(fitting), _copies(fitting)
    return optimiser


def _loss(arrived: tuple[float, dict[str, Tensor]]) -> float:
    return math.inf if math.isnan(arrived[0]) else arrived[0]


def _step(fitting: Fitting, moment: Moment, run: Fit, optimiser: torch.optim.Optimizer) -> None:
    for group in optimiser.param_groups:
        group["lr"] = moment.learning_rate * group.get("scale", 1.0)
    # A function of the step, so that a broken fit goes on exactly.
    with _seeded(run.done):
        optimiser.zero_grad()
        with torch.enable_grad():
            fitting.descend(moment)
    optimiser.step()
    run.done += 1


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def _measured(fitting: Fitting) -> Figures:
    figures = fitting.measure()
    if not math.isfinite(figures.loss):
        raise KodecError("there is nothing to fit: what the model makes of its input is not finite")
    return figures


def _keep_better(
    fitting: Fitting, run: Fit, figures: Figures, accept: Callable[[Figures], bool]
) -> None:
    assert run.figures is not None
    # A loss that is no number is not lower.
    if figures.loss < run.figures.loss and accept(figures):
        run.figures, run.best = figures, _copies(fitting)


def _copies(fitting: Fitting) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in fitting.values.items()}


def _words(figures: Figures) -> str:
    return f"{figures.bpp:.3f} bpp, {figures.psnr:.2f} dB"


class _Clock:
    """What steps and measurements take, and what the whole fit has taken."""

    def __init__(self, seconds: float) -> None:
        self.began = time.monotonic() - seconds
        self.last = time.monotonic()
        self.steps: list[float] = []
        self.measurements: list[float] = []

    def stepped(self) -> None:
        """A step has ended."""
        self.steps.append(self._passed())

    def measured(self) -> None:
        """A measurement has ended."""
        self.measurements.append(self._passed())

    def seconds(self) -> float:
        """Of the whole fit."""
        return time.monotonic() - self.began

    def ripe(self, budget: Budget) -> bool:
        """Whether enough steps were timed for a budget in minutes."""
        assert budget.minutes is not None
        enough = sum(self.steps) + sum(self.measurements) >= TIMED_SHARE * 60 * budget.minutes
        return len(self.steps) >= TIMED and enough

    @property
    def step(self) -> float:
        """Seconds a step; the first one, in which much is set up, does not count."""
        return sum(self.steps[1:]) / (len(self.steps) - 1)

    @property
    def measurement(self) -> float:
        """Seconds a measurement."""
        return sum(self.measurements) / max(1, len(self.measurements))

    def _passed(self) -> float:
        now = time.monotonic()
        passed, self.last = now - self.last, now
        return passed
