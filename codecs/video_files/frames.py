"""Frames of video as planes of Y, U and V, their format, and raw files of them."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from kodec.codecs.container.sequence_head import Colour
from kodec.native import BitstreamError, InvalidInputError

from .colour_conversion import doubled, halved, quantised, rgb_to_yuv, yuv_to_rgb

Chroma = Literal["400", "420", "422", "444"]
Frame = tuple[NDArray[Any], ...]
"""Planes Y, U, V, or G, B, R, or Y alone (4:0:0): uint8, or uint16 above 8 bits."""

_STEPS: dict[Chroma, tuple[int, int]] = {
    "400": (1, 1),
    "420": (2, 2),
    "422": (1, 2),
    "444": (1, 1),
}


@dataclass(frozen=True)
class VideoFormat:
    """Size, sampling, frame rate and colour of a sequence.

    Raises InvalidInputError for a size without pixels, an unknown chroma format, a bit depth
    outside of 8 to 16 and a frame rate that is not positive.
    """

    width: int
    height: int
    chroma: Chroma = "420"
    bit_depth: int = 8
    fps: Fraction = Fraction(30)
    colour: Colour = Colour()

    def __post_init__(self) -> None:
        if min(self.width, self.height) < 1:
            raise InvalidInputError(f"a frame of {self.width}x{self.height} has no pixels")
        if self.chroma not in get_args(Chroma) or not 8 <= self.bit_depth <= 16:
            raise InvalidInputError(f"no frames of chroma {self.chroma} at {self.bit_depth} bits")
        if self.fps <= 0:
            raise InvalidInputError(f"a frame rate is above 0, not {self.fps}")

    @property
    def is_rgb(self) -> bool:
        """Whether planes are G, B and R: matrix 0, the identity, of 4:4:4."""
        return self.chroma == "444" and self.colour.matrix == 0

    @property
    def pixel_format(self) -> str:
        """FFmpeg's name, `yuv420p`, `yuv444p10le` or `gbrp` for instance."""
        name = "gray" if self.chroma == "400" else f"yuv{self.chroma}p"
        name = "gbrp" if self.is_rgb else name
        return name if self.bit_depth == 8 else f"{name}{self.bit_depth}le"

    @property
    def steps(self) -> tuple[int, int]:
        """How many rows and columns share a sample of chroma."""
        return _STEPS[self.chroma]

    @property
    def plane_shapes(self) -> list[tuple[int, int]]:
        """(height, width) of each plane; chroma's rounded up."""
        luma = (self.height, self.width)
        if self.chroma == "400":
            return [luma]
        down, across = self.steps
        half = (-(-self.height // down), -(-self.width // across))
        return [luma, half, half]

    def check(self, frame: Frame) -> None:
        """Raise InvalidInputError for planes of another format."""
        shapes = [plane.shape for plane in frame]
        kind = "uint8" if self.bit_depth == 8 else "uint16"
        if shapes != self.plane_shapes or any(plane.dtype != kind for plane in frame):
            raise InvalidInputError(
                f"a frame of {self.pixel_format} has {kind} planes of {self.plane_shapes}, not "
                f"{[str(plane.dtype) for plane in frame]} of {shapes}"
            )

    @property
    def frame_bytes(self) -> int:
        """Bytes of a frame in a raw file."""
        samples = sum(height * width for height, width in self.plane_shapes)
        return samples * (1 if self.bit_depth == 8 else 2)

    def padded(self, multiple: int, smallest: int = 1) -> "VideoFormat":
        """This format with sides rounded up to a multiple, and to a smallest side."""
        width, height = (
            -(-max(side, smallest) // multiple) * multiple for side in (self.width, self.height)
        )
        return replace(self, width=width, height=height)


def fitted(frame: Frame, target: VideoFormat) -> Frame:
    """A frame cropped, or padded on the right and below by its last samples, to `target`'s size."""
    planes = []
    for plane, (height, width) in zip(frame, target.plane_shapes, strict=True):
        more = (max(0, height - plane.shape[0]), max(0, width - plane.shape[1]))
        if any(more):
            plane = np.pad(plane, ((0, more[0]), (0, more[1])), mode="edge")
        planes.append(plane[:height, :width])
    return tuple(planes)


def frame_of_picture(picture: NDArray[np.uint8], chroma: Chroma, bit_depth: int = 8) -> Frame:
    """An 8-bit picture (H, W, C) as a frame, BT.709 full range; gray becomes 4:0:0.

    For 4:2:0, odd sides are padded by their last row or column, and chroma is the mean of 2x2.
    """
    if picture.shape[2] == 1:
        return (quantised(picture[:, :, 0] * ((2**bit_depth - 1) / 255), bit_depth),)
    y, u, v = np.moveaxis(rgb_to_yuv(picture, bit_depth=bit_depth), 2, 0)
    if chroma == "420":
        height, width = y.shape
        odd = ((0, height % 2), (0, width % 2))
        y, u, v = (np.pad(plane, odd, mode="edge") for plane in (y, u, v))
        u, v = halved(u), halved(v)
    return tuple(quantised(plane, bit_depth) for plane in (y, u, v))


def picture_of_frame(
    frame: Frame, height: int, width: int, bit_depth: int = 8
) -> NDArray[np.uint8]:
    """The picture (height, width, C) in a frame made by `frame_of_picture`; chroma is linear."""
    y = frame[0]
    if len(frame) == 1:
        gray = np.rint(y[:height, :width] * (255 / (2**bit_depth - 1)))
        return np.asarray(gray, np.uint8)[:, :, None]
    u, v = (plane if plane.shape == y.shape else doubled(plane) for plane in frame[1:])
    planes = [plane[:height, :width] for plane in (y, u, v)]
    return yuv_to_rgb(np.stack(planes, axis=2), bit_depth=bit_depth)


def write_raw(file: IO[bytes], frame: Frame) -> None:
    """Append a frame to a raw file: planes one after the other, two bytes a sample above 8 bits."""
    for plane in frame:
        file.write(np.ascontiguousarray(plane, dtype=plane.dtype.newbyteorder("<")).tobytes())


def read_raw(path: Path, form: VideoFormat, start: int = 0) -> Iterator[Frame]:
    """The frames of a raw file from frame `start` on.

    Raises InvalidInputError when the file does not hold a whole number of frames.
    """
    size = path.stat().st_size
    if size == 0 or size % form.frame_bytes:
        raise InvalidInputError(
            f"{path}: {size} bytes are not a whole number of {form.width}x{form.height} "
            f"{form.pixel_format} frames of {form.frame_bytes} bytes: check size and pixel format"
        )
    with path.open("rb") as file:
        file.seek(start * form.frame_bytes)
        yield from raw_frames(file, form, str(path))


def frame_of_bytes(data: bytes, form: VideoFormat) -> Frame:
    """The planes of one raw frame; raises ValueError for another number of bytes."""
    samples = np.frombuffer(data, np.dtype(np.uint8 if form.bit_depth == 8 else "<u2"))
    planes, start = [], 0
    for height, width in form.plane_shapes:
        planes.append(samples[start : start + height * width].reshape(height, width))
        start += height * width
    return tuple(planes)


def raw_frames(file: IO[bytes], form: VideoFormat, name: str) -> Iterator[Frame]:
    """The frames of raw bytes, which errors call `name`; raises BitstreamError if they are cut."""
    count = 0
    while data := file.read(form.frame_bytes):
        if len(data) < form.frame_bytes:
            raise BitstreamError(
                f"{name} ends within frame {count + 1} of {form.width}x{form.height} "
                f"{form.pixel_format}: get a sound copy, or check size and pixel format"
            )
        yield frame_of_bytes(data, form)
        count += 1
