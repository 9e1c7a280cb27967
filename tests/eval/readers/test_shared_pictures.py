from pathlib import Path

import pytest

from kodec.eval import on_shared_pictures, read_curve_sets
from kodec.native import InvalidInputError
from reported_results import QUALITIES, RATES, VALUES, write_curve, write_logs, write_video

PICTURES = ("one.png", "two.png", "three.png")


def test_results_and_logs_are_of_the_pictures_that_both_have(tmp_path: Path) -> None:
    results = read_curve_sets([write_curve(tmp_path, "model", pictures=PICTURES)])
    logs = read_curve_sets([write_logs(tmp_path / "logs", "one", "three", "four")])
    assert len(logs) == 3
    ((ours,), (theirs,)) = on_shared_pictures(results, logs)
    assert [member.sequence for member in ours.members] == ["one.png", "three.png"]
    # Pictures one and three of three cost 1/2 and 3/2 of a point's rate.
    assert ours.rates == pytest.approx(RATES)
    assert ours.metrics["psnr-rgb"] == pytest.approx(VALUES)
    assert ours.settings == tuple(f"quality {quality}" for quality in QUALITIES)
    assert any("2 of its 3 pictures" in note for note in ours.notes)
    assert theirs.name == "vtm-17.0_AI"
    assert theirs.rates == pytest.approx((0.4, 0.8), rel=1e-3)
    assert theirs.metrics["psnr-y"] == (33.5, 36.5)
    assert [member.sequence for member in theirs.members] == ["one", "three"]


def test_what_meets_in_no_picture_stays_as_it_is(tmp_path: Path) -> None:
    results = read_curve_sets([write_curve(tmp_path, "model", pictures=PICTURES)])
    logs = read_curve_sets([write_logs(tmp_path / "logs", "four", "five")])
    video = read_curve_sets([write_video(tmp_path, "codec")])
    for sides in ((results, logs), (results, results), (video, logs)):
        assert on_shared_pictures(*sides) == list(map(list, sides))


def test_logs_that_make_no_mean_are_refused(tmp_path: Path) -> None:
    results = read_curve_sets([write_curve(tmp_path, "model", pictures=PICTURES)])
    logs = write_logs(tmp_path / "logs", "one", "two")
    next(logs.glob("*two_qp22.log")).unlink()
    with pytest.raises(InvalidInputError, match="has the points QP 37, QP 22.*the same points"):
        on_shared_pictures(results, read_curve_sets([logs]))
    again = [*read_curve_sets([logs]), *read_curve_sets([write_logs(tmp_path / "b", "one")])]
    with pytest.raises(InvalidInputError, match="two curves of one"):
        on_shared_pictures(results, again)
