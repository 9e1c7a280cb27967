"""Metrics over the frames of sequences, and frames that codecs decode."""

import math
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from kodec.codecs.video_files.frames import write_raw
from kodec.eval import VideoFormat, VideoSource, evaluate_sources, write_results
from kodec.eval.baselines import LibavCodec
from kodec.eval.report import (
    Entry,
    PictureChoice,
    Report,
    build_report,
    frame_plots,
    line_style,
    plot_svg,
    read_entries,
    report_page,
    show_frames,
)
from kodec.native import UnsupportedError
from reported_results import write_curve, write_video

FORM = VideoFormat(64, 48)


def report_of(folder: Path) -> Report:
    """Two codecs of two sequences, and one of pictures' means."""
    paths = [write_video(folder, "ours"), write_video(folder, "dear", 2)]
    return build_report(read_entries(paths)[0], metrics=["psnr-y"])


def test_a_sequence_is_plotted_at_rates_near_to_the_first_codecs(tmp_path: Path) -> None:
    report = report_of(tmp_path)
    assert [entry.name for entry in report.entries] == ["ours", "dear"]
    first, second = frame_plots(report, "psnr-y", 0.4)
    assert first.sequence == "a_64x48_25_3f.mkv"
    assert [line.row.bpp for line in first.lines] == [0.4, 0.4]
    assert [line.row.quality for line in first.lines] == [20, 10]
    assert first.lines[0].values == (32.5, 33.0, 33.5)
    # Without a rate the first one's middle.
    assert [line.row.bpp for line in frame_plots(report, "psnr-y")[1].lines] == [1.6, 1.6]
    assert frame_plots(report, "psnr-u") == [] and len(second.lines) == 2


def test_a_plot_has_a_line_a_codec_with_a_gap_where_nothing_was_lost(tmp_path: Path) -> None:
    plot = frame_plots(report_of(tmp_path), "psnr-y", 0.4)[0]
    lossless = replace(plot.lines[0], values=(32.5, math.inf, 33.5))
    plot = replace(plot, sequence="<&>", lines=(lossless, plot.lines[1]))
    svg = ElementTree.fromstring(plot_svg(plot, [line_style(0), line_style(1)]))
    assert svg.attrib["aria-label"].endswith("<&>")
    broken, whole = (path.attrib["d"] for path in svg.iter("path"))
    assert (broken.count("M"), broken.count("L")) == (2, 0)
    assert (whole.count("M"), whole.count("L")) == (1, 2)
    heights = [float(y) for y in re.findall(r",([\d.]+)", whole)]
    assert heights == sorted(heights, reverse=True)


def test_the_page_shows_frames_of_sequences_and_none_of_pictures(tmp_path: Path) -> None:
    page = report_page(report_of(tmp_path))
    assert "Frame by frame" in page and "quality 30, frames of 35.50..36.50 dB" in page
    assert "2 pictures" in page  # the rows, sequence by sequence
    pictures = build_report(read_entries([write_curve(tmp_path, "still")])[0])
    assert "Frame by frame" not in report_page(pictures)


@pytest.fixture
def measured(tmp_path: Path) -> tuple[Path, list[Entry]]:
    """A clip, and results of x264 in two structures."""
    clip = tmp_path / "clip_64x48_25.yuv"
    with clip.open("wb") as file:
        for number in range(5):
            y, x = np.mgrid[0:48, 0:64]
            luma = (120 + 60 * np.sin((x + 3 * number) / 6) + 40 * np.cos(y / 5)).astype(np.uint8)
            write_raw(file, (luma, luma[::2, ::2] // 2, luma[1::2, 1::2] // 3))
    paths = []
    for structure in ("low-delay", "intra"):
        codec = LibavCodec("x264", structure=structure)
        results = evaluate_sources(lambda: codec, [VideoSource(clip)], [40, 30, 20], ["psnr-y"])
        paths.append(tmp_path / f"{structure}.json")
        write_results(results, paths[-1])
    return clip, read_entries(paths)[0]


def test_frames_are_those_that_were_measured(measured: tuple[Path, list[Entry]]) -> None:
    clip, entries = measured

    def find(entry: Entry) -> LibavCodec:
        if "intra" in entry.name:
            raise UnsupportedError("not on this machine")
        return LibavCodec("x264", structure="low-delay")

    sets = show_frames(entries, [PictureChoice(clip)], None, find)
    assert [one.picture for one in sets] == [f"{clip.name}, frame {n}" for n in (0, 2, 4)]
    rows = sorted(entries[0].rows, key=lambda row: row.bpp)
    for number, one in zip((0, 2, 4), sets, strict=True):
        (crop,) = one.crops
        assert (crop.quality, crop.bpp, crop.remark) == (30, rows[1].bpp, "")
        assert crop.psnr == pytest.approx(rows[1].per_frame["psnr-y"][number])
        assert crop.pixels.shape == one.original.shape == (48, 64, 3)
        assert 0 < np.abs(crop.pixels.astype(int) - one.original).mean() < 20
        assert one.left_out == ((entries[1].name, "not on this machine"),)
