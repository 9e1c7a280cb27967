"""Fitted families to measure, on pictures and on sequences: each is fitted once, and timed."""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kodec.codecs.fitted import FittedCodec, open_fitted
from kodec.codecs.fitted.frame_networks.clip_frames import clip_of, frames_of
from kodec.codecs.video_files.frames import Frame, VideoFormat
from kodec.native import InvalidInputError

from .measurement import Anatomy


class MeasuredFit(FittedCodec):
    """A `FittedCodec` that is `SelfTimed`: no fit is made to warm up; a `SequenceCodec`, and
    `Dissecting`."""

    _form: VideoFormat | None = None

    def encode(self, image: NDArray[np.uint8] | Image.Image, quality: int | None = None) -> bytes:
        """As `FittedCodec.encode`."""
        began = time.perf_counter()
        return self._timed(super().encode(image, quality), began)

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """As `FittedCodec.decode`."""
        began = time.perf_counter()
        found = super().decode(data)
        self._of(data)[1] = time.perf_counter() - began
        return found

    @property
    def sequence_settings(self) -> dict[str, str | int | bool]:
        """The same as a picture's, and how frames are seen."""
        return {
            **self.settings,
            "colour": "by way of RGB, with the sequence's own matrix and range",
        }

    def encode_sequence(
        self,
        frames: Iterable[Frame],
        form: VideoFormat,
        quality: int | None,
        on_frame: Callable[[int, float], None] | None = None,
    ) -> bytes:
        """The file of a sequence; bits of frames are not known."""
        began = time.perf_counter()
        self._form = form
        return self._timed(self.fit(clip_of(frames, form), quality).data, began)

    def decode_sequence(self, data: bytes) -> Iterator[Frame]:
        """The frames, in the format of the sequence that was encoded last."""
        if self._form is None:
            raise InvalidInputError("no sequence was encoded, whose format frames would have")
        seconds, began = 0.0, time.perf_counter()
        for frame in frames_of(open_fitted(data, self.goal.device).reconstruction, self._form):
            seconds += time.perf_counter() - began
            yield frame
            began = time.perf_counter()
        self._of(data)[1] = seconds

    @property
    def timing(self) -> str:
        """What the seconds are of."""
        return "wall-clock seconds of each file's own fit, and of decoding, from and to memory"

    def seconds_of(self, data: bytes) -> tuple[float, float | None]:
        """Seconds of the fit and of decoding, which are measured here."""
        encoding, decoding = self._of(data)
        return encoding or 0.0, decoding

    def anatomy_of(self, data: bytes) -> Anatomy:
        """Bytes by part, and what the network takes."""
        found = open_fitted(data, self.goal.device)
        macs = found.model.cost().macs_per_pixel
        return Anatomy(found.bytes_by_part(len(data)), float(macs))

    def _timed(self, data: bytes, began: float) -> bytes:
        self._of(data)[0] = time.perf_counter() - began
        return data

    def _of(self, data: bytes) -> list[float | None]:
        """Encoding's and decoding's seconds of a file."""
        kept = self.__dict__.setdefault("_seconds", {})
        found: list[float | None] = kept.setdefault(hashlib.blake2b(data).digest(), [None, None])
        return found
