"""What each part of the default video model is worth: BD-rate of clips against x264.

    python benchmarks/video_ladder.py [--model FILE,...] [--clips foreman,city] [--frames 16]

The test clips, one keyframe, low delay; PSNR-YUV 6:1:1, the mean over frames, and all bytes of the
file; pchip against x264 (medium, tune psnr, no B frames, one keyframe) at fixed QPs. A row a model
file, a column a clip. Each curve is kept in the output folder, and measured once. KODEC_DATA names
the folder with video_test/.
"""

import argparse
import hashlib
import io
import json
from itertools import islice
from pathlib import Path

import numpy as np

from kodec.codecs import Coding, Structure, find_model, load_video, read_model_info
from kodec.codecs.video_files.frames import Frame, VideoFormat
from kodec.eval import Curve, bd_rate
from kodec.eval.baselines.libav_streams import LibavCodec
from kodec.eval.metrics.metric_set import measure_frame
from kodec.native import InvalidInputError
from motion import CLIPS, read
from reporting import parser_of, run, write_json
from timed_training import one_thread

METRIC = "psnr-yuv-611"
QPS = (44, 39, 34, 29, 24, 20)
QUALITIES = (16, 28, 40, 52, 60)
OUTPUT = Path("runs/video/ladder")
Points = list[tuple[float, float]]


def quality_of(source: Frame, shown: Frame, form: VideoFormat) -> float:
    """Of one frame."""
    return float(measure_frame(source, shown, form, [METRIC])[METRIC])


def by_model(
    path: Path, clip: str, count: int, qualities: tuple[int, ...], structure: Structure | None
) -> Points:
    """Bytes of the file and mean quality, at each quality."""
    form, frames = read(clip, count)
    codec = load_video(path)
    points: Points = []
    for quality in qualities:
        file = io.BytesIO()
        values: list[float] = []
        coding = Coding(quality, structure, scene_cuts=False)
        with codec.encoder(
            *(file, form, coding),
            on_step=lambda coded: values.extend(
                quality_of(source, shown, form)
                for source, shown in zip(coded.sources, coded.shown, strict=True)
            ),
        ) as encoder:
            for frame in frames:
                encoder.push(frame)
        points.append((len(file.getvalue()), float(np.mean(values))))
    return points


def by_x264(clip: str, count: int) -> Points:
    """The same of x264 at its QPs."""
    form, frames = read(clip, count)
    codec = LibavCodec("x264", "medium", "low-delay")
    points: Points = []
    for qp in QPS:
        data = codec.encode_sequence(frames, form, qp)
        shown = islice(codec.decode_sequence(data), len(frames))
        values = [quality_of(a, b, form) for a, b in zip(frames, shown, strict=True)]
        points.append((len(data), float(np.mean(values))))
    return points


def curve(name: str, points: Points) -> Curve:
    """For BD-rate, whose rates may be in any unit."""
    rates, values = zip(*points, strict=True)
    return Curve(name, tuple(rates), tuple(values), METRIC, averaging="mean over frames")


def kept(folder: Path, key: str, measure: object) -> Points:
    """Points measured before, or now."""
    path = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
    if path.exists():
        stored: Points = json.loads(path.read_text())["points"]
        return stored
    assert callable(measure)
    points: Points = measure()
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"key": key, "points": points}))
    return points


def main() -> int:
    """Print the table, row by row."""
    parser = parser_of(__doc__)
    parser.add_argument("--model", default="video", help="names or files, with commas")
    parser.add_argument("--clips", default=",".join(CLIPS))
    parser.add_argument("--frames", type=int, default=48)
    parser.add_argument("--qualities", default=",".join(map(str, QUALITIES)))
    parser.add_argument("--structure", default=None)
    parser.add_argument("--offsets", default="0")
    parser.add_argument("--json", type=Path, help="write the rows there too")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options: argparse.Namespace = parser.parse_args()
    one_thread()
    qualities = tuple(map(int, options.qualities.split(",")))
    clips = options.clips.split(",")
    structure = None
    if options.structure:
        structure = Structure(options.structure, tuple(map(int, options.offsets.split(","))))
    print("| | " + " | ".join(clips) + " | mean |\n|---|" + "---|" * (len(clips) + 1))
    rows = []
    for model in options.model.split(","):
        path = find_model(model)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        found = []
        for clip in clips:
            at = f"{clip} {options.frames}"
            anchor = kept(options.output, f"x264 {at} {QPS}", lambda: by_x264(clip, options.frames))
            key = f"{digest} {at} {qualities} {structure}"
            points = kept(
                options.output,
                key,
                lambda: by_model(path, clip, options.frames, qualities, structure),
            )
            try:
                rate = bd_rate(curve(model, points), curve("x264", anchor)).value_percent
            except InvalidInputError as error:
                print(f"{clip}: {error}")
                rate = float("nan")
            found.append(rate)
            print(f"  {clip}: {points} x264 {anchor}", flush=True)
        cells = " | ".join(f"{rate:+.1f} %" for rate in [*found, float(np.mean(found))])
        print(f"| {Path(model).stem} | {cells} |", flush=True)
        rates = {clip: round(rate, 2) for clip, rate in zip(clips, found, strict=True)}
        rows.append({"model_id": read_model_info(path).model_id.hex(), "bd-rate": rates})
    if options.json is not None:
        write_json(options.json, {"frames": options.frames, "rows": rows})
    return 0


if __name__ == "__main__":
    run(main, "video_ladder.py")
