import os
from pathlib import Path

import pytest

from kodec.eval import read_curve_sets, read_curves
from kodec.native import InvalidInputError

needs_data = pytest.mark.skipif(
    not os.environ.get("KODEC_DATA"), reason="KODEC_DATA does not say where the data lie"
)
PEERS = Path(os.environ.get("KODEC_DATA", "")) / "results/peers"


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    "text",
    [
        "bpp,psnr-rgb\n0.1,30\n0.2,33.5\n",
        "bpp,PSNR-RGB (dB)\r\n0.1,30\r\n0.2,33.5\r\n",
        "bpp;psnr_rgb\n0,1;30\n0,2;33,5\n",
        "bpp\tRGB-PSNR\n0.1\t30\n0.2\t33.5\n",
        "# bpp psnr-rgb\n0.1 30\n0.2   33.5\n",
        "| bpp | psnr-rgb |\n| 0.1 | 30 |\n| 0.2 | 33.5 |\n",
        '"Rate (bpp)","PSNR_RGB[dB]","comment"\n"0.2","33.5","b"\n"0.1","30","a"\n',
        "psnr_rgb,rate_bpp,qp\n33.5,0.2,27\n30,0.1,32\n",
        "\ufeffBits per pixel,psnr rgb\n0.1,3e1\n0.2,33.5\n\n\n",
        "bpp,psnr-rgb,\n0.1,30,\n0.2,33.5,\n,,\n",
        "Bits/pixel,psnr-rgb\n# a comment\n0.1,30\n0.2,33.5",
    ],
)
def test_headers_separators_and_units(text: str, tmp_path: Path) -> None:
    (curve,) = read_curves([write(tmp_path / "codec.csv", text)])
    assert (curve.name, curve.metric, curve.rate_unit) == ("codec", "psnr-rgb", "bpp")
    assert (curve.rates, curve.values) == ((0.1, 0.2), (30, 33.5))


@pytest.mark.parametrize(
    ("title", "factor"),
    [
        *(("kbps", 1), ("Bitrate (kbps)", 1), ("rate_kb/s", 1)),
        *(("bitrate [Mbps]", 1000), ("bps", 0.001)),
    ],
)
def test_kilobits(title: str, factor: float, tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", f"{title},psnr-y\n1000,30\n2000,33\n")
    (curve,) = read_curves([path])
    assert (curve.rate_unit, curve.rates) == ("kbps", (1000 * factor, 2000 * factor))
    (curve,) = read_curves([path], size=(100, 100), fps=10)
    assert curve.rates == pytest.approx((10 * factor, 20 * factor))


def test_bytes_need_the_size_of_pictures(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "bytes,width,height,frames,psnr-y\n1000,100,80,2,30\n")
    assert read_curves([path])[0].rates == (0.5,)
    with pytest.raises(InvalidInputError, match="columns width and height"):
        read_curves([write(tmp_path / "y.csv", "bytes,psnr-y\n1000,30\n")])


def test_sequences_and_codecs_are_curves(tmp_path: Path) -> None:
    text = "Method,video,kbps,psnr-y,frames,width,height,fps\n" + "".join(
        f"{m},{v},{r},{30 + r / 100},10,100,50,20\n"
        for m in ("A", "B")
        for v in ("bus", "city")
        for r in (100, 200)
    )
    curves = read_curves([write(tmp_path / "x.csv", text)])
    assert [curve.name for curve in curves] == ["A, bus", "A, city", "B, bus", "B, city"]
    assert curves[0].rates == (1.0, 2.0) and curves[0].rate_unit == "bpp"
    assert (curves[0].sequence, curves[0].frames) == ("bus", 10)


def test_images_are_averaged(tmp_path: Path) -> None:
    text = "image,quality,bpp,psnr-rgb\nb,1,0.3,31\na,1,0.1,30\na,2,0.2,33\nb,2,0.5,36\n"
    (curve,) = read_curves([write(tmp_path / "x.csv", text)])
    assert curve.averaging == "mean over images"
    assert curve.rates == pytest.approx((0.2, 0.35)) and curve.values == pytest.approx((30.5, 34.5))
    assert [member.sequence for member in curve.members] == ["b", "a"]
    with pytest.raises(InvalidInputError, match="a has other points .quality 1. than b"):
        read_curves([write(tmp_path / "x.csv", text.replace("a,2,0.2,33\n", ""))])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bitrate,psnr-y\n100,30\n", "does not say its unit: call it bpp or kbps"),
        ("bpp,kbps,psnr-y,bits per pixel\n1,2,3,4\n", "several columns of rates"),
        ("bpp,psnr-yuv\n1,30\n", "psnr-yuv is not one metric"),
        ("bpp,YUV-PSNR (dB)\n1,30\n", "psnr-yuv-611, psnr-yuv-411 or psnr-yuv-mse-411"),
        ("bpp,psnr,psnr-rgb\n1,30,31\n", "are both psnr-rgb"),
        ("bpp,psnr-y\n0.1,30\n0.2,abc\n", "line 3: psnr-y is 'abc'"),
        ("bpp,psnr-y\n0.1,30\n0.2,nan\n", "line 3"),
        ("bpp,psnr-y\n0.1,30\n0.2,\n", "line 3"),
        ("bpp,psnr-y\n0.1,30\n0.2\n", "line 3: 1 cells"),
        ("bpp,psnr-y\n0.1,30\n0,2,33\n", "line 3: 3 cells"),
        ("bpp,psnr-y\n0.1,30\n-0.2,33\n", "line 3: -0.2 is no rate"),
        ("bpp,psnr-y\n0.1,30\n0,33\n", "line 3: 0 is no rate"),
        ("bpp,psnr-y\n0.1,30\ninf,33\n", "no rate"),
        ("bpp,psnr-y\n", "no rows"),
        ("bpp;psnr-y\n0,1;30.5\n", "points and commas mixed"),
        ("bpp,psnr-y\n0.1,30\n\n0.2,33\n", "line 3: an empty line within the table"),
        ("qp,bpp,psnr-y\n22,0.1,30\n22,0.2,33\n", "lines 2 and 3: two rows"),
        ("bpp,psnr-y,frames\n0.1,30,10\n0.2,33,8\n", "different frames"),
        ("bpp,ms-ssim\n0.1,12.5\n0.2,14\n", r"lies in \[0, 1\]"),
        ("bpp,loss\n0.1,12.5\n", "not a results file"),
        ("0.1,30\n0.2,33\n", "not a results file"),
        ("bpp,psnr-y\n0.1,1_000\n", "not a number"),
        ("bytes,width,height,psnr-y\n9,0,5,30\n", "width is 0, not above 0"),
        ("bytes,width,height,psnr-y\n9,inf,5,30\n", "width is inf, not above 0"),
    ],
)
def test_tables_that_make_no_curve(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=message):
        read_curves([write(tmp_path / "x.csv", text)])


