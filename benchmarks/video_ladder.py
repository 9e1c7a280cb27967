"""What each part of the default video model is worth: BD-rate of clips against x264.

    python benchmarks/video_ladder.py [--model FILE,...] [--clips foreman,city] [--frames 16]
    python benchmarks/video_ladder.py --beside x265,svt-av1,vtm

The test clips, one keyframe, low delay; PSNR-YUV 6:1:1, the mean over frames, and all bytes of the
file; pchip against x264 (medium, tune psnr, no B frames, one keyframe) at fixed QPs. A row a model
file, a column a clip; then rows of the model against other codecs: x265 (medium) and SVT-AV1
(preset 6) at low delay, VTM-17's low delay B from logs, of as many frames as these have. Each point
is kept in the output folder, by the model's id, and measured once: another encoder's need another
folder. KODEC_DATA names the folder with video_test/ and logs/.
"""

import argparse
import hashlib
import io
import json
import math
import os
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np

from kodec.codecs import Coding, Structure, find_model, load_video, read_model_info
from kodec.codecs.sequences.video_codec import VideoCodec
from kodec.codecs.video_files.frames import Frame, VideoFormat
from kodec.eval import Curve, bd_rate, read_curves
from kodec.eval.baselines.libav_streams import LibavCodec
from kodec.eval.metrics.metric_set import measure_frame
from kodec.native import InvalidInputError
from motion import CLIPS, read
from reporting import parser_of, run, write_json
from timed_training import one_thread

METRIC = "psnr-yuv-611"
QUALITIES = (16, 28, 40, 52, 60)
OUTPUT = Path("runs/video/ladder")
Point = tuple[float, float]
QPS = (44, 39, 34, 29, 24, 20)
OTHERS = {
    "x264": (LibavCodec("x264", "medium", "low-delay"), QPS),
    "x265": (LibavCodec("x265", "medium", "low-delay"), QPS),
    "svt-av1": (LibavCodec("svt-av1", "6", "low-delay"), (60, 52, 44, 36, 28, 20)),
}


def quality_of(source: Frame, shown: Frame, form: VideoFormat) -> float:
    """Of one frame."""
    return float(measure_frame(source, shown, form, [METRIC])[METRIC])


def by_model(path: Path, clip: str, count: int, quality: int, structure: Structure | None) -> Point:
    """Of a model's file."""
    return point_of(load_video(path), clip, count, Coding(quality, structure, scene_cuts=False))


def point_of(codec: VideoCodec, clip: str, count: int, coding: Coding) -> Point:
    """Bytes of a coded clip and mean quality."""
    form, frames = read(clip, count)
    file = io.BytesIO()
    values: list[float] = []
    with codec.encoder(
        *(file, form, coding),
        on_step=lambda coded: values.extend(
            quality_of(source, shown, form)
            for source, shown in zip(coded.sources, coded.shown, strict=True)
        ),
    ) as encoder:
        for frame in frames:
            encoder.push(frame)
    return len(file.getvalue()), float(np.mean(values))


def by_codec(codec: LibavCodec, clip: str, count: int, setting: int) -> Point:
    """The same of a known encoder."""
    form, frames = read(clip, count)
    data = codec.encode_sequence(frames, form, setting)
    shown = islice(codec.decode_sequence(data), len(frames))
    values = [quality_of(a, b, form) for a, b in zip(frames, shown, strict=True)]
    return len(data), float(np.mean(values))


def logged(clip: str, count: int) -> list[Point] | None:
    """VTM's points from its logs; None where there are none of so many frames."""
    logs = Path(os.environ.get("KODEC_DATA", ".")) / "logs"
    paths = [p for p in logs.glob(f"vtm-17.0_LB_{clip}_*.log") if "verbose" not in p.stem]
    if not paths:
        return None
    (found,) = read_curves(sorted(paths), METRIC)
    if found.frames != count or found.fps is None:
        return None
    # The logs' rates leave out parameter sets, some 100 bytes.
    rates = (125 * rate * count / found.fps for rate in found.rates)
    return list(zip(rates, found.values, strict=True))


