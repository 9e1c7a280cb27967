"""BD-rates of everything published for Kodak and UVG, against computations written here."""

import csv
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.interpolate import PchipInterpolator  # type: ignore[import-untyped]

from kodec.eval import bd_rate, compare, pool, read_curves

needs_data = pytest.mark.skipif(
    not os.environ.get("KODEC_DATA"), reason="KODEC_DATA does not say where the data lie"
)
pytestmark = needs_data

RESULTS = Path(os.environ.get("KODEC_DATA", "")) / "results"
KODAK = RESULTS / "compressai/image/kodak"
DCVC = RESULTS / "dcvc/anchors/vtm_17.0_yuv420_LB_allf_ip0.json"

PUBLISHED = {
    "compressai-bmshj2018-factorized_mse_cuda": 68.10,
    "compressai-bmshj2018-hyperprior_mse_cuda": 30.49,
    "compressai-mbt2018_mse_cuda": 11.02,
    "paper-elic2022_mse": -7.02,
    "jpeg": 208.49,
    "webp": 78.75,
    "bpg_444_x265_ycbcr": 21.99,
}
PEERS = {"mlicplusplus_mse": -15.0, "TCM-L": -11.7}

Points = list[tuple[float, float]]


def bd_rate_by_hand(test: Points, anchor: Points) -> float:
    """From (bpp, quality): PCHIP of ln(rate) over quality, the mean by the trapezoidal rule."""
    curves = []
    for points in (test, anchor):
        cheapest: dict[float, float] = {}
        for rate, quality in points:
            cheapest[quality] = min(rate, cheapest.get(quality, rate))
        x = np.array(sorted(cheapest))
        curves.append((x, PchipInterpolator(x, np.log([cheapest[q] for q in x]))))
    low = max(x[0] for x, _ in curves)
    high = min(x[-1] for x, _ in curves)
    at = np.linspace(low, high, 100_001)
    difference = curves[0][1](at) - curves[1][1](at)
    mean = (difference.sum() - (difference[0] + difference[-1]) / 2) / (len(at) - 1)
    return float(100 * (np.exp(mean) - 1))


def raw_points(path: Path, keys: tuple[str, ...] = ("psnr-rgb", "psnr")) -> Points:
    """What a results file of CompressAI's schema holds, read with nothing of kodec's."""
    document = json.loads(path.read_text())
    lists = document.get("results", document)
    key = next((key for key in keys if key in lists), None)
    return list(zip(lists["bpp"], lists[key], strict=True)) if key else []


def kodak_files() -> list[Path]:
    folders = (KODAK, KODAK.parent / "8bit-decoded/kodak", RESULTS / "peers/mlic/results/kodak")
    return [path for folder in folders for path in sorted(folder.glob("*.json"))]


def peer_tables() -> dict[str, Points]:
    """The Kodak points that SegPIC and TCM publish as text."""
    text = (RESULTS / "peers/segpic/RD_points.txt").read_text().split("CLIC")[0]
    found = {"SegPIC": [(float(a), float(b)) for a, b in re.findall(r"([\d.]+)\s+([\d.]+)", text)]}
    text = (RESULTS / "peers/tcm/RD_data.md").read_text()
    for size, part in zip("LMS", text.split("## Kodak")[1:], strict=True):
        psnr, bpp = re.findall(r"= \[([^\]]*)\]", part)[:2]
        numbers = [[float(value) for value in part.split(",")] for part in (bpp, psnr)]
        found[f"TCM-{size}"] = list(zip(*numbers, strict=True))
    return found


def coolchic_points(path: Path) -> Points:
    rows = list(csv.DictReader(path.read_text().splitlines(), delimiter="\t"))
    points = []
    for value in sorted({row["lmbda"] for row in rows}):
        point = [row for row in rows if row["lmbda"] == value]
        assert len(point) == 24
        points.append(
            (
                sum(float(row["rate_bpp"]) for row in point) / 24,
                sum(float(row["psnr_db"]) for row in point) / 24,
            )
        )
    return points


def test_every_kodak_file_against_vtm() -> None:
    anchor = read_curves([KODAK / "vtm.json"], "psnr-rgb")[0]
    compared, files = 0, kodak_files()
    assert len(files) > 50
    for path in files:
        raw = raw_points(path)
        if not raw:  # A paper's MS-SSIM alone.
            continue
        (test,) = read_curves([path], "psnr-rgb")
        result = bd_rate(test, anchor)
        expected = bd_rate_by_hand(raw, raw_points(KODAK / "vtm.json"))
        assert result.value_percent == pytest.approx(expected, abs=0.01), path
        published = {**PUBLISHED, **PEERS}.get(path.stem)
        if published is not None and "8bit-decoded" not in str(path):
            assert result.value_percent == pytest.approx(
                published, abs=0.01 if path.stem in PUBLISHED else 0.1
            )
        compared += 1
    assert compared > 45


