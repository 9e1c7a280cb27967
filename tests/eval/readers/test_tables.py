import os
from pathlib import Path

import pytest

from kodec.eval import bd_rate, read_curve_sets, read_curves
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


# Of one quality each: no order in rate and quality.
CLOUD = [(0.32, 30.8), (0.31, 30.0), (0.41, 29.7), (0.21, 32.1), (0.33, 30.5), (0.27, 31.2)]
RISING = [(0.1, 28.0), (0.2, 30.1), (0.4, 32.3), (0.8, 34.4)]


def table(header: str, row: str, points: list[tuple[float, float]]) -> str:
    rows = [row.format(i=i, r=rate, p=value) for i, (rate, value) in enumerate(points)]
    return "\n".join([header, *rows]) + "\n"


@pytest.mark.parametrize(
    "text",
    [
        *(table(f"{h},bpp,psnr", "kodim{i},{r},{p}", CLOUD) for h in ("filename", "img_name")),
        *(table(f"{h},bpp,psnr", "kodim{i}.png,{r},{p}", CLOUD) for h in ("name", "anything")),
        *(table(f"{h},bpp,psnr", "{i},{r},{p}", CLOUD) for h in ("Index", "poc", "", "id")),
        table("bpp\tpsnr\tframe_num", "{r}\t{p}\t{i}", CLOUD),
        table("step,bpp,psnr", "{i}00,{r},{p}", CLOUD),
        # Though rate and quality rise together, names and frames are what they are.
        table("poc,bpp,psnr", "{i},{r},{p}", RISING),
        table("file,bpp,psnr", "p{i}.png,{r},{p}", RISING),
    ],
)
def test_rows_of_pictures_or_frames_are_one_point(text: str, tmp_path: Path) -> None:
    path = write(tmp_path / "x.csv", text)
    (curve,) = read_curves([path])
    assert len(curve.rates) == 1 and len(curve.members) == text.count("\n") - 1
    assert any("rows taken as pictures" in note for note in curve.notes)
    with pytest.raises(InvalidInputError, match="pictures or frames .* make one point"):
        bd_rate(curve, curve)


def test_files_of_pictures_at_one_quality_each_make_a_curve(tmp_path: Path) -> None:
    for quality, (rate, value) in enumerate(RISING):
        points = [(rate, value), (rate / 2, value + 2)]
        write(tmp_path / f"net_q{quality}.csv", table("name,bpp,psnr", "k{i},{r},{p}", points))
    (curve,) = read_curves([tmp_path])
    assert curve.rates == pytest.approx((0.075, 0.15, 0.3, 0.6))
    assert [member.sequence for member in curve.members] == ["k0", "k1"]


@pytest.mark.parametrize(
    "text",
    [
        "{name},{q},{r},{p}|name,quality,bpp,psnr",
        "{name}.png,{q},{r},{p}|Filename,qp,bpp,psnr",
        "{k},{name},0.0{q},{r},{p}|,name,lmbda,bpp,psnr",
        "{i},{q},{r},{p}|id,qp,bpp,psnr",
        "{i},{q},{r},{p}|frame,qp,bpp,psnr",
        "{name}_q{q}.png,{r},{p}|file,bpp,psnr",
        "{name}_q{q}.png,{q},{r},{p}|file,q,bpp,psnr",
        "{name}_q{q}.png,{r},{p}|image,bpp,psnr",
    ],
)
def test_pictures_are_averaged_at_each_setting(text: str, tmp_path: Path) -> None:
    row, header = text.split("|")
    lines = [header]
    for q, (rate, value) in enumerate(RISING):
        for i, name in enumerate(("b", "a", "c")):
            cells = {"k": len(lines), "i": i, "name": name, "q": q + 1}
            lines.append(row.format(r=rate * (1 + i), p=value - i, **cells))
    (curve,) = read_curves([write(tmp_path / "x.csv", "\n".join(lines))])
    assert curve.rates == pytest.approx((0.2, 0.4, 0.8, 1.6))
    assert curve.values == pytest.approx((27.0, 29.1, 31.3, 33.4))
    assert len(curve.members) == 3 and len(curve.settings) == 4


@pytest.mark.parametrize(
    "text",
    [
        table(",bpp,psnr", "{i},{r},{p}", RISING),
        table("idx,bpp,psnr", "{i},{r},{p}", RISING[::-1]),
        table("   bpp  psnr", "{i}  {r}  {p}", RISING),
        table('"bpp" "psnr"', '"{i}" {r} {p}', RISING),
        table("RP,bpp,psnr", "R{i},{r},{p}", RISING),
        table("bpp,psnr,Size,enc time", "{r},{p},{i}M,{i}.5 s", RISING),
        table("file,bpp,psnr", "clip_qp{i}.bin,{r},{p}", RISING),
        table("log,qp,bpp,psnr", "run{i}.log,{i},{r},{p}", RISING),
        table("sep=,\nbpp,psnr", "{r},{p}", RISING),
        table("| bpp | psnr |\n|:---|---:|", "| {r} | {p} |", RISING),
    ],
)
def test_rows_of_qualities_stay_points(text: str, tmp_path: Path) -> None:
    (curve,) = read_curves([write(tmp_path / "x.csv", text)])
    assert sorted(zip(curve.rates, curve.values, strict=True)) == RISING


