"""The one fitting loop: parameters, phases, a budget, the best state kept, exact resume."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

from kodec.codecs.interrupts import interrupts_noted
from kodec.entropy import Relaxation
from kodec.native import InvalidInputError, KodecError

from .schedule import MAX_STEPS, Schedule

# Of a budget in minutes, so many steps are timed before the others are counted.
TIMED = 3
SAVE_EVERY = 10.0


@dataclass(frozen=True)
class Figures:
    """What the values give as they are coded: bpp, PSNR in dB, loss (bpp + lambda x distortion)."""

    loss: float
    bpp: float
    psnr: float


class Fitting(Protocol):
    """What is fitted."""

    @property
    def values(self) -> Mapping[str, Tensor]:
        """By name, the tensors that are optimised; they require gradients."""

    @property
    def identity(self) -> Mapping[str, str]:
        """What it is a fit of; a stored state of another one is refused."""

    def descend(self, relaxation: Relaxation) -> None:
        """Add the loss's gradients, of the values as they are, to theirs."""

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

    def reached(self, figures: Figures) -> bool:
        """Whether a target is."""
        return (self.psnr is not None and figures.psnr >= self.psnr) or (
            self.bpp is not None and figures.bpp <= self.bpp
        )

    def affordable(self, done: int, seconds: float) -> int:
        """How many steps there will be in all, where `done` of them took so long."""
        assert self.minutes is not None
        each = seconds / done
        return min(MAX_STEPS, max(done, int(60 * self.minutes / max(each, 1e-6))))


@dataclass
class Fit:
    """Where a fit is, and the best that it has seen.

    steps: in all; None until a budget in minutes has been counted in steps.
    """

    steps: int | None
    done: int = 0
    seconds: float = 0.0
    start: Figures | None = None
    figures: Figures | None = None
    best: dict[str, Tensor] = field(default_factory=dict)
    interrupted: bool = False


Show = Callable[[int, int, str], None]
"""Called with steps done, steps in all, and the best figures in words."""


class Store(Protocol):
    """Where a fit is kept, until what comes of it is written."""

    def save(self, run: Fit, fitting: Fitting, optimiser: torch.optim.Optimizer) -> None:
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
    begun: tuple[Fit, torch.optim.Adam] | None = None,
) -> Fit:
    """Optimise the values within the budget; they end as the best ones that were measured.

    Every step is measured. accept: which states may be kept, beside the first. store: where the fit
    is kept, every ten seconds and when it is interrupted; of a whole fit too, until what came of it
    is safe. begun: a fit from there, to go on with; it ends as if it had not been broken. An
    interrupt lets the step end, then the fit; a second one ends it at once.

    Raises `KodecError` where nothing measured is finite.
    """
    run, optimiser = begun or (Fit(budget.steps), optimiser_of(fitting))
    began = time.monotonic() - run.seconds
    saved = time.monotonic()
    with interrupts_noted() as interrupts:
        if run.start is None:
            run.start = run.figures = _measured(fitting)
            run.best = _copies(fitting)
        while not interrupts and not _over(run, budget):
            _step(fitting, schedule, run, optimiser)
            run.seconds = time.monotonic() - began
            if run.steps is None and run.done == TIMED:
                run.steps = budget.affordable(run.done, run.seconds)
            _keep_better(fitting, run, accept)
            assert run.figures is not None
            show(run.done, run.steps or TIMED, _words(run.figures))
            if store is not None and time.monotonic() - saved > SAVE_EVERY:
                store.save(run, fitting, optimiser)
                saved = time.monotonic()
        run.interrupted = bool(interrupts) and not _over(run, budget)
        if store is not None and run.interrupted:
            store.save(run, fitting, optimiser)
    with torch.no_grad():
        for name, value in run.best.items():
            fitting.values[name].copy_(value)
    return run


def optimiser_of(fitting: Fitting) -> torch.optim.Adam:
    """Adam over the values; phases set its rate."""
    return torch.optim.Adam(list(fitting.values.values()), lr=1.0)


def _over(run: Fit, budget: Budget) -> bool:
    assert run.figures is not None
    if budget.minutes == 0 or budget.reached(run.figures):
        return True
    return run.steps is not None and run.done >= run.steps


def _step(fitting: Fitting, schedule: Schedule, run: Fit, optimiser: torch.optim.Adam) -> None:
    # While minutes are still to be counted in steps, the schedule stands at its beginning.
    phase, passed = schedule.place(0 if run.steps is None else run.done, run.steps or MAX_STEPS)
    for group in optimiser.param_groups:
        group["lr"] = phase.rate(passed)
    # A function of the step, so that a broken fit goes on exactly.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.done)
        optimiser.zero_grad()
        with torch.enable_grad():
            fitting.descend(phase.relaxation(passed))
    optimiser.step()
    run.done += 1


def _measured(fitting: Fitting) -> Figures:
    figures = fitting.measure()
    if not math.isfinite(figures.loss):
        raise KodecError("there is nothing to fit: what the model makes of its input is not finite")
    return figures


def _keep_better(fitting: Fitting, run: Fit, accept: Callable[[Figures], bool]) -> None:
    figures = fitting.measure()
    assert run.figures is not None
    # A loss that is no number is not lower.
    if figures.loss < run.figures.loss and accept(figures):
        run.figures, run.best = figures, _copies(fitting)


def _copies(fitting: Fitting) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in fitting.values.items()}


def _words(figures: Figures) -> str:
    return f"{figures.bpp:.3f} bpp, {figures.psnr:.2f} dB"
