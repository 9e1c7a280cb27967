import json
import math
import os
import random
from pathlib import Path
from typing import Any

import pytest

from encoder_logs import vtm_log
from kodec.eval import available_metrics, bd_rate, compare, pool, read_curve_sets, read_curves
from kodec.eval.curves.pooling import sequence_key
from kodec.eval.report import read_entries
from kodec.native import InvalidInputError, KodecError
from reported_results import RATES, VALUES, write_video

needs_data = pytest.mark.skipif(
    not os.environ.get("KODEC_DATA"), reason="KODEC_DATA does not say where the data lie"
)
RESULTS = Path(os.environ.get("KODEC_DATA", "")) / "results"


def write(path: Path, content: Any) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def video(**lists: list[Any]) -> dict[str, Any]:
    return {"name": "codec", "results": {"bitrate": [1000, 2000], **lists}}


def record(bpp: float, psnr: float, frames: int = 96, **other: Any) -> dict[str, Any]:
    """A record of the DCVC family, of YUV 4:2:0."""
    return {
        **{"frame_pixel_num": 2048, "i_frame_num": 1, "p_frame_num": frames - 1, "qp": 22},
        **{"ave_all_frame_bpp": bpp, "ave_all_frame_psnr": psnr + 0.5},
        **{"ave_all_frame_psnr_y": psnr, "ave_all_frame_psnr_u": psnr + 1},
        **{"ave_all_frame_psnr_v": psnr + 3, "ave_i_frame_bpp": 9.0},
        **other,
    }


def test_both_spellings_and_bare_lists(tmp_path: Path) -> None:
    old = write(tmp_path / "old.json", {"psnr": [30, 33], "ms-ssim": [0.9, 0.95], "bpp": [1, 2]})
    (curve,) = read_curves([old])
    assert (curve.name, curve.metric, curve.values) == ("old", "psnr-rgb", (30, 33))
    assert available_metrics([old]) == ["psnr-rgb", "ms-ssim-rgb", "ms-ssim-db-rgb"]
    assert curve.averaging == "unknown"
    new = {"results": {"psnr-rgb": [30, 33], "bpp": [1, 2], "encoding_time": [1, 1]}}
    times = {"decoding_time": [1, 1]}
    new["results"].update(times)
    assert read_curves([write(tmp_path / "new.json", new)])[0].averaging == "mean over images"


@pytest.mark.parametrize("key", ["qp", "q"])
def test_video_in_kilobits(key: str, tmp_path: Path) -> None:
    path = write(tmp_path / "v.json", video(**{key: [37, 32], "psnr-rgb": [30, 33]}))
    (curve,) = read_curves([path])
    assert (curve.rate_unit, curve.rates) == ("kbps", (1000, 2000))
    (curve,) = read_curves([path], size=(100, 50), fps=10)
    assert (curve.rate_unit, curve.rates) == ("bpp", (20, 40))


def test_combined_psnr_of_video_is_named_by_its_planes(tmp_path: Path) -> None:
    planes = {"psnr-y": [30.0, 33.0], "psnr-u": [36.0, 38.0], "psnr-v": [38.0, 39.0]}
    for weight, name in ((4, "psnr-yuv-411"), (6, "psnr-yuv-611"), (2, None)):
        combined = [
            (weight * y + u + v) / (weight + 2) for y, u, v in zip(*planes.values(), strict=True)
        ]
        path = write(tmp_path / "v.json", video(**planes, **{"psnr-yuv": combined}))
        (found,) = read_curve_sets([path])
        assert [key for key in found.metrics if "yuv" in key] == ([name] if name else [])
        assert bool(found.notes) == (name is None)
    alone = write(tmp_path / "v.json", video(**{"psnr-yuv": [31, 34]}))
    (curve,) = read_curves([alone])
    assert curve.metric == "psnr-yuv-411"
    assert any("no planes to check" in note for note in curve.notes)


