"""Schedules as data."""

from pathlib import Path

import pytest

from kodec.codecs.fitted import SCHEDULE, read_schedule
from kodec.native import InvalidInputError

PHASE = "{values: annealed, learning_rate: [0.01, 0.001], temperature: 0.5}"


@pytest.mark.parametrize("name", [SCHEDULE, "optimised-latents"])
def test_packaged_ones_have_ten_efforts(name: str) -> None:
    schedule = read_schedule(name)
    assert len(schedule.steps) == 10 and schedule.steps[0] == 0
    assert list(schedule.steps) == sorted(set(schedule.steps))


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(f"latents:\n  phases: [{PHASE}]\n  steps: [0, 7]\n")
    schedule = read_schedule("latents", path)
    assert schedule.steps == (0, 7)
    (phase,) = schedule.phases
    relaxation = phase.relaxation(0.5)
    assert relaxation.values == "annealed" and relaxation.temperature == pytest.approx(0.5)
    assert phase.rate(0.5) == pytest.approx(0.01**0.5 * 0.001**0.5)


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
        ("latents: {phases: [3], steps: [1]}", "3 has not"),
    ],
)
def test_what_is_refused(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(InvalidInputError, match=words) as caught:
        read_schedule("latents", path)
    assert "\n" not in str(caught.value) and "own.yaml" in str(caught.value)
    with pytest.raises(InvalidInputError, match=r"none\.yaml"):
        read_schedule("latents", tmp_path / "none.yaml")
