import math
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from encoder_logs import (
    LOSSLESS,
    Planes,
    combined,
    hm_log,
    mean,
    vtm_log,
    vtm_pictures,
    vtm_summary,
    vvenc_log,
    x265_log,
)
from kodec.eval import available_metrics, read_curve_sets, read_curves
from kodec.native import InvalidInputError, KodecError

PLANES: list[Planes] = [(41.25, 43.5, 44.0), (39.5, 42.75, 43.125), (38.75, 42.5, 43.0)]
BITS = [4096, 512, 256]


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def quieter(planes: list[Planes], by: float) -> list[Planes]:
    return [(y - by, u - by, v - by) for y, u, v in planes]


@pytest.mark.parametrize("version", ["17.0", "23.1"])
def test_current_vtm(version: str, tmp_path: Path) -> None:
    path = write(tmp_path / "VTM_x_qp32.log", vtm_log(PLANES, BITS, 32, version=version))
    (found,) = read_curve_sets([path])
    assert found.frames == 3 and found.settings == ("QP 32",)
    assert (found.rate_unit, found.fps) == ("kbps", 30)
    assert found.rates == pytest.approx((sum(BITS) * 10 / 1000,), abs=1e-4)
    for plane, value in zip("yuv", mean(PLANES), strict=True):
        assert found.metrics[f"psnr-{plane}"] == pytest.approx((value,), abs=1e-4)
    assert found.metrics["psnr-yuv-mse-411"] == pytest.approx((combined(PLANES),), abs=1e-4)
    assert found.curve("psnr-y").averaging == "mean over frames"
    assert found.curve("psnr-yuv-mse-411").averaging == "from the mean MSE over frames"


@pytest.mark.parametrize("program", ["VTM", "HM"])
def test_old_format_with_all_summaries(program: str, tmp_path: Path) -> None:
    path = write(tmp_path / "x_qp32.log", hm_log(PLANES, BITS, 32, program=program))
    (curve,) = read_curves([path], "psnr-y")
    assert curve.values == pytest.approx((mean(PLANES)[0],), abs=1e-4)
    # The log states 64x32, so rates are in bits per pixel; the i, p and b rows don't count.
    assert (curve.rate_unit, curve.size) == ("bpp", (64, 32))
    assert curve.rates == pytest.approx((sum(BITS) / 3 / 2048,), rel=1e-4)
    assert any("+40 bytes" in note for note in curve.notes)


def test_vvenc(tmp_path: Path) -> None:
    for qp, kbps, by in ((22, 900.5, 0), (27, 400.25, 3)):
        planes = quieter(PLANES[:1], by)[0]
        write(tmp_path / f"x_{qp}.log", vvenc_log(planes, 10, kbps, qp))
    (curve,) = read_curves([tmp_path], "psnr-yuv-mse-411")
    assert curve.settings == ("QP 27", "QP 22")
    assert curve.rates == pytest.approx((400250 / 30 / 2048, 900500 / 30 / 2048))
    assert curve.values[1] == pytest.approx(combined(PLANES[:1]), abs=1e-4)


def test_x265(tmp_path: Path) -> None:
    path = write(tmp_path / "x265_crf22.log", x265_log(600, 9075.96))
    (found,) = read_curve_sets([path])
    assert found.rates == pytest.approx((9075960 / 30 / (1920 * 1080),))
    y = (3 * 41 + 147 * 40 + 450 * 39.5) / 600
    assert found.metrics["psnr-y"] == pytest.approx((y,), abs=1e-3)
    six = found.metrics["psnr-yuv-611"][0]
    planes = [found.metrics[f"psnr-{plane}"][0] for plane in "yuv"]
    assert six == pytest.approx((6 * planes[0] + planes[1] + planes[2]) / 8, abs=1e-3)
    assert (found.frames, found.settings) == (600, ("CRF 22",))


def test_x265_without_psnr_or_end(tmp_path: Path) -> None:
    path = write(tmp_path / "a.log", x265_log(600, 9075.96, planes=None))
    with pytest.raises(InvalidInputError, match="with --psnr"):
        read_curves([path])
    path = write(tmp_path / "b.log", x265_log(600, 9075.96).partition("\nencoded")[0])
    with pytest.raises(InvalidInputError, match="has not finished"):
        read_curves([path])
    path = write(tmp_path / "c.log", 2 * x265_log(600, 9075.96))
    with pytest.raises(InvalidInputError, match="2 runs of x265"):
        read_curves([path])