def test_per_image_rows_become_members(tmp_path: Path) -> None:
    rows = [
        {
            **{"image": image, "quality": quality, "width": 8, "height": 8, "bytes": 1},
            **{"bpp": bpp, "metrics": {"psnr-rgb": psnr, "ms-ssim-rgb": 0.9}},
            **{"encoding_time": 0.0, "decoding_time": 0.0},
        }
        for quality, bpp, psnr in ((2, 1.0, 33.0), (1, 0.5, 30.0))
        for image in ("a.png", "b.png")
    ]
    # The points in another order than the rows, as when fixed-rate models are joined.
    means = {"bpp": [0.5, 1.0], "psnr-rgb": [30.0, 33.0], "ms-ssim-rgb": [0.9, 0.9]}
    path = write(tmp_path / "r.json", {"name": "x", "results": means, "per_image": rows})
    (curve,) = read_curves([path])
    assert [member.sequence for member in curve.members] == ["a.png", "b.png"]
    assert curve.members[0].rates == (0.5, 1.0) and curve.members[0].values == (30, 33)
    means["bpp"][0] = 0.4
    path = write(tmp_path / "r.json", {"name": "x", "results": means, "per_image": rows})
    (curve,) = read_curves([path])
    assert curve.members == () and any("do not average" in note for note in curve.notes)


def test_files_of_one_quality_each_make_a_curve(tmp_path: Path) -> None:
    for quality in (1, 2, 3):
        write(tmp_path / f"net_q{quality}.json", {"bpp": [quality], "psnr": [30 + quality]})
    (curve,) = read_curves([tmp_path])
    assert (curve.name, curve.rates, curve.settings) == ("net", (1, 2, 3), ("1", "2", "3"))
    write(tmp_path / "other-q3.json", {"bpp": [4], "psnr": [35]})
    assert [curve.name for curve in read_curves([tmp_path])] == ["net", "other"]
    write(tmp_path / "net_Q3.json", {"bpp": [4], "psnr": [35]})
    with pytest.raises(InvalidInputError, match="two files of quality 3"):
        read_curves([tmp_path])


def test_dcvc_per_sequence(tmp_path: Path) -> None:
    document = {
        "UVG": {
            "a_64x32_30.yuv": {"000": record(0.2, 40), "001": record(0.1, 37, qp=32)},
            "b_64x32_30.yuv": {"000": record(0.4, 42, 48), "001": record(0.3, 39, 48, qp=32)},
        }
    }
    curves = read_curves([write(tmp_path / "dcvc.json", document)])
    assert [curve.sequence for curve in curves] == ["a_64x32_30", "b_64x32_30"]
    assert {curve.metric for curve in curves} == {"psnr-yuv-611"}
    assert curves[0].rates == (0.2, 0.1) and curves[0].values == (40.5, 37.5)
    pooled = pool(curves, "UVG")
    assert pooled.rates == pytest.approx(((2 * 0.2 + 0.4) / 3, (2 * 0.1 + 0.3) / 3))
    assert pooled.settings == ("QP 22", "QP 32")


def test_dcvc_that_is_not_finished_or_of_another_metric(tmp_path: Path) -> None:
    def of(**records: dict[str, Any]) -> Path:
        return write(tmp_path / "x.json", {"UVG": {"a.yuv": records}})

    with pytest.raises(InvalidInputError, match=r"\[48, 96\] frames: an unfinished run"):
        read_curves([of(a=record(0.2, 40), b=record(0.1, 37, 48))])
    unfinished = record(0.2, 40)
    del unfinished["ave_all_frame_bpp"]
    with pytest.raises(InvalidInputError, match="not finished"):
        read_curves([of(a=record(0.1, 37), b=unfinished)])
    planes = ("_y", "_u", "_v")
    rgb = {key: value for key, value in record(0.2, 40).items() if not key.endswith(planes)}
    assert available_metrics([of(a=rgb)]) == ["psnr-rgb"]
    odd = record(0.2, 40, ave_all_frame_psnr=41.0)
    (found,) = read_curve_sets([of(a=odd)])
    assert "psnr-y" in found.metrics and "psnr-yuv-611" not in found.metrics
    assert any("not 6:1:1" in note for note in found.notes)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"results": {"bpp": [1, 2], "psnr": [30', "not JSON"),
        ('{"a": 1}', "not a results file"),
        ("[1, 2]", "not a results file"),
        ('{"results": {"bitrate": [1, 2], "psnr-rgb": [30]}}', "list of 2 numbers"),
        ('{"results": {"bitrate": [1, 2], "psnr-rgb": [30, "x"]}}', "'x'"),
        ('{"results": {"bpp": [1, -2], "psnr-rgb": [30, 31]}}', "positive"),
        ('{"results": {"bpp": [1, NaN], "psnr-rgb": [30, 31]}}', "finite"),
        ('{"results": {"bpp": [1, 2], "ms-ssim": [0.9, 12.5]}}', "lies in"),
        ('{"results": {"bpp": [], "psnr-rgb": []}}', "at least one point"),
        ("hello", "not a results file"),
        ("\x00\x01", "not text"),
        ("", "empty"),
        ("{" * 5000, "not JSON"),
    ],
)
def test_what_is_no_results_file(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=message):
        read_curves([write(tmp_path / "x.json", content)])


