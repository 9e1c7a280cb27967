"""Fitted videos beside video codecs, at equal fit time and equal bytes; and longer fits and clips.

    python benchmarks/fitted_curves.py small BUNNY.mkv SMALL.mkv
    python benchmarks/fitted_curves.py fits CLIP FITS.json [NAME...] --bytes 72000 --seconds 40
    python benchmarks/fitted_curves.py time CLIP FITS.json hnerv --bytes 72000 --seconds 10,20,80
    python benchmarks/fitted_curves.py length CLIP FITS.json hnerv --bytes 72000 --frames 8,16,48
    python benchmarks/fitted_curves.py beside CLIP FITS.json --models default,stem.safetensors
    python benchmarks/fitted_curves.py show FITS.json... [--plot CURVES.svg]

`small` makes a clip of a quarter of the width and height, by means, rows 10 to 169 of what is left.
`fits` fits each family in so many CPU seconds of one thread, to a file of so many bytes: seconds a
step and bits a parameter are found by two short fits, then steps and size are set (or are --given).
`time` does the same with other budgets of time, `length` for the first frames of the clip alone,
with as much time a frame. `beside` codes the clip, and its first frames as in `length`, with x264,
x265, SVT-AV1 and models of this project. PSNRs are means over frames, of 8-bit RGB by the clip's
own matrix. What was measured is kept in FITS.json, row by row, and not measured again. `show`
prints tables: quality at the bytes of each fit, read off the codecs' curves, and where the gap
would close if it went on closing, for each doubling of time or of frames, as it last did.
"""

import argparse
import json
import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from kodec.codecs import write_atomically
from kodec.codecs.fitted import Budget, Clip, FittedCodec
from kodec.codecs.fitted.frame_networks.clip_frames import clip_of
from kodec.codecs.fitted_families import families
from kodec.codecs.model_size import ModelSize
from kodec.codecs.video_files.frames import Frame, VideoFormat
from kodec.codecs.video_files.rgb_frames import rgb_of_frame
from kodec.codecs.video_files.video_reading import open_video
from kodec.codecs.video_files.video_writing import VideoWriter
from kodec.eval import psnr
from kodec.eval.baselines.libav_streams import LibavCodec
from kodec.eval.report import LIGHT, figure_of, line_style
from kodec.eval.running.checked_video import load_checked_video
from kodec.native import InvalidInputError, KodecError
from reporting import parser_of, run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FRAMES = 32
QUARTER, ROWS = 4, slice(10, 170)
# Steps of the two short fits, whose difference is what steps take.
FEW, MORE = 6, 30
# What the first of them has: the largest of the families' least sizes fits in.
PARAMETERS_A_BYTE = 1.5
BASELINES = {
    "x264": (10, 18, 23, 28, 33, 38),
    "x265": (10, 18, 23, 28, 33, 38),
    "svt-av1": (6, 20, 28, 36, 44, 52),
}
MODEL_QUALITIES = (12, 28, 44, 60)
FRAME_NETWORKS = range(16, 32)


def frames_of(path: Path, count: int) -> tuple[list[Frame], VideoFormat]:
    """The first frames of a clip."""
    video = open_video(path, limit=count)
    return list(video.frames()), video.form


def pixels_of(frames: Iterable[Frame], form: VideoFormat) -> list[NDArray[np.uint8]]:
    """8-bit RGB of frames, (3, H, W)."""
    return [np.rint(255 * rgb_of_frame(frame, form)).astype(np.uint8) for frame in frames]


def mean_psnr(frames: Iterable[NDArray[Any]], others: Iterable[NDArray[Any]]) -> float:
    """Over frames."""
    return float(np.mean([psnr(a, b, 255) for a, b in zip(frames, others, strict=True)]))


