import csv
import io
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib
import pytest
from PIL import Image

from kodec.eval.report import (
    Report,
    build_report,
    escape_latex,
    read_entries,
    report_csv,
    report_figure,
    report_latex,
)
from kodec.native import InvalidInputError
from reported_results import RATES, VALUES, write_curve


@pytest.fixture
def report(tmp_path: Path) -> Report:
    paths = [
        write_curve(tmp_path, "50 % of_it, $x$", 0.5, pictures=("a.png",)),
        write_curve(tmp_path, "_far", lift=20),
        write_curve(tmp_path, "anchor"),
    ]
    return build_report(*read_entries(paths[:-1], paths[-1:]), ["psnr-rgb"])


def test_csv_has_points_and_bd_rates(report: Report) -> None:
    rows = list(csv.DictReader(io.StringIO(report_csv(report))))
    points = [row for row in rows if row["record"] == "point" and row["codec"] == "anchor"]
    assert [(float(row["rate"]), float(row["value"])) for row in points] == list(
        zip(RATES, VALUES, strict=True)
    )
    half, far = (row for row in rows if row["record"] == "bd-rate")
    assert float(half["bd_rate_percent"]) == pytest.approx(-50)
    assert (half["test_points"], half["overlap_low"], half["anchor"]) == ("4", "30.0", "anchor")
    assert far["bd_rate_percent"] == "" and "covers 50.00..59.00 dB" in far["remark"]


def test_latex_table_is_escaped_and_says_what_it_rests_on(report: Report) -> None:
    text = report_latex(report)
    assert r"  50 \% of\_it, \$x\$ & $-50.00$ \\" in text
    assert r"  \_far & -- \\" in text
    assert r"\toprule" in text and r"\bottomrule" in text
    assert "% 50 % of_it, $x$, psnr-rgb: 4 against 4 points; overlap 30.00..39.00 dB" in text
    assert escape_latex(r"a\b{c}^~&#<") == (
        r"a\textbackslash{}b\{c\}\textasciicircum{}\textasciitilde{}\&\#\textless{}"
    )


def test_latex_without_anchor_is_refused(tmp_path: Path) -> None:
    report = build_report(*read_entries([write_curve(tmp_path, "one")]))
    with pytest.raises(InvalidInputError, match="--anchor"):
        report_latex(report)


def test_png_has_the_width_asked_for(report: Report) -> None:
    with Image.open(io.BytesIO(report_figure(report, "png", width=2.0))) as image:
        assert image.format == "PNG" and image.width == 600
        # Something is drawn, in more than one colour.
        assert len(image.convert("RGB").getcolors(1 << 20) or []) > 50


def test_pdf_embeds_its_fonts_and_is_the_same_each_time(report: Report) -> None:
    data = report_figure(report, "pdf")
    assert data.startswith(b"%PDF") and b"/CIDFontType2" in data
    assert b"/Type3" not in data and data == report_figure(report, "pdf")


def test_svg_is_vector_without_fonts_and_the_same_each_time(report: Report) -> None:
    before = dict(matplotlib.rcParams)
    data = report_figure(report, "svg")
    root = ElementTree.fromstring(data)
    assert root.tag == "{http://www.w3.org/2000/svg}svg" and root.get("width") == "252pt"
    assert not list(root.iter("{http://www.w3.org/2000/svg}text"))
    assert not list(root.iter("{http://www.w3.org/2000/svg}image"))
    assert report_figure(report, "svg") == data
    assert report_figure(report, "svg", log_rate=False) != data
    assert dict(matplotlib.rcParams) == before
