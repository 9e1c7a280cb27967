"""Models of sequences to measure: what is decoded is held against the encoder's own frames."""

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from kodec.codecs.container import ChunkReader
from kodec.codecs.sequences.stream_format import SEQUENCES
from kodec.codecs.sequences.structures import Structure
from kodec.codecs.sequences.video_codec import VideoCodec, load_video
from kodec.codecs.sequences.video_encoder import CodedStep, Coding, structure_of
from kodec.codecs.video_files.frames import Frame, VideoFormat
from kodec.native import MismatchError


class CheckedVideoCodec:
    """A `SequenceCodec` of a model, whose decoder must show what its encoder said, frame by frame.

    structure: None for the model's own. intra_period: frames from one refresh to the next; 0: the
    first alone. Scene cuts are no refreshes, so that all contestants have them in the same places.
    Raises InvalidInputError for a structure that the model can't code in.
    """

    def __init__(
        self, codec: VideoCodec, structure: Structure | None = None, intra_period: int = 0
    ) -> None:
        self._codec = codec
        coding = Coding(structure=structure, intra_period=intra_period, scene_cuts=False)
        self.structure = structure_of(codec, coding)
        self._coding = replace(coding, structure=self.structure)
        self._shown: dict[int, bytes] = {}

    @property
    def name(self) -> str:
        """The model's."""
        return self._codec.name

    @property
    def variable_rate(self) -> bool:
        """Whether it takes a quality."""
        return self._codec.variable_rate

    def check_quality(self, quality: int | None) -> int | None:
        """As the codec's."""
        return self._codec.check_quality(quality)

    @property
    def sequence_settings(self) -> dict[str, str | int | bool]:
        """The model's, and how frames depend on each other."""
        period = self._coding.intra_period
        words = "1" if self.structure.name == "intra" else "the first frame only"
        return {
            **self._codec.settings,
            "structure": self.structure.name,
            "quality offsets": ",".join(map(str, self.structure.offsets)),
            "intra period": str(period) if period else words,
            "scene cuts": "not looked for",
            "colour": "by way of RGB, with the sequence's own matrix and range",
        }

    def encode_sequence(
        self,
        frames: Iterable[Frame],
        form: VideoFormat,
        quality: int | None,
        on_frame: Callable[[int, float], None] | None = None,
    ) -> bytes:
        """The `.kdc` file of a sequence, coded frame by frame."""
        self._shown = {}

        def on_step(coded: CodedStep) -> None:
            for place, frame in enumerate(coded.shown):
                number = coded.step.first + place
                self._shown[number] = _digest(frame)
                if on_frame is not None:
                    on_frame(number, coded.bits / len(coded.shown))

        file = io.BytesIO()
        coding = replace(self._coding, quality=quality)
        with self._codec.encoder(file, form, coding, on_step=on_step) as encoder:
            for frame in frames:
                encoder.push(frame)
        return file.getvalue()

    def decode_sequence(self, data: bytes) -> Iterator[Frame]:
        """The frames of the file that was encoded last, in display order.

        Raises MismatchError for the first that is not the encoder's reconstruction.
        """
        for shown in self._codec.decoder(ChunkReader(data, kinds=SEQUENCES)):
            if _digest(shown.picture) != self._shown.get(shown.number):
                raise MismatchError(
                    f"frame {shown.number} was decoded to other samples than its encoder's "
                    "reconstruction has"
                )
            yield shown.picture


def _digest(frame: Frame) -> bytes:
    """Of a frame's samples: the frames themselves would be more memory with every one of them."""
    found = hashlib.blake2b(digest_size=16)
    for plane in frame:
        found.update(plane.tobytes())
    return found.digest()


def load_checked_video(
    model: str,
    device: str = "cpu",
    trusted: Sequence[str] = (),
    structure: str | None = None,
    intra_period: int = 0,
    offsets: tuple[int, ...] | None = None,
) -> CheckedVideoCodec:
    """Load a model of sequences or pictures; arguments and errors as `load_video` and the classes.

    structure: the name of one, None for the model's own. offsets: of its qualities.
    """
    codec = load_video(model, device, trusted)
    chosen = Structure(structure or codec.network.structure, offsets or (0,))
    return CheckedVideoCodec(codec, chosen, intra_period)
