"""Fit the default video model to what its differences come to, without training transforms.

    python benchmarks/fit_video.py start
    python benchmarks/fit_video.py collect [--passes 2]
    python benchmarks/fit_video.py count [--passes 2] [--still]
    python benchmarks/fit_video.py fit [--minutes 60]
    python benchmarks/video_ladder.py --model runs/video/model.safetensors --json ladder.json
    python benchmarks/fit_video.py embed [--ladder ladder.json]

`start` builds the codec of train/configs/video.yaml around the embedded picture model. `collect`
codes clips of video_train in closed loop with the model as it is, at random qualities, keeps the
differences with all that their latent model may see, and counts vectors into their tables anew;
`count` codes them to add to the tables alone, those of light and coded blocks too. `fit`
trains the latent model on what was kept: code length and error of the rounded differences; it goes
on where it was stopped. Both write model.safetensors in the output folder. `embed` makes it the
embedded video model, its card with the BD-rates that the ladder measured of this model. Never run
on a test set. KODEC_DATA names the folder with video_train/. One thread.
"""

import argparse
import json
import math
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from torch import Tensor

from kodec.codecs import (
    BlockMotion,
    FrameStep,
    build_module,
    fill_from_model,
    find_model,
    load_model,
    save_model,
)
from kodec.codecs.catalogue import FOLDER
from kodec.codecs.video_files.rgb_frames import rgb_of_frame
from kodec.entropy import (
    CHANGE,
    FEATURES,
    PREDICTION,
    ConditionedSlices,
    Conditions,
    CountedBlock,
    CountedTables,
    Distribution,
    LocationScale,
    RateMeter,
)
from kodec.eval import VideoSource
from kodec.native import InvalidInputError
from reporting import parser_of, run, write_json
from timed_training import one_thread

CONFIG = Path(__file__).parents[1] / "train" / "configs" / "video.yaml"
OUTPUT = Path("runs/video")
SUMMARY = "variable rate, for videos: motion of blocks, keyframes by the default picture model"
NOTES = {
    "licence": (
        "weights: Apache-2.0; keyframes as the default model's; the rest fitted to clips of DAVIS "
        "and of SAM 2's samples, whose terms were not checked"
    ),
    "training": "benchmarks/fit_video.py on video_train; docs/experiments/video-model.md",
}
# Blocks of each kept frame: the clips' smallest size.
ROWS, COLUMNS = 15, 26
KNOWN = (PREDICTION, CHANGE, FEATURES)
# How much coarser than keyframes differences are, and colour than luma.
COARSER, COLOUR = 1.5, 1.0


def clips() -> list[Path]:
    """The training clips."""
    return sorted((Path(os.environ["KODEC_DATA"]) / "video_train").glob("*.mkv"))


def section() -> dict[str, Any]:
    """The codec's part of the config."""
    found: dict[str, Any] = yaml.safe_load(CONFIG.read_text())["model"]["init_args"]["codec"]
    return found


def start(output: Path) -> None:
    """A model with the picture model's weights, and gains from it."""
    torch.manual_seed(0)
    network = build_module(section())
    assert isinstance(network, BlockMotion)
    fill_from_model(network, find_model("default"))
    filtered, _ = load_model(find_model("default"))
    whole = {name: value.float() for name, value in filtered.state_dict().items()}
    prefix = "synthesis.deringing."
    taps = {k.removeprefix(prefix): v for k, v in whole.items() if k.startswith(prefix)}
    assert network.deringing is not None and network.picture.gain is not None
    network.deringing.load_state_dict(taps)
    with torch.no_grad():
        # Luma of an orthonormal colour rotation is sqrt(3) times that of the differences.
        gain, own = network.picture.gain, network.gain
        knots = gain.log_gain(torch.linspace(0, 63, own.knots))[:, 0] + math.log(
            math.sqrt(3) / COARSER
        )
        colour = torch.where(network.transform.order >= 256, math.log(COLOUR), 0.0)
        own.first.copy_(knots[0] + colour)
        own.raw_rise.copy_(torch.log(torch.expm1(knots.diff()))[:, None].expand_as(own.raw_rise))
    save(network, output)


