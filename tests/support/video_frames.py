"""Frames of noise, and what holds them against others."""

from collections.abc import Sequence

import numpy as np

from kodec.codecs.video_files.frames import Frame, VideoFormat


def make_frames(form: VideoFormat, count: int) -> list[Frame]:
    """As many frames of a format."""
    rng, kind = np.random.default_rng(0), np.uint8 if form.bit_depth == 8 else np.uint16
    return [
        tuple(rng.integers(0, 2**form.bit_depth, s).astype(kind) for s in form.plane_shapes)
        for _ in range(count)
    ]


def assert_same(read: Sequence[Frame], frames: Sequence[Frame]) -> None:
    """Fail unless all planes are equal."""
    assert len(read) == len(frames)
    for a, b in zip(read, frames, strict=True):
        assert [x.dtype for x in a] == [y.dtype for y in b]
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