@pytest.mark.parametrize(
    ("weights", "name"),
    [((4, 1, 1), "411"), ((2, 1, 1), "211"), ((1, 1, 1), "111")],
)
def test_the_combined_psnr_is_named_by_its_weights(
    weights: tuple[int, int, int], name: str, tmp_path: Path
) -> None:
    """In 4:4:4, VTM's YUV-PSNR weights all planes alike."""
    path = write(tmp_path / "x_qp32.log", vtm_log(PLANES, BITS, 32, weights=weights))
    assert f"psnr-yuv-mse-{name}" in available_metrics([path])
    assert sum("yuv" in metric for metric in available_metrics([path])) == 1


def test_a_folder_makes_one_curve_per_sequence(tmp_path: Path) -> None:
    for name in ("LB_foreman", "LB_bus"):
        for qp in (22, 27, 32, 37):
            text = vtm_log(quieter(PLANES, qp / 2), [b * (40 - qp) for b in BITS], qp)
            write(tmp_path / f"vtm-23_{name}_qp{qp}.txt", text)
    write(tmp_path / "notes.md", "Encoded on Tuesday.\n")
    (tmp_path / "stream.bin").write_bytes(bytes(100))
    curves = read_curves([tmp_path], "psnr-y")
    assert sorted(curve.sequence or "" for curve in curves) == ["bus", "foreman"]
    for curve in curves:
        assert curve.settings == ("QP 37", "QP 32", "QP 27", "QP 22")
        assert list(curve.rates) == sorted(curve.rates)
        assert "not read, being none of the known formats: notes.md, stream.bin" in curve.notes


def test_folders_and_bare_numbers_name_qps_too(tmp_path: Path) -> None:
    for qp in (22, 27):
        (tmp_path / f"qp{qp}").mkdir()
        text = vtm_log(quieter(PLANES, qp / 2), [b * (40 - qp) for b in BITS], qp)
        write(tmp_path / f"qp{qp}" / "foreman.log", text)
        (tmp_path / "bus").mkdir(exist_ok=True)
        write(tmp_path / "bus" / f"{qp}.log", text)
        write(tmp_path / f"RaceHorses_30_{qp}.log", text)
    found = {curve.sequence: curve.settings for curve in read_curves([tmp_path], "psnr-y")}
    both = ("QP 27", "QP 22")
    assert found == {"foreman": both, "bus": both, "RaceHorses_30": both}


def test_runs_that_are_not_of_one_curve(tmp_path: Path) -> None:
    write(tmp_path / "x_qp22.log", vtm_log(PLANES, BITS, 22))
    write(tmp_path / "x_qp27.log", vtm_log(PLANES[:2], BITS[:2], 27))
    with pytest.raises(InvalidInputError, match="differ in frames: 3 in x_qp22.log, 2 in x_qp27"):
        read_curves([tmp_path])
    write(tmp_path / "x_qp27.log", vtm_log(PLANES, BITS, 27, fps=60))
    with pytest.raises(InvalidInputError, match="differ in frame rate"):
        read_curves([tmp_path])
    write(tmp_path / "x_qp27.log", hm_log(PLANES, BITS, 27))
    write(tmp_path / "x_qp22.log", hm_log(PLANES, BITS, 22).replace("64x32", "32x64"))
    with pytest.raises(InvalidInputError, match="differ in picture size: 32x64 in"):
        read_curves([tmp_path])
    write(tmp_path / "x_qp22.log", hm_log(PLANES, BITS, 22))
    (tmp_path / "again_qp1").mkdir()
    write(tmp_path / "x_QP27.log", hm_log(PLANES, BITS, 27))
    with pytest.raises(InvalidInputError, match="two logs of QP 27"):
        read_curves([tmp_path])


