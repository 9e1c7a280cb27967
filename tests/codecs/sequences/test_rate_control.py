"""Rates are met on sequences whose frames take what no model of theirs says exactly."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from kodec.codecs import Step
from kodec.codecs.sequences.rate_control import RateControl
from kodec.codecs.sequences.scheduling import Schedule, schedule
from kodec.codecs.sequences.structures import Structure

FPS = 25.0


def steps_of(structure: Structure, frames: int, period: int = 0) -> list[Step]:
    plan = Schedule[int](structure, 1, period)
    return [s.step for s in schedule(((n, False) for n in range(frames)), plan)]


def bits_of(step: Step, quality: int, slope: float, busy: Sequence[float]) -> int:
    """By itself a frame takes eight times as much; some parts of the sequence more than others."""
    base = 5_000.0 if step.references else 40_000.0
    return round(base * busy[step.first] * math.exp(slope * (quality - 24)))


def coded(
    control: RateControl,
    steps: list[Step],
    slope: float,
    busy: Sequence[float],
    catching_up: float = 0.0,
) -> float:
    """Bits a frame. catching_up: of the log of bits, for each quality above that of the step
    before, the offsets apart: what a frame codes that its reference lacks."""
    before: int | None = None
    for step in steps:

        def encode(quality: int, step: Step = step, before: int | None = before) -> tuple[int, int]:
            assert 0 <= quality <= 63
            bits, base = bits_of(step, quality, slope, busy), quality - step.quality
            if step.references and before is not None:
                bits = round(bits * math.exp(catching_up * max(-12, min(base - before, 12))))
            return bits, base

        before = control.code(step, encode)
    return sum(spent.bits for spent in control.steps) / len(steps)


def busy_frames(frames: int) -> list[float]:
    rng = np.random.default_rng(1)
    return list(np.exp(0.3 * np.sin(np.arange(frames) / 9) + 0.1 * rng.normal(size=frames)))


@pytest.mark.parametrize("slope", [0.05, 0.065, 0.09])
@pytest.mark.parametrize(
    "structure",
    [Structure("intra"), Structure("low-delay", (0, -6, -3)), Structure("hierarchical", (0, -3))],
    ids=lambda structure: structure.name,
)
def test_a_rate_is_met_in_one_pass_and_closer_in_two(structure: Structure, slope: float) -> None:
    frames, busy = 97, busy_frames(97)
    for rate in (20_000.0, 90_000.0) if structure.name == "intra" else (2_500.0, 20_000.0):
        steps = steps_of(structure, frames)
        first = RateControl(rate, FPS, frames)
        assert coded(first, steps, slope, busy) == pytest.approx(rate, rel=0.05)
        second = RateControl(rate, FPS, frames, first.steps)
        assert coded(second, steps, slope, busy) == pytest.approx(rate, rel=0.02)


@pytest.mark.parametrize("slope", [0.03, 0.065, 0.09])
@pytest.mark.parametrize("frames", [32, 97])
@pytest.mark.parametrize(
    "structure",
    [Structure("low-delay"), Structure("low-delay", (0, -6, -3)), Structure("hierarchical")],
    ids=["low-delay", "low-delay, offsets", "hierarchical"],
)
def test_frames_that_code_what_their_references_lack(
    structure: Structure, frames: int, slope: float
) -> None:
    """As those of closed loops do: how many bits a quality takes hangs on the one before."""
    busy, steps = busy_frames(frames), steps_of(structure, frames)
    for quality in (16, 40):
        whole = sum(bits_of(step, quality + step.quality, slope, busy) for step in steps)
        rate = 0.9 * whole / frames
        first = RateControl(rate, FPS, frames)
        assert coded(first, steps, slope, busy, 0.08) == pytest.approx(rate, rel=0.05)
        second = RateControl(rate, FPS, frames, first.steps)
        assert coded(second, steps, slope, busy, 0.08) == pytest.approx(rate, rel=0.02)


@pytest.mark.parametrize("slope", [0.02, 0.09])
@pytest.mark.parametrize("frames", [32, 97])
def test_a_second_pass_learns_what_qualities_take(frames: int, slope: float) -> None:
    """Where the end takes thrice as much, and the first pass ran out of qualities."""
    busy = [b * (1 + 2 * (n / frames) ** 3) for n, b in enumerate(busy_frames(frames))]
    for structure in (Structure("intra"), Structure("low-delay"), Structure("hierarchical")):
        steps = steps_of(structure, frames)
        rate = 0.9 * sum(bits_of(step, 40, slope, busy) for step in steps) / frames
        first = RateControl(rate, FPS, frames)
        coded(first, steps, slope, busy, 0.08)
        second = RateControl(rate, FPS, frames, first.steps)
        assert coded(second, steps, slope, busy, 0.08) == pytest.approx(rate, rel=0.02)


def test_an_endless_sequence_keeps_its_rate() -> None:
    frames, busy = 500, busy_frames(500)
    control = RateControl(8_000, FPS)
    assert coded(control, steps_of(Structure("low-delay"), frames, 100), 0.07, busy) == (
        pytest.approx(8_000, rel=0.03)
    )


def test_a_rate_out_of_reach_runs_up_no_debt() -> None:
    """After frames that can't take as many bits, others do not get more than they should."""
    still, busy = [1e-3] * 100, [1.0] * 100
    control = RateControl(5_000, FPS)
    coded(control, steps_of(Structure("low-delay"), 200), 0.065, still + busy)
    late = [spent.bits for spent in control.steps[150:]]
    assert sum(late) / len(late) < 3 * 5_000


@pytest.mark.parametrize("structure", ["low-delay", "hierarchical"])
def test_an_end_that_takes_too_much_is_met_from_what_is_kept(structure: str) -> None:
    """Its last frames take more than the rate at quality 0 too, which one pass can't know."""
    frames = 96
    steps = steps_of(Structure(structure), frames)
    busy = [1.0] * (frames - 4) + [3.7] * 4
    rate = sum(bits_of(step, 8, 0.04, busy) for step in steps) / frames
    first = RateControl(rate, FPS, frames)
    assert coded(first, steps, 0.04, busy) == pytest.approx(rate, rel=0.05)
    assert first.steps[-1].quality == 0
    second = RateControl(rate, FPS, frames, first.steps)
    assert coded(second, steps, 0.04, busy) == pytest.approx(rate, rel=0.005)
    # Known beforehand, it is no reason for frames that differ.
    qualities = [spent.quality for spent in second.steps]
    assert max(qualities) - min(qualities) < 8


def test_few_frames_meet_their_rate_by_being_coded_again() -> None:
    for frames in (1, 2, 5):
        steps = steps_of(Structure("low-delay"), frames)
        for rate in (15_000.0, 40_000.0):
            control = RateControl(rate, FPS, frames)
            assert coded(control, steps, 0.05, busy_frames(frames), 0.08) == (
                pytest.approx(rate, rel=0.05)
            )
            assert control.tries <= 5 * frames


def test_few_steps_of_many_are_coded_again() -> None:
    frames, busy = 200, busy_frames(200)
    control = RateControl(8_000, FPS, frames)
    coded(control, steps_of(Structure("low-delay"), frames), 0.03, busy, 0.08)
    assert control.tries < 1.1 * frames


def test_a_rate_out_of_reach_costs_no_more_tries() -> None:
    steps = steps_of(Structure("low-delay"), 60)
    for rate, quality in ((10.0, 0), (1e9, 63)):
        control = RateControl(rate, FPS, 60)
        coded(control, steps, 0.05, [1.0] * 60)
        assert {spent.quality for spent in control.steps} == {quality}
        assert control.tries < 70
