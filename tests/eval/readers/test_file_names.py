"""Which logs make one curve, by their names and by the QP or target rate that they state."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from encoder_logs import Planes, vtm_log, vvenc_log, x265_log
from kodec.eval import read_curve_sets
from kodec.native import InvalidInputError

PLANES: list[Planes] = [(41.25, 43.5, 44.0), (39.5, 42.75, 43.125)]
QPS = (22, 27, 32, 37)
KBPS = (4000, 2000, 1000, 500)


def pictures_alone(qp: int, kbps: int) -> str:
    """VTM at its default verbosity: nothing but the pictures' lines tells the QP."""
    return vtm_log([(y - qp / 2, u, v) for y, u, v in PLANES], [kbps * 2, kbps], qp)


def stated_qp(qp: int, kbps: int) -> str:
    return f"QP                                     : {qp}.00\n" + pictures_alone(qp, kbps)


def stated_target(qp: int, kbps: int) -> str:
    """VTM with rate control states one QP in all logs."""
    head = f"QP                : 32\nRateControl       : 1\nTargetBitrate     : {kbps * 1000}\n"
    return head + pictures_alone(32, kbps)


def vvenc_target(qp: int, kbps: int) -> str:
    text = vvenc_log((45 - qp / 4, 43, 44), 10, kbps * 1.02, qp)
    return text.replace(f"QP {qp}", f"VBR, two-pass, target bitrate: {kbps} kbps")


def vvenc_unstated(qp: int, kbps: int) -> str:
    return re.sub(r".*Rate control.*\n", "", vvenc_target(qp, kbps))


def x265_as(control: str) -> Callable[[int, int], str]:
    def log(qp: int, kbps: int) -> str:
        line = (
            f"x265 [info]: Rate Control / qCompress : {control.format(qp=qp, kbps=kbps)} / 0.60\n"
        )
        return line + x265_log(600, kbps * 0.98, (45 - qp / 4, 43, 44))

    return log


def write(folder: Path, pattern: str, log: Callable[[int, int], str]) -> None:
    for i, (qp, kbps) in enumerate(zip(QPS, KBPS, strict=True)):
        name = pattern.format(qp=qp, kbps=kbps, mbps=kbps / 1000, bps=kbps * 1000, i=i)
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(log(qp, kbps))


NAMED_BY_QP = [
    *("X_qp{qp}.log", "RA_QP{qp}.log", "X-q{qp}.log", "XQP{qp}.log", "X[qp{qp}].log"),
    *("X_{qp}qp.log", "X qp {qp}.log", "X_qp={qp}.txt", "enc.qp{qp}.264.log", "QP{qp}.log"),
    *("{qp}_X.log", "{qp}/X.log", "X.{qp}.log", "X.{qp}", "X_{qp}_rec.log", "{qp}.log"),
    *("X_30_{qp}.log", "X_1920x1080_50_{qp}.log", "X_v2_{qp}.log", "x{qp}.log"),
    *("qp{qp}/X/enc.log", "X/qp{qp}/enc.log", "a/{qp}/b/c.log", "x_{i}_{qp}.log"),
]
NAMED_BY_RATE = [
    *("X_{kbps}k.log", "X_{kbps}kbps.log", "X_{mbps}M.log", "X_{mbps}Mbps.log", "X_{bps}bps.log"),
    *("X_4k_{kbps}k.log", "X-{kbps}kb-enc.log", "X_br{kbps}.log", "vbr{kbps}.log", "{kbps}.log"),
    *("{kbps}_X.log", "{kbps}/X.log", "rate{kbps}/X.log", "{kbps}kbps/X/enc.log", "X_{bps}.log"),
]
NAMED_BY_NOTHING = ["run{i}.log", "run_{i}.log", "X_R{i}.log", "run_{i}/enc.log", "slurm-12{i}.out"]


@pytest.mark.parametrize("log", [pictures_alone, stated_qp], ids=lambda log: log.__name__)
def test_points_named_by_their_qps(log: Callable[[int, int], str], tmp_path: Path) -> None:
    for number, pattern in enumerate(NAMED_BY_QP):
        write(tmp_path / f"case{number}", pattern, log)
        (found,) = read_curve_sets([tmp_path / f"case{number}"])
        assert found.settings == ("QP 37", "QP 32", "QP 27", "QP 22"), pattern


