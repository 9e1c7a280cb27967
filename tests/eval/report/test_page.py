import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from kodec.eval import read_results, write_results
from kodec.eval.report import build_report, read_entries, report_page
from reported_results import RATES, VALUES, write_curve

VOID = {"meta", "link", "input", "br", "img"}
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&{{ 7 * 7 }}"


class Page(HTMLParser):
    """Checks that tags are balanced and collects what they say."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.data = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"an attribute twice: {attrs}"
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes another"

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["script"] and ("id", "data") in self.tags[-1][1].items():
            self.data += data
        elif self.open[-1:] not in (["script"], ["style"]):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def page_of(paths: list[Path], anchored: bool = True, **options: Any) -> tuple[str, Page]:
    report = build_report(*read_entries(paths[: len(paths) - anchored], paths[-1:] * anchored))
    text = report_page(report, **options)
    return text, Page(text)


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    return [
        write_curve(tmp_path, "half", 0.5, pictures=("a.png", "b.png")),
        write_curve(tmp_path, "far", lift=20),
        write_curve(tmp_path, "anchor", pictures=("a.png", "b.png")),
    ]


def test_embedded_data_are_the_results(paths: list[Path]) -> None:
    data = json.loads(page_of(paths)[1].data)
    half, far, anchor = data["entries"]
    assert (half["name"], far["name"], anchor["name"]) == ("half", "far", "anchor")
    assert [entry["anchor"] for entry in data["entries"]] == [False, False, True]
    points = half["curves"]["psnr-rgb"]
    assert [(point["rate"], point["value"]) for point in points] == [
        (0.5 * rate, value) for rate, value in zip(RATES, VALUES, strict=True)
    ]
    assert points[1]["label"] == "quality 20"
    assert [metric["name"] for metric in data["metrics"]] == ["psnr-rgb", "ms-ssim-db-rgb"]


def test_page_is_well_formed_and_for_everybody(paths: list[Path]) -> None:
    text, page = page_of(paths)
    assert text.startswith("<!DOCTYPE html>")
    assert ("html", {"lang": "en"}) in page.tags
    assert any(tag == "title" for tag, _ in page.tags)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in page.tags:
        for name in ("aria-labelledby", "href"):
            target = (attributes.get(name) or "").removeprefix("#")
            assert not target or target in ids or target == "data:,"
        assert tag != "img" or "alt" in attributes


def test_page_loads_nothing(paths: list[Path]) -> None:
    text, page = page_of(paths)
    assert set(re.findall(r"https?://[^\"'\s]+", text)) == {"http://www.w3.org/2000/svg"}
    assert "@import" not in text and "url(" not in text
    for tag, attributes in page.tags:
        for name in ("src", "href", "action", "srcset", "data"):
            value = attributes.get(name)
            assert value is None or value.startswith(("#", "data:")), (tag, attributes)


def test_bd_table_says_what_each_number_rests_on(paths: list[Path]) -> None:
    text = page_of(paths)[1].text
    assert "4 against 4 30.00 to 39.00 dB 100 % of its range" in text
    assert "−50.00 % 95 % interval −50.00 to −50.00" in text
    assert "mean over 2 images" in text
    assert "no BD-rate: far covers 50.00..59.00 dB" in text
    assert "some processor" in text and "a note of its own" in text


def test_what_coding_takes_is_listed_where_results_say_it(tmp_path: Path) -> None:
    plain = write_curve(tmp_path, "means alone")
    assert "What coding takes" not in page_of([plain], anchored=False)[1].text
    fitted = read_results(write_curve(tmp_path, "fitted", pictures=("a.png", "b.png")))
    parts = [
        {"networks": 10.0 * (n < 4), "latents": row.bytes - 10.0 * (n < 4)}
        for n, row in enumerate(fitted.per_image)
    ]
    rows = [replace(row, bytes_by_part=of) for row, of in zip(fitted.per_image, parts, strict=True)]
    columns = {"encoding_time": [1.0, 2.0, 3.0, 40.0], "macs_per_pixel": [1800.0] * 4}
    fitted = replace(fitted, per_image=rows, results={**fitted.results, **columns})
    write_results(fitted, tmp_path / "fitted.json")
    text = page_of([tmp_path / "fitted.json", plain])[1].text
    assert "fitted 1 to 40 – 1,800 –" in text
    # Of two pictures' 68 and 137 bytes at 0.2 bpp, ten are one's networks.
    assert "quality 10 5 4.9 % 98 95.1 %" in text


def test_pictures_are_listed_with_their_bd_rates(paths: list[Path]) -> None:
    text = page_of(paths)[1].text
    assert "a.png −50.00 0.0667 30.00 0.1333 33.00" in text
    assert "Means only, no single pictures, in the files of far." in text


def test_without_anchor_and_pictures_the_page_says_so(paths: list[Path]) -> None:
    text = page_of(paths[1:2], anchored=False, no_pictures="They are elsewhere.")[1].text
    assert "No anchor was named" in text
    assert "They are elsewhere." in text
    assert "None of the results files has numbers of single pictures." in text


def test_text_from_files_stays_text(tmp_path: Path) -> None:
    paths = [
        write_curve(tmp_path, HOSTILE, pictures=(HOSTILE,)),
        write_curve(tmp_path, "anchor"),
    ]
    text, page = page_of(paths, no_pictures=HOSTILE)
    assert [tag for tag, _ in page.tags].count("script") == 2
    assert "<img" not in text
    assert not any("onerror" in attributes for _, attributes in page.tags)
    assert json.loads(page.data)["entries"][0]["name"] == HOSTILE
    assert " ".join(HOSTILE.split()) in page.text
