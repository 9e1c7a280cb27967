"""The loop: what it keeps, what it may take, and how it goes on after a break."""

import itertools
import math
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from kodec.codecs.fitted import (
    Budget,
    Figures,
    Fit,
    FitFile,
    Fitting,
    Moment,
    Phase,
    Ramp,
    Schedule,
    fit,
)
from kodec.native import BitstreamError, InvalidInputError, KodecError

SCHEDULE = Schedule((Phase(2.0, Ramp(0.3, 0.1)), Phase(1.0, Ramp(0.05, 0.01))), (0, 5))


class Parabola(Fitting):
    """A point that is to come to a place, on a grid of tenths; noise makes its steps random."""

    def __init__(self, place: float = 3.0, identity: str = "a parabola") -> None:
        self.values = {"point": torch.zeros(2, requires_grad=True)}
        self.identity = {"kind": identity}
        self.place = place
        self.measured: list[float] = []
        self.after: dict[int, Any] = {}

    def descend(self, moment: Moment) -> None:
        number = len(self.measured)
        if number in self.after:
            self.after[number]()
        point = self.values["point"]
        (point + 0.3 * torch.randn(2) - self.place).square().sum().backward()

    def measure(self) -> Figures:
        point = torch.round(10 * self.values["point"].detach()) / 10
        loss = float((point - self.place).square().sum())
        self.measured.append(loss)
        return Figures(loss, float(point.abs().sum()), 30 - loss)


def test_the_best_that_was_measured_is_kept() -> None:
    fitting = Parabola()
    run = fit(fitting, SCHEDULE, Budget(steps=60))
    assert run.done == 60 and run.start is not None and run.figures is not None
    assert run.start.loss == 18 and run.figures.loss == min(fitting.measured) < 0.5
    # The values are those of the best state, not of the last.
    assert fitting.measure().loss == run.figures.loss <= fitting.measured[-2]


def test_nothing_better_leaves_the_start() -> None:
    fitting = Parabola(place=0.0)
    run = fit(fitting, SCHEDULE, Budget(steps=10))
    assert run.figures == run.start and not fitting.values["point"].detach().any()


def test_only_accepted_states_are_kept() -> None:
    fitting = Parabola()
    run = fit(fitting, SCHEDULE, Budget(steps=60), accept=lambda figures: figures.bpp <= 3)
    assert run.figures is not None and 0 < run.figures.bpp <= 3


def test_a_fit_ends_where_its_target_is_reached() -> None:
    run = fit(Parabola(), SCHEDULE, Budget(steps=1000, psnr=29.0))
    assert run.figures is not None and run.figures.psnr >= 29 and run.done < 200
    assert fit(Parabola(), SCHEDULE, Budget(steps=1000, psnr=1.0)).done == 0


def test_a_shorter_budget_is_the_same_schedule_in_fewer_steps() -> None:
    for steps in (1, 2, 3, 7, 300):
        places = [SCHEDULE.leg(step, steps).moment(step, steps) for step in range(steps)]
        rates = [moment.learning_rate for moment in places]
        assert rates == sorted(rates, reverse=True)
        if steps >= 3:
            assert rates[0] == pytest.approx(0.3) and rates[-1] < 0.051
            second = sum(moment.phase is SCHEDULE.phases[1] for moment in places)
            assert second == pytest.approx(steps / 3, abs=1)
    assert rates[-1] == pytest.approx(0.01)


def test_minutes_are_counted_in_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    # A clock that goes on by a millisecond whenever it is looked at, however busy the machine is.
    ticks = itertools.count()
    monkeypatch.setattr("kodec.codecs.fitted.fitting.time.monotonic", lambda: next(ticks) / 1000)
    run = fit(Parabola(), SCHEDULE, Budget(minutes=0.005))
    assert run.steps is not None and 10 < run.done == run.steps <= 300
    assert fit(Parabola(), SCHEDULE, Budget(minutes=0)).done == 0


class Paced(Parabola):
    """Takes so long a step, by a clock of its own, and notes the rates that it is fitted with."""

    def __init__(self, clock: list[float], pace: Callable[[int], float]) -> None:
        super().__init__()
        self.clock, self.pace, self.rates = clock, pace, list[float]()

    def descend(self, moment: Moment) -> None:
        self.clock[0] += self.pace(moment.step)
        self.rates.append(moment.learning_rate)
        super().descend(moment)


