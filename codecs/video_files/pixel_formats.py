"""FFmpeg's pixel formats, and libav's frames as planes and back, no sample changed."""

import re
from dataclasses import replace
from fractions import Fraction
from typing import Any, cast

import av
import numpy as np
from av.video.plane import VideoPlane
from numpy.typing import NDArray

from kodec.codecs.container.sequence_head import Colour

from .frames import Chroma, Frame, VideoFormat

_PLANAR = re.compile(r"(?:yuv(j?)(420|422|444)p|(gbr)p|gray)(?:(9|10|12|14|16)le)?")
# Places of G, B and R in a packed pixel, and how many components it has with its padding.
_PACKED = {
    "rgb24": ((1, 2, 0), 3),
    "bgr24": ((1, 0, 2), 3),
    "rgb0": ((1, 2, 0), 4),
    "bgr0": ((1, 0, 2), 4),
    "0rgb": ((2, 3, 1), 4),
    "0bgr": ((2, 1, 3), 4),
    "rgb48le": ((1, 2, 0), 3),
}
UNSPECIFIED = 2
"""What H.273 has for primaries, transfer and matrix that are not known."""


def format_of(
    pixel_format: str, width: int, height: int, fps: Fraction, colour: Colour = Colour()
) -> VideoFormat | None:
    """The format that FFmpeg calls `pixel_format`; None unless it is planar YUV, gray or RGB.

    RGB has matrix 0 and the full range whatever `colour` says, as has the range of `yuvj420p`.
    """
    if pixel_format in _PACKED:
        pixel_format = "gbrp16le" if pixel_format == "rgb48le" else "gbrp"
    match = _PLANAR.fullmatch(pixel_format)
    if match is None:
        return None
    if match[3]:
        colour = replace(colour, matrix=0, full_range=True)
    elif match[2] and colour.matrix == 0 and match[2] != "444":
        # Subsampled samples are no R, G and B, whatever a file says.
        colour = replace(colour, matrix=UNSPECIFIED)
    if match[1]:
        colour = replace(colour, full_range=True)
    chroma = cast(Chroma, "444" if match[3] else match[2] or "400")
    return VideoFormat(width, height, chroma, int(match[4] or 8), fps, colour)


def fits_packed(pixel_format: str, form: VideoFormat) -> bool:
    """Whether RGB frames of a format go into FFmpeg's packed `pixel_format`."""
    depth = 16 if pixel_format == "rgb48le" else 8
    return pixel_format in _PACKED and form.is_rgb and form.bit_depth == depth


def planes_of(frame: av.VideoFrame, form: VideoFormat) -> Frame:
    """The planes of a decoded frame, copied, without the padding of its lines."""
    kind = np.dtype(np.uint8 if form.bit_depth == 8 else "<u2")
    name = frame.format.name
    if name in _PACKED:
        places, step = _PACKED[name]
        pixels = _lines(frame.planes[0], kind)[: form.height, : step * form.width]
        pixels = pixels.reshape(form.height, form.width, step)
        return tuple(pixels[:, :, place].copy() for place in places)
    return tuple(
        _lines(plane, kind)[:height, :width].copy()
        for plane, (height, width) in zip(frame.planes, form.plane_shapes, strict=False)
    )


def libav_frame(
    planes: Frame, form: VideoFormat, time: int, time_base: Fraction, pixel_format: str = ""
) -> av.VideoFrame:
    """Planes as a frame for libav's encoders, shown at `time` ticks of `time_base` seconds.

    `pixel_format` is the format's own unless it is a packed one that fits.
    """
    name = pixel_format or form.pixel_format
    made = av.VideoFrame(form.width, form.height, name)
    if name in _PACKED:
        places, step = _PACKED[name]
        pixels = np.zeros((form.height, form.width, step), planes[0].dtype)
        for place, plane in zip(places, planes, strict=True):
            pixels[:, :, place] = plane
        planes = (pixels.reshape(form.height, -1),)
    for target, samples in zip(made.planes, planes, strict=True):
        lines = np.zeros((target.height, target.line_size // samples.itemsize), samples.dtype)
        lines[:, : samples.shape[1]] = samples
        target.update(lines.tobytes())
    made.pts, made.time_base = time, time_base
    return made


def _lines(plane: VideoPlane, kind: np.dtype[Any]) -> NDArray[Any]:
    return np.frombuffer(cast(Any, plane), kind).reshape(plane.height, -1)