def save(network: BlockMotion, output: Path) -> None:
    """The model file, whole or not at all."""
    output.mkdir(parents=True, exist_ok=True)
    info = save_model(network, section(), output / "model.safetensors", "video")
    print(f"{output / 'model.safetensors'}: id {info.model_id.hex()}", flush=True)


def load(output: Path) -> BlockMotion:
    """The model as it stands."""
    network, _ = load_model(output / "model.safetensors")
    assert isinstance(network, BlockMotion)
    return network


def latents_of(network: BlockMotion) -> ConditionedSlices:
    """The latent model, typed."""
    assert isinstance(network.latents, ConditionedSlices)
    return network.latents


class Counting(RateMeter):
    """A meter of what is coded that also counts vectors."""

    def __init__(self) -> None:
        super().__init__(training=False)

    def code(self, name: str, y: Tensor | None, dist: Distribution) -> Tensor:
        """As the meter's."""
        if isinstance(dist, CountedBlock) and y is not None:
            dist.counted.count(y, dist.contexts)
        return super().code(name, y, dist)


class Kept:
    """Differences of frames and what is known beside them, in files of half floats."""

    def __init__(self, folder: Path, network: BlockMotion, frames: int = 0) -> None:
        channels = network.transform.channels
        self.sizes = [channels, channels, channels, latents_of(network).features]
        shape = (frames, sum(self.sizes), ROWS, COLUMNS)
        path, self.path = folder / "differences.bin", folder / "qualities.npy"
        if frames:
            self.values: Any = np.memmap(path, np.float16, "w+", shape=shape)
            self.qualities = np.zeros(frames, np.float32)
        else:
            self.qualities = np.load(self.path)
            self.values = np.memmap(path, np.float16, "r", shape=(len(self.qualities), *shape[1:]))
        self.count = 0 if frames else len(self.qualities)

    def add(self, y: Tensor, cond: Conditions) -> None:
        """One frame's."""
        parts = [y, *(cond.known[name] for name in KNOWN)]
        whole = torch.cat([part[..., :ROWS, :COLUMNS].float() for part in parts], dim=1)
        self.values[self.count] = whole[0].clamp(-60000, 60000).half().numpy()
        assert cond.quality is not None
        self.qualities[self.count] = float(cond.quality[0])
        self.count += 1

    def close(self) -> None:
        """Write what there is of it."""
        np.save(self.path, self.qualities[: self.count])

    def batch(self, places: NDArray[np.int64]) -> tuple[Tensor, Conditions]:
        """Frames by number."""
        whole = torch.from_numpy(self.values[places].astype(np.float32))
        y, *known = torch.split(whole, self.sizes, dim=1)
        quality = torch.from_numpy(self.qualities[places])
        return y, Conditions(y.shape, quality, dict(zip(KNOWN, known, strict=True)))


@torch.no_grad()
def collect(output: Path, passes: int, frames: int, seed: int) -> None:
    """Code all clips so many times; replaces what was kept, adds to the tables' counts."""
    network = load(output)
    rng = np.random.default_rng(seed)
    kept = Kept(output, network, passes * len(clips()) * (frames - 1))
    latents = latents_of(network)
    for table in network.motion.modules():
        if isinstance(table, CountedTables):
            table.counts.zero_()
    # All blocks are coded, and none on trial.
    network.least_coded = -1.0

    def recorded(y: Tensor, cond: Conditions, port: RateMeter, z: None = None) -> Tensor:
        kept.add(y, cond)
        return ConditionedSlices.code(latents, y, cond, port, z)

    latents.code = recorded  # type: ignore[assignment, method-assign]
    code_clips(network, passes, frames, rng)
    kept.close()
    del latents.code
    if not latents.level.any():
        calibrate(network, kept)
    save(network, output)


@torch.no_grad()
def count(output: Path, passes: int, frames: int, seed: int, still: bool) -> None:
    """Code all clips so many times, and add to the tables' counts. still: a frame of each alone."""
    network = load(output)
    code_clips(network, passes, frames, np.random.default_rng(seed), still)
    save(network, output)