def test_every_kodak_file_against_vtm_in_ms_ssim() -> None:
    anchor = read_curves([KODAK / "vtm.json"], "ms-ssim-db-rgb")[0]
    anchor_raw = [
        (rate, -10 * np.log10(1 - value))
        for rate, value in raw_points(KODAK / "vtm.json", ("ms-ssim-rgb",))
    ]
    compared = 0
    for path in kodak_files():
        raw = raw_points(path, ("ms-ssim-db-rgb",)) or [
            (rate, -10 * np.log10(1 - value)) for rate, value in raw_points(path, ("ms-ssim-rgb",))
        ]
        if raw:
            (test,) = read_curves([path], "ms-ssim-db-rgb")
            expected = bd_rate_by_hand(raw, anchor_raw)
            assert bd_rate(test, anchor).value_percent == pytest.approx(expected, abs=0.01), path
            compared += 1
    assert compared > 40


def test_peers_points_as_tables(tmp_path: Path) -> None:
    for name, points in peer_tables().items():
        path = tmp_path / f"{name}.csv"
        path.write_text("bpp,psnr-rgb\n" + "".join(f"{a},{b}\n" for a, b in points))
        (test,) = read_curves([path])
        (anchor,) = read_curves([KODAK / "vtm.json"], "psnr-rgb")
        value = bd_rate(test, anchor).value_percent
        expected = bd_rate_by_hand(points, raw_points(KODAK / "vtm.json"))
        assert value == pytest.approx(expected, abs=0.01)
        if name in PEERS:
            assert value == pytest.approx(PEERS[name], abs=0.1)


def test_coolchic_is_the_mean_over_its_pictures() -> None:
    (anchor,) = read_curves([KODAK / "vtm.json"], "psnr-rgb")
    for version in ("v4.0", "v4.1", "v4.2", "v5.0"):
        path = RESULTS / f"peers/coolchic/results/{version}/image-kodak.tsv"
        (test,) = read_curves([path])
        assert (test.metric, test.averaging) == ("psnr-rgb", "mean over images")
        assert len(test.members) == 24
        raw = coolchic_points(path)
        points = list(zip(test.rates, test.values, strict=True))
        assert all(any(point == pytest.approx(one, rel=1e-12) for point in points) for one in raw)
        expected = bd_rate_by_hand(raw, raw_points(KODAK / "vtm.json"))
        assert bd_rate(test, anchor).value_percent == pytest.approx(expected, abs=0.01)


def test_uvg_points_of_the_dcvc_anchor_pooled_over_frames() -> None:
    curves = [c for c in read_curves([DCVC], "psnr-yuv-611") if c.dataset == "UVG"]
    assert len(curves) == 7 and sorted({c.frames for c in curves if c.frames}) == [300, 600]
    pooled = pool(curves, "UVG")
    assert (pooled.averaging, pooled.frames) == ("pooled over frames, frame-weighted", 3900)
    at = dict(zip(pooled.settings, zip(pooled.rates, pooled.values, strict=True), strict=True))
    for qp, (rate, value) in {"QP 22": (0.06365, 43.085), "QP 37": (0.00542, 36.981)}.items():
        assert at[qp][0] == pytest.approx(rate, abs=5e-6)
        assert at[qp][1] == pytest.approx(value, abs=5e-4)


def test_every_dcvc_sequence_has_the_combined_psnr_of_its_planes() -> None:
    curves = read_curves([DCVC])
    assert len(curves) == 53
    assert {c.metric for c in curves} == {"psnr-yuv-611"}
    assert all(len(c.rates) == 10 and not c.notes for c in curves)


def test_averages_of_sequences_and_of_curves_by_hand() -> None:
    """Cool-chic 5.0 against 4.0 on video: per sequence, and the frame-weighted means."""
    folder = RESULTS / "peers/coolchic/results"
    sides = [folder / f"{version}/video-ra-jvet-c.tsv" for version in ("v5.0", "v4.0")]
    raw: list[dict[str, Points]] = []
    for path in sides:
        by_name: dict[str, Points] = {}
        for row in csv.DictReader(path.read_text().splitlines(), delimiter="\t"):
            point = (float(row["rate_bpp"]), float(row["psnr_db"]))
            by_name.setdefault(row["seq_name"], []).append(point)
        raw.append(by_name)
    each = [bd_rate_by_hand(raw[0][name], raw[1][name]) for name in raw[0]]
    tests, anchors = (read_curves([path]) for path in sides)
    assert {c.metric for c in tests} == {"psnr-yuv-mse-411"}
    by_sequence = compare(tests, anchors, average="sequences", resamples=0)
    assert by_sequence.value_percent == pytest.approx(np.mean(each), abs=0.01)
    frames = {
        row["seq_name"]: int(row["n_frames"])
        for row in csv.DictReader(sides[0].read_text().splitlines(), delimiter="\t")
    }

    def pooled(side: dict[str, Points]) -> Points:
        weights = [frames[name] for name in side]

        def mean(i: int, k: int) -> float:
            return float(np.average([sorted(side[n])[i][k] for n in side], weights=weights))

        return [(mean(i, 0), mean(i, 1)) for i in range(4)]

    by_curve = compare(tests, anchors, average="curves", resamples=0)
    assert by_curve.value_percent == pytest.approx(bd_rate_by_hand(*map(pooled, raw)), abs=0.01)
    assert abs(by_curve.value_percent - by_sequence.value_percent) > 0.1
