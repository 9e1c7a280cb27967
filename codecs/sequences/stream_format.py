"""The format of a sequence's frames in its file's head."""

from kodec.codecs.container import Chroma, Kind, SequenceHeader
from kodec.codecs.video_files.frames import Chroma as Sampling
from kodec.codecs.video_files.frames import VideoFormat

SEQUENCES: tuple[Kind, ...] = ("sequence",)
"""What a reader of videos takes."""

SAMPLINGS: dict[Sampling, Chroma] = {
    "444": "4:4:4",
    "422": "4:2:2",
    "420": "4:2:0",
    # Gray has no chroma; its head says this.
    "400": "4:4:4",
}


def format_of_header(header: SequenceHeader) -> VideoFormat:
    """The format of a file's frames."""
    chroma = next(name for name, chroma in SAMPLINGS.items() if chroma == header.chroma)
    return VideoFormat(
        header.width,
        header.height,
        "400" if header.components == 1 else chroma,
        header.bit_depth,
        header.rate,
        header.colour,
    )