def curve(name: str, points: Sequence[Point]) -> Curve:
    """For BD-rate, whose rates may be in any unit."""
    rates, values = zip(*points, strict=True)
    return Curve(name, tuple(rates), tuple(values), METRIC, averaging="mean over frames")


def kept(folder: Path, key: str, measure: Callable[[], Point]) -> Point:
    """A point measured before, or now."""
    path = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
    if path.exists():
        size, value = json.loads(path.read_text())["point"]
        return size, value
    point = measure()
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"key": key, "point": point}))
    return point


def beside(name: str, clip: str, count: int, folder: Path) -> list[Point] | None:
    """Points of x264 or another codec; None where there are none."""
    if name == "vtm":
        return logged(clip, count)
    codec, settings = OTHERS[name]
    return [
        kept(
            folder,
            f"{name} {clip} {count} {setting}",
            partial(by_codec, codec, clip, count, setting),
        )
        for setting in settings
    ]


def rate_against(name: str, points: Sequence[Point], anchor: Sequence[Point] | None) -> float:
    """BD-rate in %, or NaN where there is none."""
    if anchor is None:
        return math.nan
    try:
        return bd_rate(curve(name, points), curve("anchor", anchor)).value_percent
    except InvalidInputError as error:
        print(f"  {name}: {error}")
        return math.nan


def print_row(name: str, rates: Sequence[float]) -> None:
    """A row of percents, and their mean over those there are."""
    there = [rate for rate in rates if not math.isnan(rate)]
    mean = float(np.mean(there)) if there else math.nan
    cells = ("-" if math.isnan(rate) else f"{rate:+.1f} %" for rate in [*rates, mean])
    print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> int:
    """Print the table, row by row."""
    parser = parser_of(__doc__)
    parser.add_argument("--model", default="video", help="names or files, with commas")
    parser.add_argument("--clips", default=",".join(CLIPS))
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--qualities", default=",".join(map(str, QUALITIES)))
    parser.add_argument("--structure", default=None)
    parser.add_argument("--offsets", default="0")
    parser.add_argument("--beside", default="", help="x265, svt-av1, vtm, with commas")
    parser.add_argument("--json", type=Path, help="write the rows there too")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options: argparse.Namespace = parser.parse_args()
    one_thread()
    qualities = tuple(map(int, options.qualities.split(",")))
    clips = options.clips.split(",")
    others = options.beside.split(",") if options.beside else []
    structure = None
    if options.structure:
        structure = Structure(options.structure, tuple(map(int, options.offsets.split(","))))
    rows = []
    lines: list[tuple[str, list[float]]] = []
    for model in options.model.split(","):
        path = find_model(model)
        model_id = read_model_info(path).model_id.hex()
        found: dict[str, list[float]] = {name: [] for name in ("x264", *others)}
        for clip in clips:
            count = len(read(clip, options.frames)[1])
            points = [
                kept(
                    options.output,
                    f"{model_id} {clip} {count} {quality} {structure}",
                    partial(by_model, path, clip, count, quality, structure),
                )
                for quality in qualities
            ]
            print(f"  {clip}, {count} frames: {points}", flush=True)
            for name, rates in found.items():
                anchor = beside(name, clip, count, options.output)
                rates.append(rate_against(model, points, anchor))
                print(f"    against {name}: {rates[-1]:+.2f} %, {anchor}", flush=True)
        for name, rates in found.items():
            lines.append((f"{Path(model).stem} against {name}", rates))
        by_clip = {clip: round(rate, 2) for clip, rate in zip(clips, found["x264"], strict=True)}
        rows.append({"model_id": model_id, "bd-rate": by_clip})
    print("\n| | " + " | ".join(clips) + " | mean |\n|---|" + "---|" * (len(clips) + 1))
    for line in lines:
        print_row(*line)
    if options.json is not None:
        write_json(options.json, {"frames": options.frames, "rows": rows})
    return 0


if __name__ == "__main__":
    run(main, "video_ladder.py")