def test_an_unfinished_run_names_what_it_logged(tmp_path: Path) -> None:
    whole = vtm_log(PLANES, BITS, 22)
    path = write(tmp_path / "x_qp22.log", whole.partition("\nLayerId")[0])
    with pytest.raises(InvalidInputError, match=r"has not finished \(3 pictures logged\)"):
        read_curves([path])
    write(path, whole.partition("POC")[0])
    with pytest.raises(InvalidInputError, match=r"has not finished \(0 pictures logged\)"):
        read_curves([path])
    write(path, "")
    with pytest.raises(InvalidInputError, match="is empty"):
        read_curves([tmp_path])
    write(path, vvenc_log(PLANES[0], 10, 900.5, 22).partition("vvenc [info]: stats: 100")[0])
    with pytest.raises(InvalidInputError, match="stopped after 5 of 10 frames"):
        read_curves([path])


def test_several_runs_in_one_log(tmp_path: Path) -> None:
    path = write(tmp_path / "x.log", vtm_log(PLANES, BITS, 22) + vtm_log(PLANES, BITS, 27))
    with pytest.raises(InvalidInputError, match="several runs in one log"):
        read_curves([path])


def test_a_decoders_log(tmp_path: Path) -> None:
    text = "POC    0 TId: 0 ( I-SLICE, QP 32 ) [DT  0.154] [L0 ] [L1 ] [:,(unk)]\n"
    with pytest.raises(InvalidInputError, match="a decoder's log"):
        read_curves([write(tmp_path / "x.log", text)])


def test_layers_are_curves_of_their_own(tmp_path: Path) -> None:
    upper = quieter(PLANES, -2)
    text = (
        "VVCSoftware: VTM Encoder Version 23.1 \n"
        + vtm_pictures(PLANES, BITS, 32, layer=0)
        + vtm_pictures(upper, [2 * b for b in BITS], 30, layer=1)
        + "\nLayerId  0\n"
        + vtm_summary(PLANES, 48.64)
        + "\nLayerId  1\n"
        + vtm_summary(upper, 97.28)
    )
    curves = read_curves([write(tmp_path / "x_qp32.log", text)], "psnr-y")
    assert [curve.sequence for curve in curves] == ["x, layer 0", "x, layer 1"]
    assert [curve.values[0] for curve in curves] == pytest.approx(
        [mean(PLANES)[0], mean(upper)[0]], abs=1e-4
    )
    assert all("of this layer alone" in curve.notes[0] for curve in curves)


