"""How a container has its frames turned before they are shown."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, cast

import av
import numpy as np

from kodec.native import UnsupportedError

from .frames import Frame, VideoFormat


@dataclass(frozen=True)
class Orientation:
    """Frames are transposed, then mirrored."""

    transposed: bool = False
    mirrored: bool = False
    """Left and right."""
    flipped: bool = False
    """Up and down."""

    def __bool__(self) -> bool:
        return self.transposed or self.mirrored or self.flipped

    def __str__(self) -> str:
        turns = {
            (True, False, True): "turned by 90 degrees to the left",
            (True, True, False): "turned by 90 degrees to the right",
            (False, True, True): "turned by 180 degrees",
            (False, True, False): "mirrored left to right",
            (False, False, True): "flipped upside down",
        }
        return turns.get((self.transposed, self.mirrored, self.flipped), "turned and mirrored")

    def form_of(self, form: VideoFormat, name: str) -> VideoFormat:
        """The format of turned frames; `name` is what errors call the file.

        Raises UnsupportedError for frames of 4:2:2 on their side, whose chroma would be 4:4:0.
        """
        if not self.transposed:
            return form
        if form.chroma == "422":
            raise UnsupportedError(
                f"{name} is to be {self}, and frames of 4:2:2 cannot be: convert it to 4:4:4 or "
                "4:2:0 first"
            )
        return replace(form, width=form.height, height=form.width)

    def apply(self, frame: Frame) -> Frame:
        """A frame as it is shown."""
        if not self:
            return frame
        across, down = -1 if self.mirrored else 1, -1 if self.flipped else 1
        planes = (plane.T if self.transposed else plane for plane in frame)
        return tuple(np.ascontiguousarray(plane[::down, ::across]) for plane in planes)


def orientation_of(frame: av.VideoFrame) -> Orientation | None:
    """What a frame's display matrix says; None where it is no multiple of 90 degrees."""
    matrix = next(
        (
            np.frombuffer(bytes(data), np.int32)
            for data in cast(Iterable[Any], frame.side_data)
            if data.type.name == "DISPLAYMATRIX"
        ),
        None,
    )
    if matrix is None or len(matrix) != 9:
        return Orientation()
    # A sample at (x, y) is shown at (a x + c y, b x + d y), in units of 2^-16.
    a, b, c, d = (int(matrix[i]) for i in (0, 1, 3, 4))
    if a and d and not (b or c):
        return Orientation(False, a < 0, d < 0)
    if b and c and not (a or d):
        return Orientation(True, c < 0, b < 0)
    return None