def small(source: Path, target: Path) -> None:
    """A quarter of the size, by means of 4x4 samples of each plane."""
    frames, form = frames_of(source, FRAMES)
    rows = slice(ROWS.start // 2, ROWS.stop // 2)
    form = replace(form, width=form.width // QUARTER, height=ROWS.stop - ROWS.start)
    with VideoWriter(str(target), form) as writer:
        for planes in frames:
            means = [
                plane.reshape(plane.shape[0] // QUARTER, QUARTER, -1, QUARTER).mean((1, 3))
                for plane in planes
            ]
            kept = zip(means, (ROWS, rows, rows), strict=True)
            writer.write(tuple(np.rint(mean[own]).astype(np.uint8) for mean, own in kept))


class Results:
    """Rows of a file, by what they are of."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []

    def add(self, key: dict[str, Any], measure: Any) -> None:
        """Measure it, unless it was; a failure is told and left out."""
        if any(all(row.get(n) == v for n, v in key.items()) for row in self.rows):
            return
        try:
            self.rows.append({**key, **measure()})
        except KodecError as error:
            print(f"{key}: {error}", flush=True)
            return
        print(self.rows[-1], flush=True)
        self.path.write_text(json.dumps(self.rows, indent=1) + "\n")


def calibrated(name: str, clip: Clip, target: int) -> tuple[ModelSize, float]:
    """The size that comes to so many bytes, or the least there is, and CPU seconds a step of it."""
    size = ModelSize(int(PARAMETERS_A_BYTE * target))
    for _ in range(2):
        taken = []
        for steps in (FEW, MORE):
            began = time.process_time()
            found = FittedCodec(name, Budget(steps=steps), size=size).fit(clip)
            taken.append(time.process_time() - began)
        parameters = found.model.cost().parameters
        smaller = ModelSize(int(parameters * target / len(found.data)))
        try:
            FittedCodec(name, Budget(steps=1), size=smaller).fit(clip)
        except InvalidInputError:
            break
        size = smaller
    return size, max(1e-4, (taken[1] - taken[0]) / (MORE - FEW))


def fitted(
    name: str, clip: Clip, target: int, seconds: float, given: tuple[int, int] | None = None
) -> dict[str, Any]:
    """A fit in so many CPU seconds, to about so many bytes; `given`: parameters and steps of it."""
    if given is None:
        size, each = calibrated(name, clip, target)
        steps = max(1, int(seconds / each))
    else:
        size, steps = ModelSize(given[0]), given[1]
    began = time.process_time()
    found = FittedCodec(name, Budget(steps=steps), size=size).fit(clip)
    taken = time.process_time() - began
    shown = list(found.reconstruction.frames())
    return {
        "parameters": found.model.cost().parameters,
        "steps": steps,
        "cpu_seconds": round(taken, 1),
        "bytes": len(found.data),
        "bpp": 8 * len(found.data) / clip.size.pixels,
        "psnr": mean_psnr(clip.pixels, shown),
    }


def coded(codec: Any, quality: int, frames: Sequence[Frame], form: VideoFormat) -> dict[str, Any]:
    """What a video codec gives."""
    began = time.process_time()
    data = codec.encode_sequence(iter(frames), form, quality)
    taken = time.process_time() - began
    back = pixels_of(codec.decode_sequence(data), form)
    pixels = len(frames) * form.width * form.height
    return {
        "bytes": len(data),
        "cpu_seconds": round(taken, 2),
        "bpp": 8 * len(data) / pixels,
        "psnr": mean_psnr(pixels_of(frames, form), back),
    }


def beside(path: Path, results: Results, counts: Sequence[int], models: Sequence[str]) -> None:
    """Video codecs, and models; of these the whole clip alone."""
    for count in counts:
        frames, form = frames_of(path, count)
        for name, qualities in BASELINES.items():
            for quality in qualities:
                key: dict[str, Any] = {"clip": path.stem, "kind": "codec", "name": name}
                key |= {"frames": count, "quality": quality}
                codec = LibavCodec(name, structure="random-access")
                results.add(key, partial(coded, codec, quality, frames, form))
    frames, form = frames_of(path, counts[0])
    for model in models:
        video = load_checked_video(model, "cpu", (), None, 0, ())
        for quality in MODEL_QUALITIES:
            key = dict[str, Any](clip=path.stem, kind="model", name=Path(model).stem)
            key |= {"frames": counts[0], "quality": quality}
            results.add(key, partial(coded, video, quality, frames, form))


def at_bytes(rows: Sequence[dict[str, Any]], target: float) -> float | None:
    """PSNR on a codec's curve at so many bytes; None outside of it."""
    curve = sorted((math.log(row["bytes"]), row["psnr"]) for row in rows)
    for (low, first), (high, last) in pairwise(curve):
        if low <= math.log(target) <= high:
            return float(first + (last - first) * (math.log(target) - low) / (high - low))
    return None


def show(rows: Sequence[dict[str, Any]], plot: Path | None) -> None:
    """Tables, and where gaps would close."""
    for clip in sorted({row["clip"] for row in rows}):
        own = [row for row in rows if row["clip"] == clip]
        names = sorted({(row["kind"], row["name"]) for row in own if row["kind"] != "fit"})
        print(f"\n{clip}")
        fits = [row for row in own if row["kind"] == "fit"]
        for row in sorted(fits, key=lambda row: (row["frames"], row["seconds"], -row["psnr"])):
            others = []
            for kind, name in names:
                curve = [
                    r
                    for r in own
                    if (r["kind"], r["name"], r["frames"]) == (kind, name, row["frames"])
                ]
                there = at_bytes(curve, row["bytes"]) if len(curve) > 1 else None
                if there is not None:
                    others.append(f"{name} {there:.2f}")
            print(
                f"{row['name']}: {row['frames']} frames, {row['cpu_seconds']} s, {row['steps']} "
                f"steps, {row['parameters']:,} parameters, {row['bytes']:,} bytes, "
                f"{row['bpp']:.3f} bpp, {row['psnr']:.2f} dB; {', '.join(others)}"
            )
        _slopes(own, fits)
    if plot is not None:
        _plot(rows, plot)


def _slopes(own: Sequence[dict[str, Any]], fits: Sequence[dict[str, Any]]) -> None:
    """How the gap to x265 changes with each doubling, and where a line through the last ends."""

    def gap(row: dict[str, Any]) -> float | None:
        curve = [r for r in own if r["name"] == "x265" and r["frames"] == row["frames"]]
        there = at_bytes(curve, row["bytes"]) if len(curve) > 1 else None
        return None if there is None else there - row["psnr"]

    for name in sorted({row["name"] for row in fits}):
        mine = [row for row in fits if row["name"] == name]
        series = {
            "seconds": [row for row in mine if row["axis"] != "length"],
            # And those of as much time a frame.
            "frames": [row for row in mine if row["axis"] == "length"],
        }
        shares = {row["seconds"] / row["frames"] for row in series["frames"]}
        series["frames"] += [r for r in series["seconds"] if r["seconds"] / r["frames"] in shares]
        for axis, rows in series.items():
            points = sorted({row[axis]: g for row in rows if (g := gap(row)) is not None}.items())
            if len(points) < 3:
                continue
            (x0, before), (x1, last) = points[-2], points[-1]
            slope = (before - last) / math.log2(x1 / x0)
            words = ", ".join(f"{x:g}: {g:.2f}" for x, g in points)
            where = f"{x1 * 2 ** (last / slope):.3g} {axis}" if slope > 0.01 else "never"
            print(
                f"  {name}, gap to x265 in dB by {axis}: {words}; at that slope it closes: {where}"
            )


def _plot(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """A panel a clip: curves of codecs and models, and a mark of each family's fit."""
    panels = []
    for clip in sorted({row["clip"] for row in rows}):
        own = [row for row in rows if row["clip"] == clip and row.get("axis", "fits") == "fits"]
        whole = max(row["frames"] for row in own if row["kind"] == "fit")
        shown = [row for row in own if row["frames"] == whole]
        panels.append(partial(_panel, rows=shown, names=_named(rows)))
    write_atomically(path, figure_of(panels, "svg", 6.0))


def _panel(axes: "Axes", rows: Sequence[dict[str, Any]], names: Sequence[tuple[str, str]]) -> None:
    fits = [name for kind, name in _named(rows) if kind == "fit"]
    # More fits than colours: those of the second half are squares.
    marks = {name: "os"[2 * n // len(fits)] for n, name in enumerate(fits)}
    for kind, name in _named(rows):
        points = sorted((row["bpp"], row["psnr"]) for row in rows if row["name"] == name)
        # One look in all panels.
        style = line_style(names.index((kind, name)))
        axes.semilogx(
            *zip(*points, strict=True),
            linestyle="none" if name in marks else (0, style.dash) if style.dash else "-",
            marker=marks.get(name),
            markersize=4,
            linewidth=1.1,
            color=LIGHT[style.colour],
            label=f"{name} ({kind})" if kind == "model" else name,
        )
    axes.set_title(f"{rows[0]['clip'].split('_')[0]}, {rows[0]['frames']} frames")
    axes.set_xlabel("Rate, bits per pixel")
    axes.set_ylabel("PSNR of RGB, dB")
    axes.grid(True, which="major")
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))


def _named(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    return sorted({(row["kind"], row["name"]) for row in rows})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the commands."""
    parser = parser_of(__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    first = commands.add_parser("small")
    first.add_argument("source", type=Path)
    first.add_argument("target", type=Path)
    for name in ("fits", "time", "length"):
        one = commands.add_parser(name)
        one.add_argument("clip", type=Path)
        one.add_argument("results", type=Path)
        one.add_argument("names", nargs="*")
        one.add_argument("--bytes", type=int, default=72_000)
        one.add_argument("--seconds", default="40")
        one.add_argument("--given", type=int, nargs=2, metavar=("PARAMETERS", "STEPS"))
        one.add_argument("--frames", default=str(FRAMES))
    one = commands.add_parser("beside")
    one.add_argument("clip", type=Path)
    one.add_argument("results", type=Path)
    one.add_argument("--models", default="")
    one.add_argument("--frames", default=str(FRAMES))
    last = commands.add_parser("show")
    last.add_argument("results", nargs="+", type=Path)
    last.add_argument("--plot", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.command == "small":
        small(options.source, options.target)
    elif options.command == "show":
        show([row for path in options.results for row in Results(path).rows], options.plot)
    elif options.command == "beside":
        models = [model for model in options.models.split(",") if model]
        beside(options.clip, Results(options.results), _numbers(options.frames), models)
    else:
        _fits(options)
    return 0


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def _fits(options: argparse.Namespace) -> None:
    results = Results(options.results)
    known = [family.name for family in families() if family.number in FRAME_NETWORKS]
    for count in _numbers(options.frames):
        frames, form = frames_of(options.clip, count)
        clip = clip_of(frames, form)
        for seconds in _numbers(options.seconds):
            share = count / FRAMES if options.command == "length" else 1.0
            for name in options.names or known:
                key = {"clip": options.clip.stem, "kind": "fit", "name": name, "frames": count}
                key |= {"target": options.bytes, "seconds": seconds * share}
                key |= {"axis": options.command}
                to = options.bytes, seconds * share, options.given
                results.add(key, partial(fitted, name, clip, *to))


if __name__ == "__main__":
    run(main, "fitted_curves.py", (KodecError, OSError))
