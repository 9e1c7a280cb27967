"""What the video model makes of cuts, flashes, fades, still screens and noise, beside x264.

    python benchmarks/video_cases.py [--model video] [--cases cut,flash] [--qualities 16,32,48]

Clips of 128x96 drawn by code, of 16 frames, as `kodec encode` codes them: low delay, cuts found.
x264 (medium, tune psnr, no B frames) codes them at fixed QPs; its bytes at the model's PSNR-YUV
6:1:1 (mean over frames) lie on the line between two of its points, in log bytes. Of both the first
frame's bytes, the most that a later one took, and the mean of the others. The exit status is 1
where a clip takes more than `MOST` times x264's bytes.
"""

import argparse
import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from kodec.codecs import Coding, load_video
from kodec.codecs.sequences.video_codec import VideoCodec
from kodec.codecs.sequences.video_encoder import CodedStep
from kodec.codecs.video_files.frames import Frame, VideoFormat
from kodec.codecs.video_files.rgb_frames import frame_of_rgb
from kodec.commands.video_demo import texture
from kodec.eval.baselines.libav_streams import LibavCodec
from reporting import parser_of, run
from timed_training import one_thread
from video_ladder import quality_of

MOST = 2.0
HEIGHT, WIDTH, FRAMES = 96, 128, 16
FORM = VideoFormat(WIDTH, HEIGHT, "420", 8, Fraction(25))
QPS = range(51, 4, -2)
Picture = NDArray[np.float64]


def scene(seed: int) -> Picture:
    """A textured ground (H, W, 3) in [0, 1], larger than a frame each way."""
    return texture(np.random.default_rng(seed), HEIGHT + 256, WIDTH + 256)


def window(ground: Picture, down: int, right: int) -> Picture:
    """A frame's part of it."""
    return ground[down : down + HEIGHT, right : right + WIDTH]


def panned(seed: int, count: int, down: int = 1, right: int = 2) -> list[Picture]:
    """A scene that passes by."""
    ground = scene(seed)
    return [window(ground, down * n, right * n) for n in range(count)]


def screen() -> Picture:
    """What stands on a screen: sharp letters of a kind, in rows, and a coloured bar."""
    rng = np.random.default_rng(3)
    x = np.full((HEIGHT, WIDTH, 3), 0.95)
    for top in range(16, HEIGHT - 8, 10):
        letters = rng.random((7, WIDTH - 16)) < 0.45
        letters[:, ::6] = False
        x[top : top + 7, 8 : WIDTH - 8][letters] = 0.1
    x[:10] = (0.1, 0.3, 0.7)
    return x


def noisy(frames: Sequence[Picture], sigma: float) -> list[Picture]:
    """With noise of its own on every frame."""
    rng = np.random.default_rng(4)
    return [x + sigma * rng.standard_normal(x.shape) for x in frames]


def flash() -> list[Picture]:
    """One frame nearly white."""
    frames = panned(1, FRAMES)
    frames[8] = 0.15 * frames[8] + 0.85
    return frames


def dissolve() -> list[Picture]:
    """From one scene into another."""
    one, other = panned(1, FRAMES), panned(2, FRAMES, 2, 1)
    return [
        x + (y - x) * min(max((n - 3) / 9, 0), 1)
        for n, (x, y) in enumerate(zip(one, other, strict=True))
    ]


def uncovered() -> list[Picture]:
    """A square that runs across a still ground and out of the picture."""
    ground, own = window(scene(1), 0, 0), scene(5)[:32, :32]
    frames = []
    for n in range(FRAMES):
        x, left = ground.copy(), 30 + 8 * n
        seen = max(0, min(32, WIDTH - left))
        x[30:62, left : left + seen] = own[:, :seen]
        frames.append(x)
    return frames


CASES: dict[str, Callable[[], list[Picture]]] = {
    "pan": lambda: panned(1, FRAMES),
    "fast pan": lambda: panned(1, FRAMES, 9, 12),
    "a square that leaves the picture": uncovered,
    "cut": lambda: panned(1, 8) + panned(2, 8),
    "cut every frame": lambda: [window(scene(n), 0, 0) for n in range(FRAMES)],
    "flash": flash,
    "fade to dark": lambda: [x * (1 - n / 18) for n, x in enumerate(panned(1, FRAMES, 0, 0))],
    "dissolve": dissolve,
    "still scene": lambda: panned(1, FRAMES, 0, 0),
    "still screen": lambda: [screen()] * FRAMES,
    "screen that scrolls": lambda: [np.roll(screen(), -3 * n, 0) for n in range(FRAMES)],
    "one grey": lambda: [np.full((HEIGHT, WIDTH, 3), 0.4)] * FRAMES,
    "still scene with noise of 6 levels": lambda: noisy(panned(1, FRAMES, 0, 0), 6 / 255),
    "noise alone": lambda: noisy([np.full((HEIGHT, WIDTH, 3), 0.5)] * FRAMES, 0.15),
    "1 frame": lambda: panned(1, 1),
}


