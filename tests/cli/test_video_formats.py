"""Pixel formats and colours through the command line."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kodec.codecs.container.sequence_head import Colour
from kodec.codecs.video_files.frames import Chroma, VideoFormat
from kodec.codecs.video_files.video_reading import open_video
from kodec.codecs.video_files.video_writing import VideoWriter

Cli = Callable[..., Any]


@pytest.mark.parametrize(
    ("chroma", "depth", "colour"),
    [
        ("420", 8, Colour(6, 6, 6)),
        ("420", 10, Colour(1, 1, 1, full_range=True)),
        ("422", 10, Colour(9, 16, 9)),
        ("422", 8, Colour(1, 1, 1)),
        ("444", 8, Colour(5, 6, 5, full_range=True)),
        ("444", 10, Colour(9, 14, 9)),
    ],
)
def test_a_neutral_chart_passes_with_the_container_s_tags(
    kodec: Cli,
    default_model: str,
    tmp_path: Path,
    chroma: Chroma,
    depth: int,
    colour: Colour,
) -> None:
    form = VideoFormat(50, 40, chroma, depth, Fraction(25), colour)
    scale = 2 ** (depth - 8)
    shades = np.linspace(16 * scale, 235 * scale, 40 * 50).reshape(40, 50)
    neutral = [np.full(shape, 128 * scale) for shape in form.plane_shapes[1:]]
    kind = np.uint8 if depth == 8 else np.uint16
    chart = tuple(np.rint(plane).astype(kind) for plane in (shades, *neutral))
    with VideoWriter(tmp_path / "in.mkv", form) as writer:
        writer.write(chart)
        writer.write(chart)
    coded, out = tmp_path / "a.kdc", tmp_path / "out.mkv"
    arguments = [tmp_path / "in.mkv", coded, "--model", default_model, "--quality", 63]
    assert kodec("encode", *arguments).status == 0
    outcome = kodec("decode", coded, out)
    assert (outcome.status, outcome.err) == (0, "")
    assert open_video(out).form == form
    for frame in open_video(out).frames():
        for shown, sent in zip(frame, chart, strict=True):
            errors = (shown.astype(int) - sent.astype(int)) / scale
            assert abs(errors.mean()) < 0.3 and np.sqrt((errors**2).mean()) < 1.5
