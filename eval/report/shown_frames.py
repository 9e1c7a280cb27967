"""Frames of sequences as several codecs decode them, at about the same rate."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import numpy as np

from kodec.codecs.video_files.frames import Frame, VideoFormat
from kodec.codecs.video_files.rgb_frames import rgb_of_frame
from kodec.eval.metrics.metric_set import measure_frame
from kodec.eval.running.measurement import SequenceCodec
from kodec.eval.running.results import ImageRow
from kodec.eval.running.run import Progress
from kodec.eval.sources.source import VideoSource
from kodec.native import KodecError

from .crops import Crop, CropSet, PictureChoice, Pixels, nearest_row, place_of, size_remark
from .entries import Entry

FindSequenceCodec = Callable[[Entry], SequenceCodec]
"""As `FindCodec`, of sequences."""

_SHOWN = 3
"""Frames of each sequence: evenly from the first to the last."""


def show_frames(
    entries: Sequence[Entry],
    videos: Sequence[PictureChoice],
    target_bpp: float | None,
    find_codec: FindSequenceCodec,
    progress: Progress | None = None,
) -> list[CropSet]:
    """Encode and decode sequences anew, as far as they were measured, and cut details of frames.

    Each codec takes the quality of its measured rates that is nearest to the first one's, which
    itself is nearest to `target_bpp`, or the middle one of its rates without one. A frame's PSNR is
    that of its luma, the rate that of the whole sequence. Raises InvalidInputError and
    BitstreamError for a sequence that cannot be read or a corner outside it.
    """
    codecs: list[tuple[Entry, SequenceCodec]] = []
    left_out: list[tuple[str, str]] = []
    for entry in entries:
        try:
            codecs.append((entry, find_codec(entry)))
        except KodecError as error:
            left_out.append((entry.name, str(error)))
    sets: list[CropSet] = []
    for number, choice in enumerate(videos):
        absent = list(left_out)
        runs: list[tuple[Entry, SequenceCodec, ImageRow]] = []
        target = target_bpp
        for entry, codec in codecs:
            rows = sorted(_rows_of(entry, choice), key=lambda row: row.bpp)
            if not rows:
                absent.append((entry.name, f"its results have no row of {choice.path.name}"))
                continue
            chosen = rows[len(rows) // 2] if target is None else nearest_row(rows, target)
            target = target if runs else chosen.bpp
            runs.append((entry, codec, chosen))
        if not runs or target is None:
            continue
        count = min(row.frames for _, _, row in runs)
        numbers = sorted({round(k * (count - 1) / (_SHOWN - 1)) for k in range(_SHOWN)})
        crops: dict[int, list[Crop]] = {shown: [] for shown in numbers}
        form, originals = _originals(choice, numbers)
        for place, (entry, codec, row) in enumerate(runs):
            if progress is not None:
                done = number * len(codecs) + place
                progress(done, len(videos) * len(codecs), f"{choice.path.name}, {entry.name}")
            try:
                found = dict(_crops(codec, row, choice, form, originals, entry.name))
            except KodecError as error:
                absent.append((entry.name, str(error)))
                continue
            for shown, crop in found.items():
                crops[shown].append(crop)
        for shown in numbers:
            if crops[shown]:
                original, place_in_frame = _cut(originals[shown], form, choice)
                name = f"{choice.path.name}, frame {shown}"
                sets.append(
                    CropSet(
                        *(name, target, place_in_frame, original),
                        *(tuple(crops[shown]), tuple(absent)),
                    )
                )
    return sets


def _rows_of(entry: Entry, choice: PictureChoice) -> list[ImageRow]:
    return [row for row in entry.rows if row.image == choice.path.name and row.fps is not None]


def _originals(
    choice: PictureChoice, numbers: Sequence[int]
) -> tuple[VideoFormat, dict[int, Frame]]:
    video = VideoSource(choice.path).open()
    frames = islice(video.frames(), numbers[-1] + 1)
    return video.form, {n: frame for n, frame in enumerate(frames) if n in numbers}


def _crops(
    codec: SequenceCodec,
    row: ImageRow,
    choice: PictureChoice,
    form: VideoFormat,
    originals: dict[int, Frame],
    name: str,
) -> Iterator[tuple[int, Crop]]:
    frames = VideoSource(choice.path, limit=row.frames).open().frames()
    data = codec.encode_sequence(frames, form, row.quality)
    for number, frame in enumerate(codec.decode_sequence(data)):
        if number not in originals:
            continue
        found = measure_frame(originals[number], frame, form, ["psnr-y"])
        yield (
            number,
            Crop(
                name=name,
                quality=row.quality,
                bpp=8 * len(data) / (form.width * form.height * row.frames),
                psnr=found["psnr-y"],
                pixels=_cut(frame, form, choice)[0],
                remark=size_remark([row], row.quality, len(data)),
            ),
        )


def _cut(
    frame: Frame, form: VideoFormat, choice: PictureChoice
) -> tuple[Pixels, tuple[int, int, int, int]]:
    """The detail in RGB, and where it lies."""
    left, upper, right, lower = place = place_of(choice, form.height, form.width)
    rgb = rgb_of_frame(frame, form)[:, upper:lower, left:right]
    pixels = np.rint(255 * rgb.astype(np.float64)).astype(np.uint8)
    return np.ascontiguousarray(pixels.transpose(1, 2, 0)), place