def test_lossless_planes_are_left_out_and_said(tmp_path: Path) -> None:
    planes: list[Planes] = [(y, LOSSLESS, LOSSLESS) for y, _, _ in PLANES]
    write(tmp_path / "x_qp22.log", vtm_log(planes, BITS, 22))
    write(tmp_path / "x_qp27.log", vtm_log(quieter(PLANES, 3), BITS[::-1], 27, fps=30))
    write(tmp_path / "x_qp32.log", vtm_log(quieter(PLANES, 5), [b // 2 for b in BITS], 32))
    (luma,) = read_curves([tmp_path], "psnr-y")
    assert len(luma.rates) == 3
    (chroma,) = read_curves([tmp_path], "psnr-u")
    assert chroma.settings == ("QP 32", "QP 27") and max(chroma.values) < 50
    assert "lossless, so psnr-u is infinite: left out QP 22" in chroma.notes
    # The error of lossless planes is 0, so their combined PSNR is finite.
    (both,) = read_curves([tmp_path], "psnr-yuv-mse-411")
    assert max(both.values) == pytest.approx(combined(planes), abs=1e-4)


def test_one_lossless_frame_spoils_the_mean(tmp_path: Path) -> None:
    planes: list[Planes] = [(41.25, 43.5, 44.0), (LOSSLESS, LOSSLESS, LOSSLESS), (38.0, 42.0, 43.0)]
    path = write(tmp_path / "x_qp22.log", vtm_log(planes, BITS, 22))
    with pytest.raises(InvalidInputError, match="psnr-y is infinite .lossless. at every point"):
        read_curves([path], "psnr-y")
    (found,) = read_curve_sets([path])
    assert any("lossless in 1 of 3 frames" in note for note in found.notes)


def test_infinite_summary(tmp_path: Path) -> None:
    text = vvenc_log(PLANES[0], 10, 900.5, 22).replace(f"{PLANES[0][1]:8.4f}", "     inf")
    (found,) = read_curve_sets([write(tmp_path / "x.log", text)])
    assert found.metrics["psnr-u"] == (math.inf,)
    with pytest.raises(InvalidInputError, match="lossless"):
        found.curve("psnr-u")


def test_more_columns(tmp_path: Path) -> None:
    text = vtm_log(PLANES, BITS, 22).replace("YUV-PSNR \n", "YUV-PSNR Y-MS-SSIM U-MS-SSIM Y-MSE \n")
    text = re.sub(r"(\t3 +a .*\S) +\n", r"\1  0.987654 0.991234 4.5123\n", text)
    (found,) = read_curve_sets([write(tmp_path / "x.log", text)])
    assert found.metrics["ms-ssim-y"] == (0.987654,)
    assert found.curve("ms-ssim-db-y").values == pytest.approx((19.0846,), abs=1e-3)
    assert any("columns not read: Y-MSE" in note for note in found.notes)


def test_rows_from_mse_do_not_count(tmp_path: Path) -> None:
    y, u, v = mean(PLANES)
    text = vtm_pictures(PLANES, BITS, 22) + (
        "         \tTotal Frames |   Bitrate     Y-PSNR    U-PSNR    V-PSNR    YUV-PSNR \n"
        f"Average: \t        3    a      48.6400  {y:8.4f}  {u:8.4f}  {v:8.4f}  "
        f"{combined(PLANES):8.4f}\n"
        "From MSE:\t        3    a      48.6400   39.1234   42.1234   43.1234   40.1234\n"
    )
    (curve,) = read_curves([write(tmp_path / "x.log", text)], "psnr-y")
    assert curve.values == pytest.approx((y,), abs=1e-4)


def test_a_summary_that_contradicts_its_pictures_is_said(tmp_path: Path) -> None:
    text = vtm_log(PLANES, BITS, 22).replace("[Y 41.2500 dB", "[Y 31.2500 dB")
    (curve,) = read_curves([write(tmp_path / "x.log", text)], "psnr-y")
    assert curve.values == pytest.approx((mean(PLANES)[0],), abs=1e-4)
    assert any("by the summary, 36.5000 dB by the pictures" in note for note in curve.notes)
    text = x265_log(600, 9075.96).replace("Global PSNR: 40", "Global PSNR: 41")
    (found,) = read_curve_sets([write(tmp_path / "x.log", text)])
    assert list(found.metrics) == ["psnr-yuv-611"]
    assert any("psnr-y, -u and -v left out" in note for note in found.notes)


def test_frame_rates_stated_and_by_bits(tmp_path: Path) -> None:
    """VTM states the rate of a subsampled sequence rounded down; its bitrate has it exactly."""
    form = "Real     Format                        : 64x32 {}Hz\n"
    path = tmp_path / "x_qp22.log"
    per_pixel = sum(BITS) / 3 / 2048
    for stated, fps, said in ((30, 30, None), (3, 3.75, "rounded down"), (25, 30, "look at")):
        (curve,) = read_curves([write(path, form.format(stated) + vtm_log(PLANES, BITS, 22, fps))])
        factor = fps / stated if stated == 25 else 1
        assert curve.rates == pytest.approx((factor * per_pixel,), rel=1e-4)
        assert [note for note in curve.notes if "bits and bitrate" in note] == [
            note for note in curve.notes if said and said in note
        ]
        assert any("bits and bitrate" in note for note in curve.notes) == (said is not None)
    # What makes no frame rate at all is not taken for one.
    write(path, vtm_log(PLANES, BITS, 22, fps=17.3))
    (curve,) = read_curves([path], size=(64, 32), fps=30)
    assert curve.rates == pytest.approx((17.3 / 30 * per_pixel,), rel=1e-4)
    assert any("which is unusual: not used" in note for note in curve.notes)


def test_sizes_and_rates_of_the_user(tmp_path: Path) -> None:
    path = write(tmp_path / "x_qp22.log", vtm_log(PLANES, BITS, 22))
    (curve,) = read_curves([path], size=(64, 32))
    assert curve.rates == pytest.approx((sum(BITS) / 3 / 2048,), rel=1e-4)
    (curve,) = read_curves([path], size=(64, 32), fps=25)
    assert curve.rates == pytest.approx((1.2 * sum(BITS) / 3 / 2048,), rel=1e-4)
    assert any("--fps 25 taken, though its source says 30" in note for note in curve.notes)
    with pytest.raises(InvalidInputError, match="give --size WxH"):
        read_curves([path], fps=30)
    stated = write(tmp_path / "y_qp22.log", hm_log(PLANES, BITS, 22))
    (curve,) = read_curves([stated], size=(64, 64))
    assert curve.rates == pytest.approx((sum(BITS) / 3 / 4096,), rel=1e-4)
    assert any("--size 64x64 taken, though its source says 64x32" in n for n in curve.notes)
    summary = write(tmp_path / "z_qp22.log", vtm_summary(PLANES, 48.64))
    with pytest.raises(InvalidInputError, match="give --fps F"):
        read_curves([summary], size=(64, 32))


def test_other_line_ends_encodings_and_interleaved_lines(tmp_path: Path) -> None:
    text = vtm_log(PLANES, BITS, 22)
    (plain,) = read_curves([write(tmp_path / "plain_qp22.log", text)])
    variants = {
        "crlf": text.replace("\n", "\r\n").encode(),
        "utf16": b"\xff\xfe" + text.encode("utf-16-le"),
        "bom": b"\xef\xbb\xbf" + text.encode(),
        "latin": text.replace("started", "démarré").encode("latin-1"),
        "stderr": text.replace("\n", "\nwarning: disk slow\n").encode(),
        "indented": text.replace("\n", "\n    ").encode(),
    }
    for name, data in variants.items():
        path = tmp_path / f"{name}_qp22.log"
        path.write_bytes(data)
        (curve,) = read_curves([path])
        assert (curve.rates, curve.values) == (plain.rates, plain.values), name


@pytest.mark.parametrize(
    ("old", "new"),
    [("64x32", "0x0"), ("30 Hz", "0 Hz"), ("30 Hz", "30/0 Hz"), ("30 Hz", "1.2.3 Hz")],
)
def test_formats_that_cannot_be(old: str, new: str, tmp_path: Path) -> None:
    text = vvenc_log(PLANES[0], 10, 900.5, 22).replace(old, new)
    try:
        (curve,) = read_curves([write(tmp_path / "x.log", text)])
    except KodecError as error:
        assert "a number that can't be" in str(error)
    else:
        assert curve.rate_unit == "kbps"


LOG_MAKERS: dict[str, Callable[[], str]] = {
    "vtm": lambda: vtm_log(PLANES, BITS, 22),
    "hm": lambda: hm_log(PLANES, BITS, 22),
    "vvenc": lambda: vvenc_log(PLANES[0], 10, 900.5, 22),
    "x265": lambda: x265_log(600, 9075.96),
}


@pytest.mark.parametrize("kind", LOG_MAKERS)
def test_a_log_cut_anywhere_is_an_error_or_whole(kind: str, tmp_path: Path) -> None:
    """Whatever the byte at which a log ends: either the whole one's numbers, or KodecError."""
    text = LOG_MAKERS[kind]()
    path = tmp_path / "x_qp22.log"
    (whole,) = read_curve_sets([write(path, text)])
    refused = 0
    for end in range(1, len(text), 3):
        try:
            (cut,) = read_curve_sets([write(path, text[:end])])
        except KodecError as error:
            assert "\n" not in str(error)
            refused += 1
            continue
        assert cut.rates == whole.rates and cut.frames == whole.frames
        for name, values in cut.metrics.items():
            assert values == pytest.approx(whole.metrics[name], abs=1e-3), (end, name)
    assert refused > len(text) / 3 / 3


@pytest.mark.parametrize("kind", LOG_MAKERS)
def test_lost_and_mangled_lines_never_end_in_another_error(kind: str, tmp_path: Path) -> None:
    text = LOG_MAKERS[kind]()
    (whole,) = read_curve_sets([write(tmp_path / "x_qp22.log", text)])
    chance = random.Random(1)
    for _ in range(150):
        lines = text.splitlines(keepends=True)
        for _ in range(chance.randint(1, 4)):
            line = chance.randrange(len(lines))
            what = chance.random()
            if what < 0.5:
                del lines[line]
            elif what < 0.8:
                lines[line] = lines[line][: chance.randrange(len(lines[line]) + 1)]
            else:
                lines.insert(line, lines[chance.randrange(len(lines))])
            lines = lines or [""]
        path = tmp_path / "x_qp22.log"
        path.write_text("".join(lines))
        try:
            found = read_curve_sets([path])
        except KodecError as error:
            assert "\n" not in str(error)
            continue
        assert found[0].frames == whole.frames
        assert found[0].source == (str(path),)
