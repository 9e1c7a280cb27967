"""Block motion: what it predicts, part by part, and how fast the search is beside x264's.

    python benchmarks/motion.py [--frames 32] [--repeats 7] [--bit-cost 64]

Luma of the five test clips, each frame but the first and last predicted from the one before it as
it is in the file, not from a coded one: PSNR of the mean squared error over all. Then the search
alone, its vectors used for three planes, and x264 with its hexagon search and the second level of
sub-pixel refinement, which transforms and codes besides: by turns in one process and one thread,
the least CPU seconds of the repeats. KODEC_DATA names the folder with video_test/.
"""

import argparse
import math
import os
import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from kodec.codecs.video_files.frames import Frame, VideoFormat
from kodec.codecs.video_files.pixel_formats import libav_frame
from kodec.eval import VideoSource, available_simd
from kodec.native import simd
from kodec.native.motion import average, compensate, search
from reporting import parser_of, run

Plane = NDArray[np.uint8]
FOLDER = Path(os.environ.get("KODEC_DATA", ".")) / "video_test"
CLIPS = {
    "foreman": "foreman_qcif_176x144_30_48f.mkv",
    "BasketballPass": "BasketballPass_416x240_50_96f.mkv",
    "bunny": "bunny_1280x720_24_32f.mkv",
    "city": "vid4_city_704x576_32f.mkv",
    "blackswan": "davis_blackswan_424x240_24_48f.mkv",
}
TIMED = ("foreman", "bunny")
X264 = {
    "me": "hex",
    "subme": "2",
    "ref": "1",
    "bframes": "0",
    "mbtree": "0",
    "rc-lookahead": "0",
    "scenecut": "0",
    "keyint": "infinite",
    "threads": "1",
}


def read(name: str, count: int) -> tuple[VideoFormat, list[Frame]]:
    """The first frames of a clip."""
    video = VideoSource(FOLDER / CLIPS[name], limit=count).open()
    return video.form, list(video.frames())


def predicted(before: Plane, found: NDArray[np.int16], cell: int, overlap: bool) -> Plane:
    """A prediction; with cells of 16 every other vector along rows and columns is one."""
    vectors = np.ascontiguousarray(found[::2, ::2]) if cell == 16 else found
    moved: Plane = compensate(before[None], vectors, cell, overlap)[0]
    return moved


def ladder(lumas: Sequence[Plane], bit_cost: int) -> dict[str, str]:
    """PSNR by what the prediction has, and how many blocks are divided."""
    errors: dict[str, list[float]] = {}
    divided = []
    for before, now, behind in zip(lumas, lumas[1:], lumas[2:], strict=False):
        whole, _ = search(now, before, bit_cost, precision=1, splits=False)
        quarter, _ = search(now, before, bit_cost, splits=False)
        parts, splits = search(now, before, bit_cost)
        other, _ = search(now, behind, bit_cost)
        divided.append(float(np.mean(splits > 0)))
        predictions = {
            "zero motion": before,
            "whole pixels": predicted(before, whole, 16, False),
            "quarter pixels": predicted(before, quarter, 16, False),
            "quarter pixels, overlapping by 16": predicted(before, quarter, 16, True),
            "quarter pixels, overlapping by 8": predicted(before, quarter, 8, True),
            "quarter pixels, splits": predicted(before, parts, 8, False),
            "quarter pixels, splits, overlapping by 8": predicted(before, parts, 8, True),
        }
        predictions["the mean with that from the frame behind"] = average(
            predictions["quarter pixels, splits, overlapping by 8"][None],
            predicted(behind, other, 8, True)[None],
        )[0]
        for name, prediction in predictions.items():
            error = float(np.square(prediction.astype(float) - now).mean())
            errors.setdefault(name, []).append(error)
    rows = {
        name: f"{10 * math.log10(255**2 / float(np.mean(values))):.2f}"
        for name, values in errors.items()
    }
    return rows | {"blocks divided": f"{100 * float(np.mean(divided)):.0f} %"}


def x264_encode(form: VideoFormat, frames: Sequence[Frame], qp: int) -> None:
    """All of x264's work on these frames, in one thread."""
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height = form.width, form.height
    context.pix_fmt = form.pixel_format
    context.time_base = Fraction(1, 25)
    context.thread_count = 1
    params = ":".join(f"{key}={value}" for key, value in X264.items())
    context.options = {"preset": "veryfast", "x264-params": f"{params}:qp={qp}"}
    for number, frame in enumerate(frames):
        context.encode(libav_frame(frame, form, number, context.time_base))
    context.encode(None)


def cpu_seconds(actions: dict[str, Callable[[], None]], repeats: int) -> dict[str, float]:
    """The least of so many of each, by turns."""
    least = dict.fromkeys(actions, math.inf)
    for _ in range(repeats):
        for name, action in actions.items():
            start = time.process_time()
            action()
            least[name] = min(least[name], time.process_time() - start)
    return least


def speeds(name: str, count: int, repeats: int, bit_cost: int) -> dict[str, float]:
    """Frames a second of each way."""
    form, frames = read(name, count)
    pairs = [(before[0], now[0]) for before, now in pairwise(frames)]
    fields = [search(now, before, bit_cost)[0] for before, now in pairs]
    planes = [np.stack([before] * 3) for before, _ in pairs]

    def searching(level: str, precision: int, splits: bool) -> Callable[[], None]:
        def action() -> None:
            os.environ["KODEC_SIMD"] = level
            for before, now in pairs:
                search(now, before, bit_cost, precision=precision, splits=splits)

        return action

    def compensating() -> None:
        for three, field in zip(planes, fields, strict=True):
            compensate(three, field)

    best = simd()
    actions = {f"search, {level}": searching(level, 4, True) for level in available_simd()}
    actions["search without splits"] = searching(best, 4, False)
    actions["search of whole pixels"] = searching(best, 1, False)
    actions["compensation of three planes"] = compensating
    actions["x264, all of its work, QP 28"] = lambda: x264_encode(form, frames, 28)
    actions["x264, all of its work, QP 51"] = lambda: x264_encode(form, frames, 51)
    least = cpu_seconds(actions, repeats)
    os.environ["KODEC_SIMD"] = best
    return {way: len(pairs) / seconds for way, seconds in least.items()}


def table(columns: dict[str, dict[str, str]]) -> None:
    """Print columns of the same rows."""
    print("\n| | " + " | ".join(columns) + " |\n|---|" + "---|" * len(columns))
    for row in next(iter(columns.values())):
        print(f"| {row} | " + " | ".join(column[row] for column in columns.values()) + " |")


def main() -> int:
    """Print both tables."""
    parser = parser_of(__doc__)
    parser.add_argument("--frames", type=int, default=32, help="of each clip")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--bit-cost", type=int, default=64)
    options: argparse.Namespace = parser.parse_args()
    table(
        {
            name: ladder([frame[0] for frame in read(name, options.frames)[1]], options.bit_cost)
            for name in CLIPS
        }
    )
    columns = {}
    for name in TIMED if options.repeats > 0 else ():
        found = speeds(name, options.frames, options.repeats, options.bit_cost)
        beside = found["x264, all of its work, QP 28"]
        columns[f"{name}: frames a second"] = {way: f"{n:.0f}" for way, n in found.items()}
        columns[f"{name}: times x264, QP 28"] = {
            way: f"{n / beside:.2f}" for way, n in found.items()
        }
    table(columns)
    return 0


if __name__ == "__main__":
    run(main, "motion.py")
