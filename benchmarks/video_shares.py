"""Where the video model's bits go, beside x264's: keyframe and others, vectors and differences.

    python benchmarks/video_shares.py [--clips BasketballPass,blackswan] [--frames 16]

Of each clip and setting: bytes and PSNR-YUV 6:1:1 of the first frame, their means over the others,
and the last frame's PSNR; low delay, one keyframe, x264 (medium, tune psnr) at fixed QPs. Of the
model's other frames also which share of the bits, as the encoder's meter estimates them, vectors
take. KODEC_DATA names the folder with video_test/.
"""

import argparse
import io
from collections.abc import Sequence
from itertools import islice

import numpy as np
import torch

from fit_video import chain
from kodec.codecs import BlockMotion, Coding, load_video
from kodec.codecs.sequences.video_codec import VideoCodec
from kodec.codecs.sequences.video_encoder import CodedStep
from kodec.codecs.video_files.frames import Frame, VideoFormat
from kodec.codecs.video_files.rgb_frames import rgb_of_frame
from kodec.entropy import RateMeter
from motion import read
from reporting import parser_of, run
from timed_training import one_thread
from video_ladder import OTHERS, quality_of

QPS = (44, 39, 34, 29, 24)


def row(name: str, bits: Sequence[float], values: Sequence[float], vectors: str) -> None:
    """Print one setting's."""
    print(
        f"| {name} | {bits[0] / 8:.0f} | {values[0]:.2f} | {np.mean(bits[1:]) / 8:.0f} "
        f"| {np.mean(values[1:]):.2f} | {values[-1]:.2f} | {vectors} |",
        flush=True,
    )


def by_model(
    codec: VideoCodec, frames: Sequence[Frame], form: VideoFormat, quality: int
) -> tuple[list[float], list[float]]:
    """Bits and quality of each frame."""
    bits: list[float] = []
    values: list[float] = []

    def note(step: CodedStep) -> None:
        bits.append(step.bits)
        pairs = zip(step.sources, step.shown, strict=True)
        values.extend(quality_of(source, shown, form) for source, shown in pairs)

    coding = Coding(quality, scene_cuts=False)
    with codec.encoder(io.BytesIO(), form, coding, on_step=note) as encoder:
        for frame in frames:
            encoder.push(frame)
    return bits, values


@torch.no_grad()
def share_of_vectors(
    network: BlockMotion, frames: Sequence[Frame], form: VideoFormat, quality: int
) -> float:
    """Of the bits of all frames but the first."""
    rgb, port = [rgb_of_frame(frame, form) for frame in frames], RateMeter(training=False)
    first = 0.0
    for number, _ in enumerate(chain(network, rgb, quality, port)):
        if not number:
            first = float(port.total())
    vectors = sum(float(b.sum()) for name, b in port.bits.items() if name.startswith("motion"))
    return vectors / (float(port.total()) - first)


def main() -> int:
    """Print a table a clip."""
    parser = parser_of(__doc__)
    parser.add_argument("--clips", default="BasketballPass,blackswan")
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--qualities", default="16,40")
    options: argparse.Namespace = parser.parse_args()
    one_thread()
    codec = load_video("video")
    assert isinstance(codec.network, BlockMotion)
    x264 = OTHERS["x264"][0]
    for clip in options.clips.split(","):
        form, frames = read(clip, options.frames)
        print(f"\n| {clip} | first: bytes | dB | others: bytes | dB | last: dB | vectors |")
        print("|---|---|---|---|---|---|---|")
        for quality in map(int, options.qualities.split(",")):
            share = share_of_vectors(codec.network, frames, form, quality)
            found = by_model(codec, frames, form, quality)
            row(f"quality {quality}", *found, f"{100 * share:.0f} %")
        for qp in QPS:
            sizes: dict[int, float] = {}
            data = x264.encode_sequence(frames, form, qp, sizes.__setitem__)
            shown = islice(x264.decode_sequence(data), len(frames))
            values = [quality_of(a, b, form) for a, b in zip(frames, shown, strict=True)]
            row(f"x264, QP {qp}", [sizes[n] for n in range(len(frames))], values, "")
    return 0


if __name__ == "__main__":
    run(main, "video_shares.py")