@pytest.mark.parametrize(
    "log",
    [stated_target, vvenc_target, vvenc_unstated, x265_as("ABR-{kbps} kbps")],
    ids=["vtm", "vvenc", "unstated", "x265"],
)
def test_points_named_by_their_target_rates(log: Callable[[int, int], str], tmp_path: Path) -> None:
    for number, pattern in enumerate(NAMED_BY_RATE):
        write(tmp_path / f"case{number}", pattern, log)
        (found,) = read_curve_sets([tmp_path / f"case{number}"])
        assert found.settings == ("500 kbps", "1000 kbps", "2000 kbps", "4000 kbps"), pattern


def test_the_factors_of_x265(tmp_path: Path) -> None:
    for number, pattern in enumerate(
        ["x265 --crf {qp}.log", "--crf{qp}.log", "X_crf{qp}.log", "X_{qp}.log", "crf{qp}/X.log"]
    ):
        write(tmp_path / f"case{number}", pattern, x265_as("CRF-{qp}.0"))
        (found,) = read_curve_sets([tmp_path / f"case{number}"])
        assert found.settings == ("CRF 37", "CRF 32", "CRF 27", "CRF 22"), pattern
    write(tmp_path / "halves", "X_crf{qp}.5.log", x265_as("CRF-{qp}.5"))
    (found,) = read_curve_sets([tmp_path / "halves"])
    assert (found.name, found.settings[0]) == ("X", "CRF 37.5")
    write(tmp_path / "cqp", "X_qp{qp}.log", x265_as("CQP-{qp}"))
    assert read_curve_sets([tmp_path / "cqp"])[0].settings[0] == "QP 37"


@pytest.mark.parametrize("log", [stated_qp, stated_target, vvenc_target], ids=lambda f: f.__name__)
def test_what_logs_state_joins_numbered_runs(
    log: Callable[[int, int], str], tmp_path: Path
) -> None:
    for number, pattern in enumerate(NAMED_BY_NOTHING):
        write(tmp_path / f"case{number}", pattern, log)
        (found,) = read_curve_sets([tmp_path / f"case{number}"])
        assert len(found.rates) == 4, pattern
        assert any("by the QP or rate that they state" in note for note in found.notes)


def test_numbered_runs_of_several_videos(tmp_path: Path) -> None:
    for number, video in enumerate("AB"):
        source = f"Input          File                    : C:\\clips\\{video}.yuv\n"
        write(tmp_path, f"slurm-{number}{{i}}.out", lambda *at, head=source: head + stated_qp(*at))
    assert {one.sequence: len(one.rates) for one in read_curve_sets([tmp_path])} == {"A": 4, "B": 4}


@pytest.mark.parametrize("pattern", ["{i}/a.log", "run{i}.log"])
def test_points_that_nothing_names_are_an_error_that_says_how(pattern: str, tmp_path: Path) -> None:
    write(tmp_path, pattern, pictures_alone)
    with pytest.raises(InvalidInputError, match="4 logs make as many curves.*NAME_qp22.log"):
        read_curve_sets([tmp_path])


def test_letters_name_no_points(tmp_path: Path) -> None:
    for letter, qp, kbps in zip("abcd", QPS, KBPS, strict=True):
        (tmp_path / f"{letter}.log").write_text(stated_qp(qp, kbps))
    with pytest.raises(InvalidInputError, match=r"of one point \(a.log, b.log, c.log, d.log\)"):
        read_curve_sets([tmp_path])


def test_pictures_numbers_are_not_their_qps(tmp_path: Path) -> None:
    for number in range(20, 26):
        (tmp_path / f"img_{number}.log").write_text(pictures_alone(22, 1000))
        (tmp_path / f"kodim{number}_22.log").write_text(stated_qp(22, 1000))
    found = {one.sequence: one for one in read_curve_sets([tmp_path])}
    assert set(found) == {
        f"{name}{number}" for number in range(20, 26) for name in ("img_", "kodim")
    }
    assert all(any("a curve of one point" in n for n in one.notes) for one in found.values())
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "kodim23.log").write_text(stated_qp(23, 1000))
    assert read_curve_sets([tmp_path / "alone"])[0].sequence == "kodim23"


def test_numbers_of_sequences_stay(tmp_path: Path) -> None:
    for number in (22, 27):
        write(tmp_path, f"seq_{number}_{{qp}}.log", pictures_alone)
    found = {one.sequence: len(one.rates) for one in read_curve_sets([tmp_path])}
    assert found == {"seq_22": 4, "seq_27": 4}


def test_an_empty_log_of_a_bare_number_ends_the_reading(tmp_path: Path) -> None:
    write(tmp_path, "X_{qp}.log", pictures_alone)
    (tmp_path / "X_42.log").write_text("")
    with pytest.raises(InvalidInputError, match="X_42.log is empty"):
        read_curve_sets([tmp_path])