def test_lossless_points_are_left_out(tmp_path: Path) -> None:
    document = {"results": {"bpp": [1, 2, 9], "psnr-rgb": [30, 33, None]}, "quality": [1, 2, 3]}
    (curve,) = read_curves([write(tmp_path / "x.json", document)])
    assert curve.values == (30, 33)
    assert "lossless, so psnr-rgb is infinite: left out quality 3" in curve.notes


def test_compressed_and_missing_files(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(b"\x1f\x8b\x08rest")
    with pytest.raises(InvalidInputError, match="archive: unpack"):
        read_curves([tmp_path / "x.gz"])
    with pytest.raises(InvalidInputError, match="No such file"):
        read_curves([tmp_path / "none"])


def test_no_metric_in_common(tmp_path: Path) -> None:
    write(tmp_path / "a.json", {"bpp": [1], "psnr": [30]})
    write(tmp_path / "b.json", {"bpp": [1], "ms-ssim": [0.9]})
    with pytest.raises(InvalidInputError, match="no metric that all curves have"):
        read_curves([tmp_path])


@needs_data
def test_every_published_file_reads() -> None:
    paths = sorted(path for path in RESULTS.rglob("*") if path.suffix in (".json", ".tsv"))
    assert len(paths) > 150
    for path in paths:
        for curve in read_curves([path]):
            assert curve.source == (str(path),)
            assert not any("left out" in note for note in curve.notes)


@needs_data
def test_compressai_video_is_4_1_1_of_decibels_and_dcvc_6_1_1() -> None:
    folder = RESULTS / "compressai/video/UVG-1080p"
    assert "psnr-yuv-411" in available_metrics([folder / "VTM-v15.0-lowdelay.json"])
    (a,) = read_curves([folder / "x265-medium-tune-zerolatency.json"], "psnr-yuv-411")
    (b,) = read_curves([folder / "VTM-v15.0-lowdelay.json"], "psnr-yuv-411")
    assert bd_rate(a, b).value_percent > 50
    (six,) = [c for c in read_curves([RESULTS / "dcvc"]) if "Beauty" in (c.sequence or "")]
    with pytest.raises(InvalidInputError, match="psnr-yuv-411.*psnr-yuv-611"):
        bd_rate(a, six)


@needs_data
def test_a_results_file_cut_or_changed_anywhere_never_ends_in_another_error(tmp_path: Path) -> None:
    chance = random.Random(2)
    sources = [
        RESULTS / "compressai/image/kodak/vtm.json",
        RESULTS / "peers/coolchic/results/v5.0/image-kodak.tsv",
        RESULTS / "peers/coolchic/results/v5.0/video-ra-jvet-c.tsv",
        RESULTS / "peers/hnerv/uvg_per_vid_results.csv",
        RESULTS / "peers/nerv/psnr_bpp_results.csv",
    ]
    for source in sources:
        text = source.read_text()
        for _ in range(60):
            changed = text
            if chance.random() < 0.5:
                changed = changed[: chance.randrange(len(changed))]
            for _ in range(chance.randrange(4)):
                at = chance.randrange(max(1, len(changed)))
                changed = changed[:at] + chance.choice("0,;\t\n-.xeE\"'{[é") + changed[at + 1 :]
            try:
                found = read_curves([write(tmp_path / "x", changed)])
            except KodecError as error:
                assert "\n" not in str(error)
                continue
            assert all(math.isfinite(v) for curve in found for v in curve.values)


def test_nan_is_not_lossless(tmp_path: Path) -> None:
    for content, message in (
        (
            {"bpp": [1, 2, 4], "psnr": [30, math.nan, 34]},
            "psnr-rgb is NaN .* at the point at 2 bpp",
        ),
        ({"bpp": [1, 2], "psnr": [math.nan, math.nan]}, "psnr-rgb is NaN .* at every point"),
        ({"bpp": [1, 2], "psnr": [30, -math.inf]}, "psnr-rgb is minus infinity at the point at 2"),
        ({"bpp": [1, 2], "ms-ssim": [0.9, math.nan]}, "ms-ssim-rgb is NaN"),
        ({"bpp": [1, 2], "vmaf": [90, math.inf]}, "vmaf is infinite at the point at 2"),
        ({"results": {"bitrate": [1, 2], "psnr-y": [30, math.nan]}}, "psnr-y is NaN .* at the poi"),
        ({"results": {"bitrate": [1, 2], "psnr-y": [30, None]}}, "psnr-y is NaN"),
        ({"bpp": [math.nan, 2], "psnr": [30, 33]}, "nan bpp"),
    ):
        with pytest.raises(InvalidInputError, match=message):
            read_curves([write(tmp_path / "x.json", content)])
    records = {"a": record(0.2, 40), "b": record(0.3, 41, ave_all_frame_psnr=math.nan)}
    path = write(tmp_path / "x.json", {"UVG": {"a.yuv": records}})
    with pytest.raises(InvalidInputError, match="psnr-yuv-611 is NaN .* at QP 22"):
        read_curves([path], "psnr-yuv-611")
    assert read_curves([path], "psnr-y")[0].values == (40, 41)


def test_planes_that_were_not_measured_do_not_contradict_their_mean(tmp_path: Path) -> None:
    planes = {"psnr-y": [30.0, math.nan], "psnr-u": [36.0, 38.0], "psnr-v": [38.0, 39.0]}
    path = write(tmp_path / "v.json", video(**planes, **{"psnr-yuv": [254 / 8, math.nan]}))
    (found,) = read_curve_sets([path])
    assert "psnr-yuv-611" in found.metrics and not any("left out" in n for n in found.notes)


@pytest.mark.parametrize(
    "more",
    [
        {"name": ["a", "b", "c", "d"]},
        {"frame": [0, 1, 2, 3]},
        {"img": ["k1.png", "k2.png", "k3.png", "k4.png"]},
    ],
)
def test_lists_of_pictures_are_no_points(more: dict[str, Any], tmp_path: Path) -> None:
    lists = {"bpp": [0.1, 0.2, 0.4, 0.8], "psnr": [28, 30, 32, 34]}
    with pytest.raises(InvalidInputError, match="lists are of pictures or frames"):
        read_curves([write(tmp_path / "x.json", {"results": {**lists, **more}})])
    cloud = {"bpp": [0.32, 0.31, 0.41, 0.21, 0.33, 0.27], "psnr": [30.8, 30, 29.7, 32, 30.5, 31]}
    with pytest.raises(InvalidInputError, match="no curve.*pictures or frames"):
        read_curves([write(tmp_path / "x.json", {"results": cloud})])
    settings = {"quality": [1, 2, 3, 4], "comment": ["a", "b", "c", "d"]}
    (curve,) = read_curves([write(tmp_path / "x.json", {"results": {**lists, **settings}})])
    assert curve.settings == ("quality 1", "quality 2", "quality 3", "quality 4")


def test_a_file_of_one_picture_is_one_point(tmp_path: Path) -> None:
    one = {"source": "kodim01", "name": "mbt", "results": {"psnr-rgb": 30.1, "bpp": 0.3}}
    (curve,) = read_curves([write(tmp_path / "kodim01-mbt-1.json", one)])
    assert (curve.sequence, curve.rates, curve.values) == ("kodim01", (0.3,), (30.1,))


def test_summaries_are_no_sequences_of_dcvc(tmp_path: Path) -> None:
    records = {"0": record(0.2, 40), "1": record(0.1, 37, qp=32)}
    sequences = {"MeanStreet.yuv": records, "Average": records}
    document = {"UVG": sequences, "Overall": {"all": records}}
    (curve,) = read_curves([write(tmp_path / "x.json", document)])
    assert curve.sequence == "MeanStreet"
    assert any("UVG, Average" in note for note in curve.notes)


def test_kodecs_video_is_a_set_a_sequence(tmp_path: Path) -> None:
    first, second = read_curve_sets([write_video(tmp_path, "ours")])
    assert (first.sequence, first.frames, first.size, first.fps) == (
        *("a_64x48_25_3f", 3),
        *((64, 48), 25.0),
    )
    assert second.rates == tuple(2 * rate for rate in first.rates)
    curve = first.curve("psnr-yuv-611")
    assert curve.values[0] == pytest.approx((6 * 30 + 31 + 32) / 8)
    assert curve.averaging == "mean over frames" and curve.settings[0] == "quality 10"


def test_sequences_meet_their_anchors_in_other_formats(tmp_path: Path) -> None:
    ours = write_video(tmp_path, "ours", 0.5, frames=96)
    rates = {"32": (0.2, 30.0), "27": (0.4, 33.0), "22": (0.8, 36.0), "17": (1.6, 39.0)}
    records = {key: record(*numbers) for key, numbers in rates.items()}
    anchor = write(tmp_path / "vtm.json", {"set": {"A_64x48_25.yuv": records, "c.yuv": records}})
    found = compare(read_curves([ours], "psnr-y"), read_curves([anchor], "psnr-y"))
    assert found.value_percent == pytest.approx(-50)
    assert not any("differ" in note for note in found.notes)
    log = tmp_path / "a_2f_qp22.log"
    log.write_text(vtm_log([(30.0, 31.0, 32.0)] * 2, [600, 600], 22))
    (of_log,) = read_curves([log], "psnr-yuv-611")
    assert of_log.values[0] == pytest.approx((6 * 30 + 31 + 32) / 8)
    assert sequence_key(str(of_log.sequence)) == sequence_key("a_64x48_25_3f.mkv") == "a"


def test_rows_of_other_numbers_of_frames_are_refused(tmp_path: Path) -> None:
    path = write_video(tmp_path, "ours")
    document = json.loads(path.read_text())
    document["per_image"][1]["frames"] = 2
    with pytest.raises(InvalidInputError, match=r"a_64x48_25_3f\.mkv are of different numbers"):
        read_curve_sets([write(path, document)])


def test_mean_curves_of_logs_and_ours_are_in_bits_per_pixel(tmp_path: Path) -> None:
    ours = write_video(tmp_path, "ours", fps=(30, 30))
    for name, factor in (("a", 1), ("b", 2)):
        for qp, (rate, value) in enumerate(zip(RATES, VALUES, strict=True)):
            bits = round(64 * 48 * rate * factor * 2)
            log = vtm_log([(value, value + 1, value + 2)] * 3, [bits] * 3, 22 + qp)
            (tmp_path / f"vtm-17.0_LB_{name}_3f_qp{22 + qp}.log").write_text(log)
    logs = sorted(tmp_path.glob("*.log"))
    tests, anchors = read_curves([ours], "psnr-y"), read_curves(logs, "psnr-y")
    assert {curve.rate_unit for curve in anchors} == {"kbps"}
    found = compare(tests, anchors, average="curves")
    assert found.anchor[0].rate_unit == "bpp"
    assert found.value_percent == pytest.approx(-50, abs=0.1)
    (entry,), anchor = read_entries([ours], logs)
    assert anchor is not None and anchor.curves["psnr-y"].rate_unit == "bpp"
    assert len(entry.parts["psnr-y"]) == len(anchor.parts["psnr-y"]) == 2


def test_an_anchor_of_many_data_sets_serves_for_the_sequences_that_are_compared(
    tmp_path: Path,
) -> None:
    points = {"32": record(0.2, 30.0), "27": record(0.4, 33.0)}
    sets = {"first": {"a_64x48_25.yuv": points}, "second": {"c.yuv": points}}
    anchor = write(tmp_path / "vtm.json", sets)
    _, found = read_entries([write_video(tmp_path, "ours")], [anchor])
    assert found is not None and found.parts["psnr-y"][0].dataset == "first"
