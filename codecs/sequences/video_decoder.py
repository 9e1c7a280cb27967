"""A file's frames, in display order."""

from collections.abc import Iterator

from kodec.codecs.container import ChunkReader, Lost, SequenceHeader, Step
from kodec.codecs.loaded_model import LoadedModel
from kodec.codecs.memory_guard import MemoryGuard
from kodec.codecs.video_files.frame_times import FrameClock
from kodec.codecs.video_files.frames import Frame
from kodec.codecs.video_files.rgb_frames import frame_of_rgb
from kodec.native import BitstreamError, MismatchError, UnsupportedError

from .display_order import DisplayOrder, Shown
from .sequence_model import SequenceModel
from .stepping import Stepper, pictures_of
from .stream_format import format_of_header


class VideoDecoder:
    """Iterates over a file's frames in display order, as planes of `form`.

    Of a reader that keeps what is damaged, frames that are lost are repetitions of the one before
    them; `lost` counts them.
    """

    def __init__(self, codec: LoadedModel[SequenceModel], reader: ChunkReader, start: int) -> None:
        header = reader.header
        if not isinstance(header, SequenceHeader):
            raise UnsupportedError("the file holds no video")
        codec.check_header(header)
        self.form = format_of_header(header)
        self.clock = FrameClock(header.rate, header.ticks)
        self.lost = 0
        """How many frames so far could not be decoded."""
        self._codec = codec
        self._reader = reader
        self._header = header
        self._start = start
        size = header.height, header.width
        self._stepper = Stepper(codec.network, size, header.quality, codec.device)

    def __iter__(self) -> Iterator[Shown[Frame]]:
        for shown in self._in_order():
            if shown.number >= self._start:
                self.lost += shown.lost
                yield shown

    def _in_order(self) -> Iterator[Shown[Frame]]:
        keep = self._reader.keeps_damaged
        order: DisplayOrder[Frame] | None = None
        intact = False
        if self._start:
            self._reader.seek(self._start)
        for packet in self._reader:
            if isinstance(packet, Lost):
                intact = False
                if order is not None:
                    order.lose(packet.count)
                continue
            refresh = packet.steps[0].refresh
            if order is None:
                order = DisplayOrder(self._header.plan, packet.steps[0].first, keep)
            intact = (intact and packet.intact) or refresh
            if not intact:
                order.lose(1)
                continue
            try:
                decoded = self._decode(packet.data, packet.steps)
            except BitstreamError:
                if not keep:
                    raise
                intact = False
                order.lose(1)
                continue
            for step, frames in zip(packet.steps, decoded, strict=True):
                yield from order.take(step, frames)
        if order is not None:
            yield from order.finish()

    def _decode(self, data: bytes, steps: tuple[Step, ...]) -> list[list[Frame]]:
        form = self.form
        with MemoryGuard(form.width, form.height):
            try:
                shown = self._stepper.decode(data, steps)
                return [[frame_of_rgb(x, form) for x in pictures_of(x_hat)] for x_hat in shown]
            except MismatchError as error:
                raise MismatchError(f"frame {steps[0].first}: {error}") from None
            except BitstreamError as error:
                raise BitstreamError(f"frame {steps[0].first}: {error}") from None
