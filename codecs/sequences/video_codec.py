"""A loaded model of sequences: frames to a file as they come, and back."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

from kodec.codecs.catalogue import find_model, model_path
from kodec.codecs.container import ChunkReader, SequenceHeader
from kodec.codecs.loaded_model import LoadedModel, check_device
from kodec.codecs.model_file import load_model
from kodec.codecs.pictures.picture_codec import PictureCodec
from kodec.codecs.video_files.frame_times import FrameClock
from kodec.codecs.video_files.frames import Frame, VideoFormat
from kodec.native import InvalidInputError

from .display_order import Shown
from .intra_frames import IntraFrames
from .sequence_model import SequenceModel
from .stream_format import SEQUENCES
from .video_decoder import VideoDecoder
from .video_encoder import CodedStep, Coding, VideoEncoder


class VideoCodec(LoadedModel[SequenceModel]):
    """A model ready to code sequences, on one device."""

    def encoder(
        self,
        file: IO[bytes],
        form: VideoFormat,
        coding: Coding = Coding(),
        clock: FrameClock | None = None,
        on_step: Callable[[CodedStep], None] | None = None,
    ) -> VideoEncoder:
        """Code frames of the format to `file`, which need not be seekable, as they are pushed.

        clock: where frames come with times of their own. on_step: is told of each step that was
        written. Raises InvalidInputError and UnsupportedError.
        """
        return VideoEncoder(self, file, form, coding, clock, on_step)

    def decoder(self, reader: ChunkReader, start: int = 0) -> VideoDecoder:
        """The frames of a file from number `start` on, in display order, decoded as they are asked
        for.

        Raises BitstreamError for damaged data, UnsupportedError for another model's.
        """
        return VideoDecoder(self, reader, start)


def load_video(
    model: str | Path = "video", device: str = "cpu", trusted: Sequence[str] = ()
) -> VideoCodec:
    """Load a model for sequences, embedded by name or a file by path.

    A model of pictures codes each frame by itself. Arguments and errors: see `kodec.load`.
    """
    check_device(device)
    network, info = load_model(find_model(model), trusted)
    if isinstance(network, PictureCodec):
        return VideoCodec(IntraFrames(network), info, device)
    if not isinstance(network, SequenceModel):
        raise InvalidInputError(f"the model {info.name} is of {type(network).__name__}, not videos")
    return VideoCodec(network, info, device)


def read_video(path: str | Path, device: str = "cpu") -> Iterator[Shown[Frame]]:
    """The frames of a `.kdc` file in display order, by the embedded model that wrote it."""
    with Path(path).open("rb") as file:
        reader = ChunkReader(file, kinds=SEQUENCES)
        header = reader.header
        assert isinstance(header, SequenceHeader)
        yield from load_video(model_path(header.model_id), device).decoder(reader)