def test_what_is_assumed_or_left_out_is_said(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "bpp,PSNR,psnr_yuv,vmaf\n0.1,30,31,80\n0.2,33,34,90\n")
    (found,) = read_curve_sets([path])
    assert set(found.metrics) == {"psnr-rgb", "vmaf"}
    assert "x.csv: PSNR taken as psnr-rgb" in found.notes
    assert any("psnr_yuv left out" in note for note in found.notes)
    text = "bpp,psnr_y,psnr_u,psnr_v,psnr_yuv\n0.1,30,36,38,31.75\n0.2,33,38,40,34.5\n"
    assert "psnr-yuv-611" in read_curve_sets([write(tmp_path / "y.csv", text)])[0].metrics


def test_lossless_rows_are_left_out(tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", "qp,bpp,psnr-y\n32,0.1,30\n22,0.2,33\n0,9,999.99\n1,8,inf\n")
    (curve,) = read_curves([path])
    assert curve.values == (30, 33)
    assert any("left out qp 1, qp 0" in note for note in curve.notes)


def test_coolchic_formats(tmp_path: Path) -> None:
    head = "lmbda\tseq_name\tn_pixels\tloss\tpsnr_db\trate_bpp\n"
    for name, metric in (
        ("kodim01", "psnr-rgb"),
        ("B-X_1920x1080_50p_yuv420_8b", "psnr-yuv-mse-411"),
        ("B-X_1920x1080_50p_yuv444_8b", "psnr-yuv-mse-111"),
    ):
        path = write(tmp_path / "x.tsv", f"{head}0.1\t{name}\t9\t1\t30\t0.1\n")
        assert read_curves([path])[0].metric == metric
    mixed = f"{head}0.1\tkodim01\t9\t1\t30\t0.1\n0.1\tx_yuv420_8b\t9\t1\t30\t0.1\n"
    with pytest.raises(InvalidInputError, match="different formats"):
        read_curves([write(tmp_path / "x.tsv", mixed)])
    lacking = f"{head}0.1\ta\t9\t1\t30\t0.1\n0.2\ta\t9\t1\t30\t0.1\n0.1\tb\t9\t1\t30\t0.1\n"
    with pytest.raises(InvalidInputError, match="b has other points"):
        read_curves([write(tmp_path / "x.tsv", lacking)])


@needs_data
def test_published_tables() -> None:
    curves = read_curves([PEERS / "hnerv/uvg_per_vid_results.csv"])
    assert len(curves) == 7 and curves[0].sequence == "beauty"
    assert curves[0].rates == (0.0121, 0.0297, 0.0575)
    with pytest.raises(InvalidInputError, match="several tables in one file"):
        read_curves([PEERS / "nerv/psnr_bpp_results.csv"])