@pytest.mark.parametrize(
    "pace",
    [
        lambda step: 0.2 if step < 20 else 0.1,
        lambda step: 0.05 if step < 100 else 0.1,
        lambda step: 0.1 + 0.05 * math.sin(step / 50),
    ],
    ids=["slow at first", "fast at first", "waves"],
)
def test_minutes_are_used(
    pace: Callable[[int], float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]
    monkeypatch.setattr("kodec.codecs.fitted.fitting.time.monotonic", lambda: clock[0])
    monkeypatch.setattr("kodec.codecs.fitted.fitting.SAVE_EVERY", 5.0)
    schedule = Schedule((Phase(1.0, Ramp(0.4, 0.4), steps=10), *SCHEDULE.phases), (0, 5))
    budget, store = Budget(minutes=1.0), FitFile(tmp_path / "a.fit", {})
    whole = Paced(clock, pace)
    run = fit(whole, schedule, budget, store=store)
    assert 55 < run.seconds < 61 and len(run.counted) == 5 and run.done == run.steps
    # Each phase's rate falls from its first to its last value, in no large step.
    later = whole.rates[max(10, run.counted[0][0]) :]
    turn = next(n for n, rate in enumerate(later) if rate < 0.06)
    for part, (first, last) in ((later[:turn], (0.3, 0.1)), (later[turn:], (0.05, 0.01))):
        assert part[0] == pytest.approx(first, rel=0.02) and part[-1] == pytest.approx(
            last, rel=0.02
        )
        assert all(0.8 < b / a <= 1 for a, b in zip(part, part[1:]))
    # The last state that was saved is from behind the last count; the machine is slower now.
    again = Paced(clock, lambda step: 10 * pace(step))
    begun = store.load(again, schedule)
    assert begun[0].done < run.done
    resumed = fit(again, schedule, budget, begun=begun)
    assert (resumed.steps, resumed.done) == (run.steps, run.done)
    assert torch.equal(again.values["point"], whole.values["point"])


def test_parts_with_steps_of_their_own_are_not_counted_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr("kodec.codecs.fitted.fitting.time.monotonic", lambda: clock[0])
    fitting = Paced(clock, lambda step: 0.2 if step < 20 else 0.1)
    fitting.divides_steps = True
    run = fit(fitting, SCHEDULE, Budget(minutes=0.5))
    assert len(run.counted) == 1 and run.done == run.steps and run.ends == []


class Stopped(Exception):
    """Ends the process, as far as a test can."""


@pytest.mark.parametrize("at", [1, 7, 29])
def test_a_killed_fit_goes_on_as_if_unbroken(
    at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Parabola()
    unbroken = fit(whole, SCHEDULE, Budget(steps=30))
    monkeypatch.setattr("kodec.codecs.fitted.fitting.SAVE_EVERY", 0.0)
    store = FitFile(tmp_path / "a.fit", {"budget": "30"})

    def stop() -> None:
        raise Stopped

    broken = Parabola()
    broken.after[at + 1] = stop
    with pytest.raises(Stopped):
        fit(broken, SCHEDULE, Budget(steps=30), store=store)
    assert store.path.exists()
    again = Parabola()
    run, optimiser = store.load(again, SCHEDULE)
    assert run.done == at
    resumed = fit(again, SCHEDULE, Budget(steps=30), store=store, begun=(run, optimiser))
    assert resumed.figures == unbroken.figures and resumed.start == unbroken.start
    assert torch.equal(again.values["point"], whole.values["point"])


def test_an_interrupt_ends_it_with_the_best_so_far(tmp_path: Path) -> None:
    whole = Parabola()
    unbroken = fit(whole, SCHEDULE, Budget(steps=30))
    fitting, store = Parabola(), FitFile(tmp_path / "a.fit", {})
    fitting.after[12] = lambda: os.kill(os.getpid(), signal.SIGINT)
    before = signal.getsignal(signal.SIGINT)
    run = fit(fitting, SCHEDULE, Budget(steps=30), store=store)
    assert run.interrupted and run.done == 12 and run.figures is not None
    assert run.figures.loss == min(fitting.measured) < 18
    assert signal.getsignal(signal.SIGINT) == before
    again = Parabola()
    begun = store.load(again, SCHEDULE)
    resumed = fit(again, SCHEDULE, Budget(steps=30), store=store, begun=begun)
    assert not resumed.interrupted and resumed.figures == unbroken.figures


def test_a_second_interrupt_ends_it_at_once() -> None:
    fitting = Parabola()

    def twice() -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)

    fitting.after[3] = twice
    with pytest.raises(KeyboardInterrupt):
        fit(fitting, SCHEDULE, Budget(steps=30))


class Doubled(torch.optim.SGD):
    """Keeps float64 and integer state that PyTorch's own loading would round."""

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for value in group["params"]:
                state = self.state[value]
                mean = state.setdefault("mean", [torch.zeros(2, dtype=torch.float64)])[0]
                mean.mul_(0.9).add_(value.grad.double() / 3)
                state["count"] = state.get("count", torch.tensor(0)) + 1
                value.data.add_(mean.float(), alpha=-group["lr"] / float(state["count"]) ** 0.5)


class Staged(Parabola):
    """Its own optimiser, a group at half the rate, and a mask that is state without gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.values = {**self.values, "mask": torch.ones(2, dtype=torch.bool)}
        self.begun: list[str] = []
        self.rates: list[float] = []

    def optimiser(self) -> torch.optim.Optimizer:
        own = Doubled([{"params": [self.values["point"]], "scale": 0.5}], lr=1.0)
        own.register_step_pre_hook(lambda made, *_: self.rates.append(made.param_groups[0]["lr"]))
        return own

    def begin(self, phase: Phase) -> None:
        self.begun.append(phase.name)
        if phase.name == "pruned":
            self.values["mask"][int(torch.randint(2, ()))] = False

    def restart(self, candidate: int) -> None:
        with torch.no_grad():
            self.values["point"].copy_(2 * candidate + torch.rand(2))

    def descend(self, moment: Moment) -> None:
        super().descend(moment)
        grad = self.values["point"].grad
        assert grad is not None
        grad.mul_(self.values["mask"])


STAGES = Schedule(
    (
        Phase(name="warm", steps=3, candidates=3, learning_rate=Ramp(0.1, 0.1), measure_every=2),
        Phase(name="two", steps=3, candidates=2, learning_rate=Ramp(0.1, 0.1), measure_every=5),
        Phase(name="core", learning_rate=Ramp(0.2, 0.1), measure_every=4),
        Phase(name="pruned", new_optimiser=True, forget=True, learning_rate=Ramp(0.1, 0.1)),
        Phase(name="last", from_best=True, learning_rate=Ramp(0.05, 0.05), measure_every=50),
    ),
    (0,),
)


def test_phases_of_candidates_and_masks() -> None:
    fitting = Staged()
    run = fit(fitting, STAGES, Budget(steps=45))
    assert fitting.begun == ["warm"] * 3 + ["two"] * 2 + ["core", "pruned", "last"]
    assert run.done == 45 and run.figures is not None and run.figures.loss < 0.2
    assert fitting.rates[0] == pytest.approx(0.05) and int(fitting.values["mask"].sum()) == 1
    # 1, then 2 of each of three, 1 of each of two, 2 or 3, one and one a step, and one.
    assert len(fitting.measured) < 30


def test_measuring_seldom_shows_each_step_and_measures_the_end() -> None:
    schedule = Schedule((Phase(learning_rate=Ramp(0.3, 0.01), measure_every=7),), (0,))
    shown: list[int] = []
    fitting = Parabola()
    fit(fitting, schedule, Budget(steps=16), lambda done, steps, words: shown.append(done))
    assert shown == list(range(1, 17)) and len(fitting.measured) == 1 + 2 + 1


@pytest.mark.parametrize("at", [1, 4, 8, 12, 17, 29, 40])
def test_stages_go_on_as_if_unbroken(at: int, tmp_path: Path) -> None:
    whole = Staged()
    unbroken = fit(whole, STAGES, Budget(steps=45))
    store = FitFile(tmp_path / "a.fit", {})
    broken = Staged()
    steps = 0

    def count(done: int, of: int, words: str) -> None:
        nonlocal steps
        steps = done
        if done == at:
            os.kill(os.getpid(), signal.SIGINT)

    assert fit(broken, STAGES, Budget(steps=45), count, store=store).interrupted and steps == at
    again = Staged()
    begun = store.load(again, STAGES)
    resumed = fit(again, STAGES, Budget(steps=45), store=store, begun=begun)
    assert resumed.figures == unbroken.figures and resumed.legs == unbroken.legs
    for name, value in whole.values.items():
        assert torch.equal(again.values[name], value)


def test_a_fit_without_other_beginnings_has_no_candidates() -> None:
    with pytest.raises(InvalidInputError, match="one beginning"):
        fit(Parabola(), STAGES, Budget(steps=45))


def test_states_of_other_fits_are_refused(tmp_path: Path) -> None:
    store = FitFile(tmp_path / "a.fit", {"budget": "30 steps"})
    with pytest.raises(InvalidInputError, match="no fit to go on with"):
        store.load(Parabola(), SCHEDULE)
    fitting = Parabola()
    optimiser = torch.optim.Adam([fitting.values["point"]])
    figures = Figures(1.0, 1.0, 1.0)
    run = Fit(30, 5, 1.0, figures, figures, dict(fitting.values), legs=[0])
    store.save(run, fitting, optimiser)
    assert store.load(Parabola(), SCHEDULE)[0].figures == figures
    with pytest.raises(InvalidInputError, match="another fit, whose kind is a parabola"):
        store.load(Parabola(identity="a circle"), SCHEDULE)
    with pytest.raises(InvalidInputError, match="another fit, whose budget is 30 steps"):
        FitFile(store.path, {"budget": "20 steps"}).load(Parabola(), SCHEDULE)
    content = torch.load(store.path)
    for key, wrong in (("run", {"steps": 3}), ("values", {}), ("optimiser", 3), ("format", "no")):
        torch.save({**content, key: wrong}, store.path)
        with pytest.raises(BitstreamError, match="without --resume"):
            store.load(Parabola(), SCHEDULE)


def test_what_can_not_be_fitted() -> None:
    with pytest.raises(KodecError, match="not finite"):
        fit(Parabola(place=math.nan), SCHEDULE, Budget(steps=3))
    for wrong in ({}, {"steps": 1, "minutes": 1.0}, {"steps": -1}, {"minutes": -1.0}):
        with pytest.raises(InvalidInputError):
            Budget(**wrong)
