import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from browser import Browser, find_chromium, run_chromium
from kodec.eval.report import Crop, CropSet, build_report, read_entries, report_page
from reported_results import write_curve

HOSTILE = "<img src=x onerror=document.title='broken'>"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium is installed")
    with run_chromium(program, tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    names = ("half", "a-codec-with-a-rather-long-name-of-its-own", HOSTILE, "double", "anchor")
    factors = (0.5, 0.8, 1.1, 2, 1)
    paths = [
        write_curve(folder, name, factor, pictures=("a.png", "b.png"))
        for name, factor in zip(names, factors, strict=True)
    ]
    report = build_report(*read_entries(paths[:-1], paths[-1:]))

    def detail(gray: int) -> Any:
        return np.full((30, 40, 3), gray, np.uint8)

    crops = [Crop(name, 8, 0.31, 33.3, detail(gray), "") for name, gray in (("x", 60), ("y", 90))]
    sets = [
        CropSet("a.png", 0.25, (0, 0, 40, 30), detail(120), tuple(crops), (("anchor", "absent"),))
    ]
    path = folder / "report.html"
    path.write_text(report_page(report, sets), encoding="utf-8")
    return path


@pytest.fixture
def opened(browser: Browser, page: Path) -> Iterator[Browser]:
    browser.media()
    browser.resize(1200, 900)
    browser.open(page)
    yield browser
    assert browser.complaints == []
    requests = [url for url in browser.requests if not url.startswith("data:")]
    assert requests == [page.resolve().as_uri()]


PLOT = "document.querySelector('figure.plot:not(.off)')"


def centre(browser: Browser, expression: str) -> tuple[float, float]:
    browser.evaluate(f"{expression}.scrollIntoView({{block: 'center'}})")
    x, y = browser.evaluate(
        f"(() => {{ const r = {expression}.getBoundingClientRect();"
        "return [r.x + r.width / 2, r.y + r.height / 2]; })()"
    )
    return x, y


def tip(browser: Browser) -> str:
    return str(browser.evaluate(f"{PLOT}.querySelector('.tip:not([hidden])')?.textContent ?? ''"))


def test_draws_every_curve_with_its_own_marker_dash_and_label(opened: Browser) -> None:
    assert opened.evaluate(f"{PLOT}.querySelectorAll('.curve').length") == 5
    assert opened.evaluate(f"{PLOT}.querySelectorAll('.curve .mark').length") == 20
    looks = opened.evaluate(
        f"[...{PLOT}.querySelectorAll('.curve')].map("
        "c => c.querySelector('.mark').getAttribute('d')"
        " + c.querySelector('.ink').getAttribute('stroke-dasharray'))"
    )
    assert len(set(looks)) == 5
    labels = opened.evaluate(f"[...{PLOT}.querySelectorAll('text.label')].map(t => t.textContent)")
    assert {"half", "double", "anchor", "a-codec-with-…-its-own"} < set(labels)
    assert opened.evaluate("document.title").startswith("4 curves against anchor")


def test_labels_do_not_overlap_and_stay_inside(opened: Browser) -> None:
    for width in (1200, 700, 390):
        opened.resize(width, 900, mobile=width < 500)
        boxes = opened.evaluate(
            f"[...{PLOT}.querySelectorAll('text.label')].map(t => {{"
            "const r = t.getBoundingClientRect(); return [r.top, r.bottom, r.right]; })"
        )
        boxes.sort()
        for upper, lower in zip(boxes, boxes[1:], strict=False):
            assert lower[0] >= upper[0] + 15
        assert max(box[2] for box in boxes) <= width


def test_pointer_shows_values_and_leaves_again(opened: Browser) -> None:
    point = f"{PLOT}.querySelectorAll('.curve[data-entry=\"0\"] .mark')[1]"
    opened.move_mouse(*centre(opened, point))
    assert tip(opened) == "half, quality 200.2000 bpp · 33.00 dB PSNR-RGB"
    assert opened.evaluate(f"{PLOT}.querySelectorAll('.faded').length") == 4
    opened.move_mouse(2, 2)
    assert tip(opened) == ""


def test_touch_shows_values(opened: Browser) -> None:
    opened.resize(390, 844, mobile=True)
    opened.call("Emulation.setTouchEmulationEnabled", enabled=True)
    x, y = centre(opened, f"{PLOT}.querySelectorAll('.curve[data-entry=\"4\"] .mark')[3]")
    opened.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
    opened.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    assert tip(opened) == "anchor, quality 401.6000 bpp · 39.00 dB PSNR-RGB"
    opened.call("Emulation.setTouchEmulationEnabled", enabled=False)


def test_keyboard_goes_along_curves_and_is_read_out(opened: Browser) -> None:
    opened.evaluate(f"{PLOT}.querySelector('.canvas').focus()")
    for key in ("ArrowRight", "ArrowRight", "ArrowRight"):
        opened.press(key)
    assert tip(opened).startswith("half, quality 300.4000 bpp")
    spoken = opened.evaluate("document.getElementById('announcer').textContent")
    assert spoken == "half, quality 30, 0.4000 bpp, 36.00 dB PSNR-RGB"
    opened.press("ArrowUp")
    assert tip(opened).startswith("anchor, ")
    opened.press("Escape")
    assert tip(opened) == ""


def test_switches_change_the_plot_and_the_table(opened: Browser) -> None:
    before = opened.evaluate(f"{PLOT}.querySelector('.ink').getAttribute('d')")
    opened.click(*centre(opened, "document.querySelector('input[value=linear]')"))
    linear = opened.evaluate(f"{PLOT}.querySelector('.ink').getAttribute('d')")
    assert linear != before
    opened.click(*centre(opened, "document.querySelector('input[value=ms-ssim-db-rgb]')"))
    assert opened.evaluate(f"{PLOT}.dataset.metric") == "ms-ssim-db-rgb"
    assert opened.evaluate(f"{PLOT}.querySelector('.ink').getAttribute('d')") != linear
    captions = opened.evaluate(
        "[...document.querySelectorAll('.bd caption')].filter(c => c.offsetParent)"
        ".map(c => c.textContent)"
    )
    assert captions == ["MS-SSIM-RGB, dB method pchip"]


def test_legend_hides_a_curve(opened: Browser) -> None:
    opened.click(*centre(opened, f"{PLOT}.querySelector('.legend button')"))
    assert opened.evaluate(f"{PLOT}.querySelectorAll('.curve').length") == 4
    opened.click(*centre(opened, f"{PLOT}.querySelector('.legend button')"))
    assert opened.evaluate(f"{PLOT}.querySelectorAll('.curve').length") == 5


@pytest.mark.parametrize("width", [320, 390, 768])
def test_narrow_page_does_not_scroll_sideways(opened: Browser, width: int) -> None:
    opened.resize(width, 800, mobile=True)
    opened.evaluate("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    wide = opened.evaluate(
        "[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, .tip, .skip')"
        f" && e.getBoundingClientRect().right > {width} + 1).map(e => e.outerHTML.slice(0, 80))"
    )
    assert wide == []
    assert opened.evaluate("document.documentElement.scrollWidth") <= width


def test_slider_moves_the_border_between_two_pictures(opened: Browser) -> None:
    x, y = centre(opened, "document.querySelector('.stage')")
    opened.click(x - 180, y)
    cut = opened.evaluate("document.querySelector('.stage').style.getPropertyValue('--cut')")
    assert 20 < float(cut.rstrip("%")) < 30
    opened.evaluate(
        "(() => { const s = document.querySelector('select.right'); s.value = '0';"
        "s.dispatchEvent(new Event('change')); })()"
    )
    facts = opened.evaluate("document.querySelector('.right-facts').textContent")
    assert facts == "Original"
    original = opened.evaluate("document.querySelector('.sheet img').src")
    assert opened.evaluate("document.querySelector('.under').src") == original
    assert opened.evaluate("document.querySelector('.left-facts').textContent") == (
        "x: 0.310 bpp (+24 %), 33.30 dB, quality 8"
    )


def test_dark_scheme_is_dark(opened: Browser) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    assert opened.evaluate(colour) == "rgb(255, 255, 255)"
    opened.media(scheme="dark")
    assert opened.evaluate(colour) == "rgb(20, 23, 27)"
    # Paper stays white.
    opened.media("print", "dark")
    assert opened.evaluate(colour) == "rgb(255, 255, 255)"


def test_print_has_everything_and_no_controls(opened: Browser, tmp_path: Path) -> None:
    opened.media("print")
    visible = "[...document.querySelectorAll('{}')].filter(e => e.getClientRects().length).length"
    assert opened.evaluate(visible.format("figure.plot")) == 2
    assert opened.evaluate(visible.format("table.bd")) == 2
    assert opened.evaluate(visible.format(".sheet img")) == 3
    for hidden in (".controls", ".compare", ".tip"):
        assert opened.evaluate(visible.format(hidden)) == 0
    opened.media()
    (tmp_path / "page.pdf").write_bytes(opened.pdf())
    try:
        text = subprocess.run(
            ["pdftotext", "-layout", str(tmp_path / "page.pdf"), "-"],
            capture_output=True,
            check=True,
            text=True,
        ).stdout
    except FileNotFoundError:
        pytest.skip("no pdftotext to read what was printed")
    # What is folded away on the screen is open on paper: pictures, points and machines.
    assert "some processor" in text and "b.png" in text and "16.99" in text
    assert opened.evaluate("document.querySelectorAll('details[open]').length") == 0
