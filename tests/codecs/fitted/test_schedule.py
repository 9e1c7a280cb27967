"""Schedules as data."""

from pathlib import Path

import pytest

from kodec.codecs.fitted import (
    SCHEDULE,
    Phase,
    PhaseKeys,
    Ramp,
    Schedule,
    latent_schedule,
    read_schedule,
)
from kodec.native import InvalidInputError

PHASE = "{values: annealed, learning_rate: [0.01, 0.001], temperature: 0.5}"


@pytest.mark.parametrize("name", [SCHEDULE, "optimised-latents"])
def test_packaged_ones_have_ten_efforts(name: str) -> None:
    schedule = latent_schedule(name)
    assert len(schedule.steps) == 10 and schedule.steps[0] == 0
    assert list(schedule.steps) == sorted(set(schedule.steps))


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(f"latents:\n  phases: [{PHASE}]\n  steps: [0, 7]\n")
    schedule = latent_schedule("latents", path)
    assert schedule.steps == (0, 7)
    (phase,) = schedule.phases
    assert phase.words == {"values": "annealed"} and phase.knob("temperature", 0.5) == 0.5
    assert phase.learning_rate.at(0.5) == pytest.approx(0.01**0.5 * 0.001**0.5)


@pytest.mark.parametrize(
    "text, words",
    [
        ("latents: [", "can't be read as YAML"),
        ("other: {}", "no schedule 'latents'"),
        ("latents: {phases: [], steps: [1]}", "phases is a list"),
        (f"latents: {{phases: [{PHASE}]}}", "there is no 'steps'"),
        (f"latents: {{phases: [{PHASE}], steps: [-1]}}", "whole numbers"),
        ("latents: {phases: [{learning_rate: 0}], steps: [1]}", "above 0"),
        ("latents: {phases: [{learning_rate: 1, values: vibes}], steps: [1]}", "vibes"),
        ("latents: {phases: [{learning_rate: 1, share: x}], steps: [1]}", "share"),
        ("latents: {phases: [{learning_rate: 1, pace: 1}], steps: [1]}", "'pace' means nothing"),
        ("latents: {phases: [{learning_rate: 1, values: annealed}], steps: [1]}", "temperature"),
        ("latents: {phases: [{learning_rate: 1, share: 1, steps: 2}], steps: [1]}", "not both"),
        ("latents: {phases: [{learning_rate: 1, steps: 0.5}], steps: [1]}", "steps is 1 to"),
        ("latents: {phases: [{learning_rate: 1, forget: 3}], steps: [1]}", "true or false"),
        ("latents: {phases: [{learning_rate: {end: 1}}], steps: [1]}", "a start"),
        ("latents: {phases: [{learning_rate: {start: 1, way: up}}], steps: [1]}", "way is"),
        ("latents: {phases: [{learning_rate: {start: 1, end: 0}}], steps: [1]}", "above 0"),
        ("latents: {phases: [3], steps: [1]}", "3 has not"),
    ],
)
def test_what_is_refused(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match=words) as caught:
        latent_schedule("latents", path)
    assert "\n" not in str(caught.value) and "own.yaml" in str(caught.value)
    with pytest.raises(InvalidInputError, match=r"none\.yaml"):
        latent_schedule("latents", tmp_path / "none.yaml")


def test_ramps() -> None:
    ways = {"geometric": 0.1, "linear": 0.505, "cosine": 0.505, "constant": 1.0}
    for way, middle in ways.items():
        ramp = Ramp(1.0, 0.01, way)  # type: ignore[arg-type]
        assert ramp.at(0.0) == 1 and ramp.at(0.5) == pytest.approx(middle)
        assert ramp.at(1.0) == pytest.approx(1.0 if way == "constant" else 0.01)
    # HNeRV's rate: up from a tenth within the first tenth, then half a cosine to 0.
    ramp = Ramp(0.001, 0.0, "cosine", warm_up=0.1, warm_up_from=0.1)
    assert [ramp.at(p) for p in (0.0, 0.05, 0.1, 0.55, 1.0)] == pytest.approx(
        [0.0001, 0.00055, 0.001, 0.0005, 0.0]
    )


def test_a_phase_has_knobs_words_and_steps_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(
        "cool:\n  phases:\n"
        "  - {name: warm, steps: 40, candidates: 5, learning_rate: 0.01, sigma: [0.2, 0.1]}\n"
        "  - {share: 3, learning_rate: {start: 1.e-2, end: 0, way: cosine}, train: [arm, grids]}\n"
        "  - {steps: 50, learning_rate: 1.e-4, from_best: true, measure_every: 10}\n"
        "  steps: [1000]\n"
    )
    keys = PhaseKeys(frozenset({"sigma"}), frozenset({"train"}))
    schedule = read_schedule("cool", path, keys)
    legs = schedule.legs(1000)
    assert [(leg.start, leg.end) for leg in legs] == [
        *((40 * i, 40 * i + 40) for i in range(5)),
        (200, 950),
        (950, 1000),
    ]
    assert [leg.candidate for leg in legs] == [0, 1, 2, 3, 4, 0, 0]
    warm, core, last = schedule.phases
    assert warm.knob("sigma", 1.0) == pytest.approx(0.1) and core.words["train"] == ("arm", "grids")
    assert warm.name == "warm" and last.from_best and last.measure_every == 10
    with pytest.raises(InvalidInputError, match="needs sigma"):
        core.knob("sigma", 0.5)
    assert core.knob("sigma", 0.5, 0.25) == 0.25
    # Of a short fit phases with steps take half.
    assert [(leg.start, leg.end) for leg in schedule.legs(100)][-2:] == [(40, 90), (90, 100)]


@pytest.mark.parametrize("steps", [1, 2, 5, 99])
def test_phases_of_steps_alone_go_by_their_proportions(steps: int) -> None:
    schedule = Schedule((Phase(steps=2), Phase(steps=1)), (3,))
    legs = schedule.legs(steps)
    assert legs[0].end == round(2 * steps / 3) == legs[1].start and legs[1].end == steps


def test_a_leg_goes_on_from_where_its_length_changed() -> None:
    schedule = Schedule((Phase(1.0, Ramp(1.0, 0.1)), Phase(steps=10)), (0,))
    ends = [leg.end for leg in schedule.legs(100)]
    assert ends == [90, 100]
    leg = schedule.leg(30, 100)
    before = leg.moment(30, 100).passed
    for steps, expected in ((60, [50, 60]), (210, [200, 210]), (30, [31, 31])):
        later = schedule.ends_after(leg, 30, steps, ends)
        assert later == expected
        changed = schedule.leg(30, later[-1], later)
        passed = [
            changed.moment(step, later[-1], (30, before)).passed for step in range(30, changed.end)
        ]
        assert passed == sorted(passed) and passed[-1] == 1
        assert len(passed) == 1 or passed[0] == before
    # Legs that are over stay as they were.
    assert schedule.ends_after(schedule.leg(95, 100), 95, 150, ends) == [90, 150]