def test_points_without_any_order_are_no_curve(tmp_path: Path) -> None:
    for header, row in (("bpp,psnr", "{r},{p}"), ("point,bpp,psnr", "{i},{r},{p}")):
        with pytest.raises(InvalidInputError, match="no curve.*pictures or frames"):
            read_curves([write(tmp_path / "x.csv", table(header, row, CLOUD))])


def test_names_of_sequences_and_of_codecs(tmp_path: Path) -> None:
    text = "".join(f"{n},{q},{r},{p}\n" for n in ("X", "Y") for q, (r, p) in enumerate(RISING))
    found = read_curve_sets([write(tmp_path / "x.csv", "name,qp,kbps,psnr_y\n" + text)])
    assert [one.sequence for one in found] == ["X", "Y"]
    text = text.replace("X", "ours").replace("Y", "VTM")
    found = read_curve_sets([write(tmp_path / "x.csv", "name,qp,bpp,psnr\n" + text)])
    assert [one.name for one in found] == ["x, ours", "x, VTM"]


@pytest.mark.parametrize(
    "summary",
    ["Average", "Mean", "Overall", "Avg.", "Total", "All", "Class B", "ClassB avg", "Geo mean"]
    + ["summary", "AVERAGE (3 sequences)", "Corpus7 average"],
)
def test_summaries_are_no_sequences(summary: str, tmp_path: Path) -> None:
    lines = ["sequence,qp,kbps,psnr_y"]
    for qp, rate, value in ((37, 100, 34), (32, 200, 36), (27, 400, 38)):
        names = (("A", 1), ("MeanStreet", 2), ("All Stars", 9), (summary, 4))
        lines += [f"{name},{qp},{rate * factor},{value}" for name, factor in names]
    curves = read_curves([write(tmp_path / "x.csv", "\n".join(lines))])
    assert [curve.sequence for curve in curves] == ["A", "MeanStreet", "All Stars"]
    assert any(summary in note and "left out" in note for note in curves[0].notes)


def test_summaries_in_other_columns_and_alone(tmp_path: Path) -> None:
    text = "qp,bpp,psnr\n32,0.1,30\n22,0.2,33\nAverage,0.15,31.5\n"
    assert read_curves([write(tmp_path / "x.csv", text)])[0].rates == (0.1, 0.2)
    merged = "Class,Sequence,QP,kbps,Y psnr\nClass B,Kimono,32,1,30\n,,22,2,33\n,Bus,32,2,31\n"
    merged += ",,22,4,34\nOverall,,32,1.5,30.5\n,,22,3,33.5\n"
    curves = read_curves([write(tmp_path / "x.csv", merged)])
    assert [(c.sequence, c.dataset) for c in curves] == [("Kimono", "Class B"), ("Bus", "Class B")]
    alone = "sequence,qp,kbps,psnr_y\nAverage,32,1,30\nAverage,22,2,33\n"
    (curve,) = read_curves([write(tmp_path / "x.csv", alone)])
    assert curve.sequence == "Average"
    head = "lmbda\tseq_name\tn_pixels\tloss\tpsnr_db\trate_bpp\n"
    chic = f"{head}1\tk1\t9\t1\t30\t0.1\n1\tk2\t9\t1\t32\t0.3\n1\tAverage\t9\t1\t31\t0.5\n"
    assert read_curves([write(tmp_path / "x.tsv", chic)])[0].rates == (0.2,)


@pytest.mark.parametrize("cell", ["nan", "NaN", "N/A", "-", "", "#DIV/0!", "null"])
def test_what_was_not_measured_is_said_where_it_is_asked_for(cell: str, tmp_path: Path) -> None:
    text = f"qp,bpp,psnr,vmaf\n32,0.1,30,60\n22,0.2,33,{cell}\n"
    (found,) = read_curve_sets([write(tmp_path / "x.csv", text)])
    assert found.curve("psnr-rgb").values == (30, 33)
    with pytest.raises(InvalidInputError, match="vmaf is NaN .* at qp 22"):
        found.curve("vmaf")


def test_an_option_wins_over_a_column(tmp_path: Path) -> None:
    text = "kbps,psnr-y,width,height,fps\n1000,30,100,100,10\n2000,33,100,100,10\n"
    path = write(tmp_path / "x.csv", text)
    (curve,) = read_curves([path], size=(200, 100), fps=20)
    assert curve.rates == (2.5, 5.0)
    assert any("--size 200x100 taken" in note for note in curve.notes)
    assert any("--fps 20 taken, though its source says 10" in note for note in curve.notes)
    path = write(tmp_path / "b.csv", "bytes,psnr-y\n1000,30\n")
    assert read_curves([path], size=(100, 40))[0].rates == (2.0,)


def test_an_encoders_speed_is_no_frame_rate(tmp_path: Path) -> None:
    text = "qp,kbps,psnr-y,FPS\n32,1000,30,12.3\n22,2000,33,9.87\n"
    (curve,) = read_curves([write(tmp_path / "x.csv", text)])
    assert curve.fps is None and any("taken as speed" in note for note in curve.notes)
