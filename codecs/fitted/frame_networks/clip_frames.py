"""Clips of a video's frames, and frames of what clips decode to: by way of RGB."""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kodec.codecs.fitted.fitted_model import MAX_SAMPLES, Clip, Reconstruction
from kodec.codecs.video_files.frames import Frame, VideoFormat
from kodec.codecs.video_files.rgb_frames import frame_of_rgb, rgb_of_frame
from kodec.native import InvalidInputError


def clip_of(frames: Iterable[Frame], form: VideoFormat) -> Clip:
    """All frames as RGB, in memory; raises `InvalidInputError` for none, and for too many."""
    peak = 2**form.bit_depth - 1
    kind = np.uint8 if form.bit_depth == 8 else np.uint16
    most = max(1, MAX_SAMPLES // (3 * form.width * form.height))
    pictures: list[NDArray[Any]] = []
    for frame in frames:
        if len(pictures) == most:
            raise InvalidInputError(
                f"the video is too long to be fitted, which holds all of it in memory: give "
                f"--frames {most} or fewer"
            )
        rgb = np.rint(rgb_of_frame(frame, form) * peak).astype(kind)
        pictures.append(np.ascontiguousarray(rgb.transpose(1, 2, 0)))
    if not pictures:
        raise InvalidInputError("the video has no frames here: there is nothing to fit")
    return Clip(np.stack(pictures), form.bit_depth, form.fps)


def frames_of(shown: Reconstruction, form: VideoFormat, start: int = 0) -> Iterator[Frame]:
    """The frames from `start` on, in a format of the same size and bit depth."""
    size = shown.size
    peak = 2**size.bit_depth - 1
    for number in range(start, size.frames):
        rgb = shown.frame(number).transpose(2, 0, 1).astype(np.float64) / peak
        yield frame_of_rgb(np.broadcast_to(rgb, (3, size.height, size.width)), form)