def code_clips(
    network: BlockMotion,
    passes: int,
    frames: int,
    rng: np.random.Generator,
    still: bool = False,
) -> None:
    """In closed loops, frames in a row or every second one, at random qualities; counts."""
    sources = clips()
    for number in range(passes):
        for path in sources:
            video = VideoSource(path, limit=40).open()
            whole = list(video.frames())
            step = int(rng.integers(1, 3)) if len(whole) > 2 * frames else 1
            first = int(rng.integers(0, max(1, len(whole) - step * (frames - 1))))
            chosen = whole[first : first + 1] * frames if still else whole[first::step][:frames]
            quality = float(rng.uniform(2, 63))
            rgb = [rgb_of_frame(frame, video.form) for frame in chosen]
            port = Counting()
            for _ in chain(network, rgb, quality, port):
                pass
            print(
                f"{number} {path.stem:24s} q {quality:4.1f} step {step}"
                f" {float(port.total()) / 8 / len(chosen):7.0f} bytes a frame",
                flush=True,
            )


def chain(
    network: BlockMotion, frames: list[NDArray[Any]], quality: float, port: Any
) -> Iterator[tuple[Tensor, Any]]:
    """A closed loop over frames (3, H, W) in [0, 1]: each as it is shown, and its state."""
    states: tuple[Any, ...] = ()
    at = torch.tensor([quality])
    for frame in frames:
        x = torch.from_numpy(frame)[None, None]
        step = FrameStep((1, frame.shape[1], frame.shape[2]), 1, at, states)
        x_hat, state = network.code(x, step, port)
        states = (state,)
        yield x_hat[0, 0], state


def calibrate(network: BlockMotion, kept: Kept) -> None:
    """Spreads of channels from what was kept: log mean sizes, by quality."""
    places = np.random.default_rng(1).permutation(kept.count)[:128]
    with torch.no_grad():
        y, cond = kept.batch(np.sort(places))
        assert cond.quality is not None
        latents_of(network).calibrate(y, cond.quality)


class Fitting(RateMeter):
    """Counts bits and squared error of fixed latents: means learn from what is left of them.

    Symbols are as they will be coded. Where one is zero, a mean that is off costs error alone, and
    elsewhere bits alone.
    """

    def __init__(self) -> None:
        super().__init__(training=True)
        self.error: Tensor | float = 0.0

    def code(self, name: str, y: Tensor | None, dist: Distribution) -> Tensor:
        """What the decoder will see, without gradients."""
        assert y is not None and isinstance(dist, LocationScale)
        symbols = dist.quantise(y)
        y_hat = dist.dequantise(symbols)
        off = torch.where(symbols != 0, y - dist.mean, 0.0)
        bits = dist.scale_tables.training_bits(off, symbols, dist.log_scale)
        self.bits[name] = self.bits.get(name, 0.0) + bits.flatten(1).sum(1)
        self.error = self.error + (y - y_hat).square().sum()
        return y_hat.detach()


def loss_of(network: BlockMotion, y: Tensor, cond: Conditions) -> tuple[Tensor, Tensor]:
    """Bits and squared error in steps, of a pixel."""
    meter = Fitting()
    latents_of(network).code(y, cond, meter)
    pixels = 256 * y[:, 0].numel()
    assert isinstance(meter.error, Tensor)
    return meter.total().sum() / pixels, meter.error / pixels


