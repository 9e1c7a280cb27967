"""What a filter in the video model's loop would bring: Wiener filters of decoded frames, on trial.

    python benchmarks/video_filter.py [--clips foreman,blackswan] [--frames 16]

Every frame with motion is filtered before it is shown and referred to, by weights that the
encoder solves for by least squares between what is decoded and the source: 5x5 taps, the same for
opposite places, of luma, in 64ths. One filter for the whole frame, or for blocks that have a
difference (both sides know which), or one for these and one for the others. A filter is used where
the error that it saves is worth more than its bits, which are added to the file's: one for whether
there is one, and 5 a weight. BD-rate is against the same model without, pchip, PSNR-YUV 6:1:1.
Nothing of it is in the format. KODEC_DATA names the folder with video_test/.
"""

import argparse
from typing import Any

import torch
from torch import Tensor, nn

from kodec.codecs import BlockMotion, Coding, find_model, load_video
from kodec.codecs.sequences.sequence_model import FrameStep, State
from kodec.entropy import ConditionedSlices, SymbolPort
from kodec.eval import bd_rate
from reporting import parser_of, run
from timed_training import one_thread
from video_ladder import Point, curve, point_of, print_row

QUALITIES = (16, 28, 40, 52)
PARTS = ("the whole frame", "blocks with a difference", "two filters")
LUMA = torch.tensor([0.2126, 0.7152, 0.0722], dtype=torch.float64)
BITS, ONE = 5, 64
# One of each pair of opposite places around a sample.
PLACES = [(y, x) for y in range(-2, 1) for x in range(-2, 3) if (y, x) < (0, 0)]


def taps(luma: Tensor) -> Tensor:
    """(H, W) -> (12, H, W): how much opposite neighbours' sum is above twice the sample."""
    height, width = luma.shape
    edged = nn.functional.pad(luma[None, None], (2, 2, 2, 2), mode="replicate")[0, 0]

    def moved(y: int, x: int) -> Tensor:
        return edged[2 + y : 2 + y + height, 2 + x : 2 + x + width]

    return torch.stack([moved(y, x) + moved(-y, -x) - 2 * luma for y, x in PLACES])


class Filters:
    """Stands between a model and its port; counts bits."""

    def __init__(self, network: BlockMotion, parts: str) -> None:
        self.network, self.parts = network, parts
        self.bits = 0.0
        self.used, self.frames = 0, 0
        self._source: Tensor | None = None
        self._worth = 0.0
        self._coded: Tensor | None = None
        latents = network.latents
        assert isinstance(latents, ConditionedSlices)
        inter, shown = network._inter, network._shown

        def coding(frame: Tensor | None, step: FrameStep, port: SymbolPort) -> tuple[Tensor, State]:
            assert frame is not None and step.quality is not None
            self._source = frame[0].double()
            size = float(torch.exp(-network.gain.log_gain(step.quality)[0, 0]))
            self._worth = latents.lagrangian * size**2
            found = inter(frame, step, port)
            self._source = None
            return found

        def filtered(x: Tensor, port: SymbolPort, guard: float = 1e-9) -> Tensor:
            if self._source is not None:
                x = self._filtered(x[0].clamp(0, 1))[None]
            return shown(x, port, guard)

        code = latents.code

        def noting(y: Tensor, cond: Any, port: SymbolPort, z: None = None) -> Tensor:
            y_hat: Tensor = code(y, cond, port, z)
            self._coded = (y_hat[0] != 0).any(0)
            return y_hat

        latents.code = noting  # type: ignore[assignment, method-assign]
        network._inter = coding  # type: ignore[method-assign]
        network._shown = filtered  # type: ignore[assignment, method-assign]

    def _filtered(self, x: Tensor) -> Tensor:
        """(3, H, W): the frame with what luma's filters add where they are worth their bits."""
        assert self._source is not None and self._coded is not None
        height, width = x.shape[-2:]
        luma = torch.einsum("c,chw->hw", LUMA, x)
        wanted = torch.einsum("c,chw->hw", LUMA, self._source) - luma
        coded = self._coded.repeat_interleave(16, 0).repeat_interleave(16, 1)[:height, :width]
        areas = {
            PARTS[0]: [torch.ones_like(coded)],
            PARTS[1]: [coded],
            PARTS[2]: [coded, ~coded],
        }[self.parts]
        columns = taps(luma)
        added = torch.zeros_like(luma)
        self.frames += 1
        for area in areas:
            self.bits += 1
            a, b = columns[:, area], wanted[area]
            if a.shape[1] < 512:
                continue
            normal = a @ a.T + 1e-6 * torch.eye(len(a), dtype=a.dtype)
            weights = torch.linalg.solve(normal, a @ b)
            weights = (weights * ONE).round().clamp(-16, 15) / ONE
            change = weights @ a
            saved = float((b.square() - (b - change).square()).sum())
            cost = BITS * len(PLACES)
            if saved > self._worth * cost:
                self.bits += cost
                self.used += 1
                added[area] = change
        return x + added


def point(clip: str, count: int, quality: int, parts: str | None) -> Point:
    """Bytes and mean quality."""
    codec = load_video(find_model("video"))
    assert isinstance(codec.network, BlockMotion)
    filters = None if parts is None else Filters(codec.network, parts)
    size, value = point_of(codec, clip, count, Coding(quality, scene_cuts=False))
    if filters is not None:
        size += filters.bits / 8
        print(f"  {clip} {quality} {parts}: {filters.used} of {filters.frames} frames", flush=True)
    return size, value


def main() -> int:
    """Print the table."""
    parser = parser_of(__doc__)
    parser.add_argument("--clips", default="foreman,blackswan")
    parser.add_argument("--frames", type=int, default=16)
    options: argparse.Namespace = parser.parse_args()
    one_thread()
    clips = options.clips.split(",")
    without = {
        clip: [point(clip, options.frames, quality, None) for quality in QUALITIES]
        for clip in clips
    }
    print("| a filter of | " + " | ".join(clips) + " | mean |")
    for parts in PARTS:
        rates = []
        for clip in clips:
            own = [point(clip, options.frames, quality, parts) for quality in QUALITIES]
            rates.append(bd_rate(curve(parts, own), curve("without", without[clip])).value_percent)
            print(f"  {clip}: {own} beside {without[clip]}")
        print_row(parts, rates)
    return 0


if __name__ == "__main__":
    run(main, "video_filter.py")
