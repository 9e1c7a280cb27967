"""Means between logged steps; the clock runs only while training does."""

import pytest
import torch

from kodec.train.running_means import RunningMeans


def test_means_and_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("kodec.train.running_means.time.perf_counter", lambda: clock[0])
    meter = RunningMeans()
    for value in (1.0, 2.0, 6.0):
        clock[0] += 2.0
        meter.add({"loss": torch.tensor(value)}, images=8)
    # The first step's two seconds hold the start of everything.
    means, speed = meter.take()
    assert means == {"loss": torch.tensor(3.0)} and speed == pytest.approx(16 / 4)
    clock[0] += 1.0
    meter.pause()
    clock[0] += 50.0
    meter.resume()
    clock[0] += 1.0
    meter.add({"loss": torch.tensor(5.0)}, images=8)
    means, speed = meter.take()
    assert means == {"loss": torch.tensor(5.0)} and speed == pytest.approx(4.0)


def test_no_speed_after_one_step() -> None:
    meter = RunningMeans()
    meter.add({"loss": torch.tensor(1.0)}, images=8)
    assert meter.take()[1] is None