def fit(output: Path, minutes: float, steps: int, batch: int, rate: float) -> None:
    """Train the latent model; the state is kept, and gone on with."""
    network = load(output).float()
    network.train().requires_grad_(False)
    latents = latents_of(network).requires_grad_(True)
    kept = Kept(output, network)
    optimiser = torch.optim.AdamW(latents.parameters(), lr=rate, weight_decay=1e-4)
    state_path, done = output / "state.pt", 0
    if state_path.exists():
        state = torch.load(state_path, weights_only=True)
        latents.load_state_dict(state["latents"])
        optimiser.load_state_dict(state["optimiser"])
        done = state["done"]
    lagrangian = latents.lagrangian
    begun, mean = time.monotonic(), [0.0, 0.0]
    while done < steps and time.monotonic() - begun < 60 * minutes:
        rng = np.random.default_rng((7, done))
        places = np.sort(rng.integers(0, kept.count, batch))
        left = 1 - done / steps
        for group in optimiser.param_groups:
            group["lr"] = rate * min(1, (done + 1) / 50) * (0.02 + 0.98 * min(1, left / 0.7))
        bits, error = loss_of(network, *kept.batch(places))
        loss = bits + error / lagrangian
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(latents.parameters(), 1.0)
        optimiser.step()
        done += 1
        mean[0] += float(bits.detach())
        mean[1] += float(error.detach())
        if done % 50 == 0:
            print(
                f"step {done} bpp {mean[0] / 50:.4f} error {mean[1] / 50:.4f}"
                f" loss {mean[0] / 50 + mean[1] / 50 / lagrangian:.4f}"
                f" {time.monotonic() - begun:.0f} s",
                flush=True,
            )
            mean = [0.0, 0.0]
        if done % 250 == 0 or done == steps:
            keep_state(state_path, latents, optimiser, done)
    keep_state(state_path, latents, optimiser, done)
    save(network, output)


def keep_state(path: Path, latents: Any, optimiser: torch.optim.Optimizer, done: int) -> None:
    """Beside its target first."""
    state = {"latents": latents.state_dict(), "optimiser": optimiser.state_dict(), "done": done}
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def embed(output: Path, ladder: Path | None) -> None:
    """Write the model into the package, and its card."""
    network, given = load_model(output / "model.safetensors")
    info = save_model(network, given.config, FOLDER / "video.safetensors", "video", NOTES)
    measured = {}
    if ladder is not None:
        found = json.loads(ladder.read_text(encoding="utf-8"))
        rows = {row["model_id"]: row for row in found["rows"]}
        if info.model_id.hex() not in rows:
            raise InvalidInputError(f"{ladder} is of another model: measure again")
        rates = rows[info.model_id.hex()]["bd-rate"]
        measured["clips"] = {
            "command": "python benchmarks/video_ladder.py "
            f"--clips {','.join(rates)} --frames {found['frames']}",
            "BD-rate against x264 medium, low delay, %": rates,
        }
    card = {"model_id": info.model_id.hex(), "summary": SUMMARY, "measured": measured}
    write_json(FOLDER / "video.json", card)
    print(f"{FOLDER / 'video.safetensors'}: id {info.model_id.hex()}")


def main() -> int:
    """Run the subcommand."""
    parser = parser_of(__doc__)
    parser.add_argument("--output", type=Path, default=OUTPUT)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("start")
    for name in ("collect", "count"):
        coding = commands.add_parser(name)
        coding.add_argument("--passes", type=int, default=2)
        coding.add_argument("--frames", type=int, default=10)
        coding.add_argument("--seed", type=int, default=0)
        if name == "count":
            coding.add_argument("--still", action="store_true", help="frames that stand still")
    fit_ = commands.add_parser("fit")
    fit_.add_argument("--minutes", type=float, default=60.0)
    fit_.add_argument("--steps", type=int, default=6000)
    fit_.add_argument("--batch", type=int, default=4)
    fit_.add_argument("--rate", type=float, default=2e-3)
    embed_ = commands.add_parser("embed")
    embed_.add_argument("--ladder", type=Path)
    options: argparse.Namespace = parser.parse_args()
    one_thread()
    if options.command == "start":
        start(options.output)
    elif options.command == "collect":
        collect(options.output, options.passes, options.frames, options.seed)
    elif options.command == "count":
        count(options.output, options.passes, options.frames, options.seed, options.still)
    elif options.command == "embed":
        embed(options.output, options.ladder)
    else:
        fit(options.output, options.minutes, options.steps, options.batch, options.rate)
    return 0


if __name__ == "__main__":
    run(main, "fit_video.py")