@dataclass(frozen=True)
class Coded:
    """What a clip came to: bytes of the file, bits of each frame, mean PSNR."""

    size: float
    bits: list[float]
    psnr: float

    def frames(self) -> str:
        """Bytes of the first frame, the largest later one, the mean of the rest."""
        first, *later = (bits / 8 for bits in self.bits)
        if not later:
            return f"{first:.0f}"
        rest = (sum(later) - max(later)) / max(1, len(later) - 1)
        return f"{first:.0f} / {max(later):.0f} / {rest:.0f}"


def frames_of(pictures: Sequence[Picture]) -> list[Frame]:
    """In the clips' format."""
    return [
        frame_of_rgb(np.ascontiguousarray(x.clip(0, 1).transpose(2, 0, 1)).astype(np.float32), FORM)
        for x in pictures
    ]


def mean_psnr(frames: Sequence[Frame], shown: Sequence[Frame]) -> float:
    """Over frames; of each at most 60 dB, as one may be without loss."""
    pairs = zip(frames, shown, strict=True)
    return float(np.mean([min(60.0, quality_of(a, b, FORM)) for a, b in pairs]))


def by_model(codec: VideoCodec, frames: Sequence[Frame], quality: int, cuts: bool) -> Coded:
    """Of the video model."""
    file = io.BytesIO()
    bits: list[float] = []
    shown: list[Frame] = []

    def note(step: CodedStep) -> None:
        bits.append(step.bits)
        shown.extend(step.shown)

    with codec.encoder(file, FORM, Coding(quality, scene_cuts=cuts), on_step=note) as encoder:
        for frame in frames:
            encoder.push(frame)
    return Coded(len(file.getvalue()), bits, mean_psnr(frames, shown))


def by_x264(frames: Sequence[Frame]) -> list[Coded]:
    """At all QPs, with rising bytes."""
    codec, found = LibavCodec("x264", "medium", "low-delay"), []
    for qp in QPS:
        bits: dict[int, float] = {}
        data = codec.encode_sequence(frames, FORM, qp, bits.__setitem__)
        shown = list(codec.decode_sequence(data))
        found.append(
            Coded(len(data), [bits[n] for n in range(len(frames))], mean_psnr(frames, shown))
        )
    return found


def at_psnr(curve: Sequence[Coded], psnr: float) -> Coded:
    """x264's bytes at that PSNR, and the frames of its nearest point; the end's beyond its ends."""
    nearest = min(curve, key=lambda point: abs(point.psnr - psnr))
    sizes = [math.log(point.size) for point in curve]
    values = list(np.maximum.accumulate([point.psnr for point in curve]))
    size = math.exp(float(np.interp(psnr, values, sizes)))
    return Coded(size, nearest.bits, psnr)


def main() -> int:
    """Print the table; the exit status."""
    parser = parser_of(__doc__)
    parser.add_argument("--model", default="video")
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--qualities", default="16,32,48")
    parser.add_argument("--no-cuts", action="store_true", help="no refresh at a cut")
    options: argparse.Namespace = parser.parse_args()
    one_thread()
    codec, worst = load_video(options.model), 0.0
    print("bytes of frames: the first / the largest later one / the mean of the rest\n")
    print("| clip | quality | PSNR, dB | bytes | x264 | ratio | frames | x264's frames |")
    print("|---|---|---|---|---|---|---|---|")
    for name in options.cases.split(","):
        frames = frames_of(CASES[name]())
        curve = by_x264(frames)
        for quality in map(int, options.qualities.split(",")):
            own = by_model(codec, frames, quality, not options.no_cuts)
            other = at_psnr(curve, own.psnr)
            ratio = own.size / other.size
            worst = max(worst, ratio)
            print(
                f"| {name} | {quality} | {own.psnr:.2f} | {own.size:.0f} | {other.size:.0f} "
                f"| {ratio:.2f} | {own.frames()} | {other.frames()} |",
                flush=True,
            )
    print(f"\nat most {worst:.2f} times x264's bytes, allowed {MOST:g}")
    return 0 if worst <= MOST else 1


if __name__ == "__main__":
    run(main, "video_cases.py")
