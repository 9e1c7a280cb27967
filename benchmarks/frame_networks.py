"""Frame networks: the published HNeRV run on its 16 frames, beside plain PyTorch's.

    python benchmarks/frame_networks.py hnerv --seeds 1,2,3 --epochs 100 [--json FILE]
    python benchmarks/frame_networks.py speed [--steps 12]
    python benchmarks/frame_networks.py families CLIP [NAME...] --size 1.2bpp --steps 200
    python benchmarks/frame_networks.py differences FILE.kdc
    python benchmarks/frame_networks.py masks FILE.kdc

`hnerv` fits 194,188 values to 16 frames of 320x160 with the authors' settings, by the project's own
loop; with --halves in bfloat16, with --plain it is a plain loop in PyTorch, with --begin centred
frames begin at the clip's mean colour, with --begin even embeddings vary evenly too, as in files.
It prints the mean of frames' PSNRs, of float output, and after the parameters have 8 bits, the
embeddings 6. `speed` times steps, in turn: plain, channels last, in bfloat16, and of other batches;
then drawing alone. `families` fits each system to a clip, with --psnr up to that, and reads its
file back, on instruction sets one after the other: parameters must be equal, pixels within 1.
`differences` says what weights of a NIRVANA file take as differences to those of the group before,
and without; `masks` the same of a PFNR file's masks, given the union of earlier sessions' ones.
KODEC_DATA names the folder with the data.
"""

import argparse
import hashlib
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from kodec.codecs.fitted import Budget, FittedCodec, Phase, Ramp, Schedule, fit, read_fitted
from kodec.codecs.fitted.frame_networks.clip_frames import clip_of
from kodec.codecs.fitted.frame_networks.frame_coding import FrameCoding
from kodec.codecs.fitted.frame_networks.frame_fitting import FrameFitting, FrameRecipe
from kodec.codecs.fitted.frame_networks.nirvana_model import NIRVANA, is_whole
from kodec.codecs.fitted_families import families as all_families
from kodec.codecs.model_size import parse_model_size
from kodec.codecs.video_files.video_reading import open_video
from kodec.entropy import RateMeter
from kodec.entropy.parameters import Quantised, code_mask
from kodec.eval import psnr
from kodec.models.fields import (
    ConvNeXtEncoder,
    FrameDesign,
    FrameNetwork,
    Recipe,
    encoder_widths,
    hnerv,
)
from kodec.native import InvalidInputError
from reporting import parser_of, run, write_json

SIZE, FRAMES, BUDGET = (160, 320), 16, 0.2e6
STRIDES = (5, 4, 2, 2)
BATCH, RATE = 2, 1e-3
# What PyTorch and oneDNN may use.
INSTRUCTIONS = (("default", "SSE41"), ("avx2", "AVX2"), ("avx512", "AVX512_CORE"))
TABLE = {100: (26.28, 26.25), 300: (31.45, 31.36)}
# After how many epochs the authors' runs were evaluated: of so many epochs or more.
EVALUATED = ((300, 25), (0, 10))


def clip() -> Tensor:
    """The 16 frames, uint8 (16, 3, 160, 320)."""
    path = Path(os.environ["KODEC_DATA"]) / "reference" / "inr-bunny16-160x320.npz"
    return torch.from_numpy(np.load(path)["frames"]).permute(0, 3, 1, 2).contiguous()


def design() -> FrameDesign:
    """The authors' network for the budget."""
    return hnerv(SIZE, FRAMES, BUDGET, Recipe(STRIDES, (1, 5), 1.2, 12, rounded=True))


def networks(seed: int) -> tuple[FrameNetwork, ConvNeXtEncoder]:
    """As the authors initialise them."""
    torch.manual_seed(seed)
    encoder = ConvNeXtEncoder(STRIDES, encoder_widths(STRIDES))
    return design().build(), encoder


class Uncoded:
    """Parameters as they are, at 32 bits."""

    def __call__(self, parameters: Mapping[str, Tensor]) -> tuple[Mapping[str, Tensor], float]:
        return parameters, 32.0 * sum(value.numel() for value in parameters.values())

    def rounded(self, name: str, value: Tensor) -> Tensor:
        return value


def fitted(seed: int, epochs: int, halves: bool = False, begun: str = "drawn") -> dict[str, Any]:
    """The project's loop."""
    network, encoder = networks(seed)
    frames = clip().float() / 255
    if begun == "even":
        encoder.begin_evenly(frames)
    if begun != "drawn":
        network.begin_at(frames.mean((0, 2, 3)))
    recipe = FrameRecipe("mse", BATCH, halves=halves)
    fitting = FrameFitting(network, clip(), Uncoded(), recipe, encoder, seed=seed)
    steps = recipe.steps(FRAMES, epochs)
    phase = Phase(1.0, Ramp(RATE, 0.0, "cosine", 0.1, 0.1), measure_every=steps // 10)
    curve = []

    def shown(done: int, total: int, label: str) -> None:
        if done % (steps // 10) == 0:
            curve.append(label)
            print(f"  {done * BATCH // FRAMES} epochs: {label}", flush=True)

    began = time.process_time()
    fit(fitting, Schedule((phase,), (steps,)), Budget(steps=steps), shown)
    seconds = time.process_time() - began
    plain = fitting.measure()
    fitting.coding = FrameCoding(8.0, 6.0)
    quantised = fitting.measure()
    return {
        "seed": seed,
        "psnr": plain.psnr,
        "psnr_8_6": quantised.psnr,
        "bpp": quantised.bpp,
        "seconds_an_epoch": seconds / epochs,
    }


def plain(seed: int, epochs: int) -> dict[str, Any]:
    """The same in plain PyTorch, as the authors' script goes on: with seed 1 it is the table's run.

    Frames come in the order of PyTorch's loader, which an evaluation, of two networks, moves on.
    """
    network, encoder = networks(seed)
    x = clip().float() / 255
    loader = DataLoader(TensorDataset(x), batch_size=BATCH, shuffle=True, drop_last=True)
    every = next(often for least, often in EVALUATED if epochs >= least)
    fitting = FrameFitting(network, clip(), Uncoded(), FrameRecipe(), encoder)
    optimiser = torch.optim.Adam([*encoder.parameters(), *network.parameters()])
    began = time.process_time()
    for epoch in range(epochs):
        for number, (batch,) in enumerate(loader):
            passed = (epoch + number / len(loader)) / epochs
            cosine = 0.5 * (math.cos(math.pi * (passed - 0.1) / 0.9) + 1)
            share = 0.1 + 0.9 * passed / 0.1 if passed < 0.1 else cosine
            for group in optimiser.param_groups:
                group["lr"] = RATE * share
            out = network(torch.zeros(len(batch)), encoder(batch))
            loss = (out - batch).square().flatten(1).mean(1).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        if (epoch + 1) % every == 0 or epochs - epoch in (1, 3, 5):
            before = time.process_time()
            for _ in range(2):
                next(iter(DataLoader(TensorDataset(x), batch_size=BATCH)))
            print(f"  {epoch + 1} epochs: {fitting.measure().psnr:.2f} dB", flush=True)
            began += time.process_time() - before
    seconds = time.process_time() - began
    return {
        "seed": seed,
        "psnr": fitting.measure().psnr,
        "seconds_an_epoch": seconds / epochs,
    }


def speed(steps: int) -> dict[str, float]:
    """CPU milliseconds a frame of a step, forward and backward, the least of `steps` in turn."""
    kinds: dict[str, tuple[bool, bool, int]] = {
        "plain": (False, False, 2),
        "channels last": (True, False, 2),
        "bfloat16": (False, True, 2),
        "batch of 1": (False, False, 1),
        "batch of 4": (False, False, 4),
        "batch of 8": (False, False, 8),
    }
    pairs = {}
    for name, (last, _, _) in kinds.items():
        pairs[name] = networks(1)
        for module in pairs[name] if last else ():
            module.to(memory_format=torch.channels_last)
    x = clip().float() / 255
    found: dict[str, float] = {}
    for _ in range(steps):
        for name, (last, halves, batch) in kinds.items():
            network, encoder = pairs[name]
            part = x[:batch].contiguous(
                memory_format=torch.channels_last if last else torch.contiguous_format
            )
            began = time.process_time()
            with torch.autocast("cpu", torch.bfloat16, enabled=halves):
                out = network(torch.zeros(batch), encoder(part))
            (out.float() - part).square().mean().backward()
            taken = 1000 * (time.process_time() - began) / batch
            found[name] = min(taken, found.get(name, math.inf))
    for name, taken in found.items():
        print(f"{name}: {taken:.1f} ms a frame, {taken / found['plain']:.2f} of plain")
    return found


def playing(steps: int) -> dict[str, float]:
    """CPU milliseconds a frame of drawing alone, the least of `steps` in turn."""
    kinds: dict[str, tuple[bool, bool, int]] = {
        "frame by frame": (False, False, 1),
        "channels last": (True, False, 1),
        "bfloat16": (False, True, 1),
        "both": (True, True, 1),
        "batch of 4": (False, False, 4),
    }
    found: dict[str, float] = {}
    pairs = {name: networks(1)[0] for name in kinds}
    for name, (last, _, _) in kinds.items():
        if last:
            pairs[name].to(memory_format=torch.channels_last)
    for _ in range(steps):
        for name, (last, halves, batch) in kinds.items():
            layout = torch.channels_last if last else torch.contiguous_format
            embedding = torch.ones(batch, 16, 2, 4).contiguous(memory_format=layout)
            began = time.process_time()
            with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=halves):
                pairs[name](torch.zeros(batch), embedding)
            taken = 1000 * (time.process_time() - began) / batch
            found[name] = min(taken, found.get(name, math.inf))
    for name, taken in found.items():
        share = taken / found["frame by frame"]
        print(f"playing, {name}: {1000 / taken:.0f} frames a second, {share:.2f} of the time")
    return found


def hashes(path: Path) -> tuple[str, NDArray[np.uint8], float]:
    """A file's parameters, its frames, and frames drawn a second."""
    with path.open("rb") as file:
        found = read_fitted(file)
    digest = hashlib.sha256()
    for name in sorted(found.parameters):
        value = found.parameters[name]
        tensor = value.dequantise() if isinstance(value, Quantised) else value
        digest.update(name.encode() + tensor.numpy().tobytes())
    began = time.process_time()
    frames = np.stack(list(found.reconstruction.frames()))
    return digest.hexdigest(), frames, len(frames) / (time.process_time() - began)


def elsewhere(path: Path, own: tuple[str, NDArray[np.uint8]]) -> str:
    """The same in processes that use other instructions."""
    worst = []
    for capability, isa in INSTRUCTIONS:
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "frames.npz"
            code = (
                "import sys, numpy as np, frame_networks as f, pathlib;"
                "h, x, _ = f.hashes(pathlib.Path(sys.argv[1]));"
                "np.savez(sys.argv[2], h=h, x=x)"
            )
            flags = {"ATEN_CPU_CAPABILITY": capability, "ONEDNN_MAX_CPU_ISA": isa}
            subprocess.run(
                [sys.executable, "-c", code, str(path), str(out)],
                check=True,
                env={**os.environ, **flags, "PYTHONPATH": str(Path(__file__).parent)},
            )
            with np.load(out) as stored:
                if str(stored["h"]) != own[0]:
                    return f"parameters differ with {capability}"
                difference = np.abs(stored["x"].astype(int) - own[1].astype(int))
            worst.append(f"{capability} {difference.max()}")
    return "parameters equal; pixels differ by at most " + ", ".join(worst)


def families(
    names: Sequence[str],
    clip_path: Path,
    frames: int,
    size: str,
    steps: int,
    until: float | None = None,
) -> None:
    """Fit each to a clip, write its file, and read it back."""
    opened = open_video(clip_path, limit=frames)
    source = clip_of(opened.frames(), opened.form)
    for name in names:
        codec = FittedCodec(name, Budget(steps=steps), size=parse_model_size(size), until=until)
        try:
            coded = codec.fit(source)
        except InvalidInputError as error:
            print(f"{name}: {error}", flush=True)
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.kdc"
            path.write_bytes(coded.data)
            digest, shown, rate = hashes(path)
            decibels = [psnr(a, b, 255) for a, b in zip(source.pixels, shown, strict=True)]
            bpp = 8 * path.stat().st_size / source.size.pixels
            ended = f"{coded.run.done} steps"
            if until is not None:
                ended += f", {until:g} dB {'reached' if coded.reached else 'not reached'}"
            print(
                f"{name}: {coded.model.cost().parameters:,} parameters, {len(coded.data):,} bytes, "
                f"{bpp:.4f} bpp, {np.mean(decibels):.2f} dB, {ended}, "
                f"{rate:.1f} frames a CPU second; {elsewhere(path, (digest, shown))}",
                flush=True,
            )


def differences(path: Path) -> None:
    """Bytes of a NIRVANA file's weights with what earlier packets tell, and without."""
    with path.open("rb") as file:
        found = read_fitted(file)
    model = found.model
    assert isinstance(model, NIRVANA), "groups with differences are NIRVANA's"
    for told in (True, False):
        meter = RateMeter(training=False)
        for packet in range(model.cost().packets):
            if not told:
                model.forget()
            model.code(found.parameters, meter, packet)
        total = {name: float(bits.sum()) / 8 for name, bits in meter.bits.items()}
        weights = sum(size for name, size in total.items() if is_whole(name))
        what = "as differences where they are shorter" if told else "each group by itself"
        print(f"{what}: {sum(total.values()):,.0f} bytes, of sine layers {weights:,.0f}")


def masks(path: Path) -> None:
    """Bytes of a PFNR file's masks given earlier sessions' union, and without."""
    with path.open("rb") as file:
        found = read_fitted(file)
    union: dict[str, Tensor] = {}
    for session in range(len(found.model.sessions)):
        given, alone, count = RateMeter(training=False), RateMeter(training=False), 0
        for key, mask in found.parameters.items():
            number, _, name = key.partition(".")
            if number == str(session) and key.endswith("/mask"):
                code_mask(given, name, mask, mask.shape, union.get(name))
                code_mask(alone, name, mask, mask.shape)
                union[name], count = union.get(name, mask) | mask, count + mask.numel()
        told, plain = (sum(float(b.sum()) for b in m.bits.values()) for m in (given, alone))
        print(
            f"session {session}: masks of {count:,} weights, {told / 8:,.0f} bytes given the union "
            f"({told / count:.3f} bits a weight), {plain / 8:,.0f} by themselves; the packet has "
            f"{len(found.packets[session]):,}"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one of the commands."""
    parser = parser_of(__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    first = commands.add_parser("hnerv")
    first.add_argument("--seeds", default="1")
    first.add_argument("--epochs", type=int, default=100)
    first.add_argument("--plain", action="store_true")
    first.add_argument("--halves", action="store_true")
    first.add_argument("--begin", choices=("drawn", "centred", "even"), default="drawn")
    first.add_argument("--json", type=Path)
    second = commands.add_parser("speed")
    second.add_argument("--steps", type=int, default=12)
    third = commands.add_parser("families")
    third.add_argument("clip", type=Path)
    third.add_argument("names", nargs="*")
    third.add_argument("--frames", type=int, default=8)
    third.add_argument("--size", default="1.2bpp")
    third.add_argument("--steps", type=int, default=200)
    third.add_argument("--psnr", type=float, help="where fits end")
    for name in ("differences", "masks"):
        commands.add_parser(name).add_argument("file", type=Path)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    if options.command == "speed":
        speed(options.steps)
        playing(3 * options.steps)
        return 0
    if options.command == "families":
        known = [family.name for family in all_families() if 16 <= family.number < 32]
        families(
            options.names or known,
            options.clip,
            options.frames,
            options.size,
            options.steps,
            options.psnr,
        )
        return 0
    if options.command == "differences":
        differences(options.file)
        return 0
    if options.command == "masks":
        masks(options.file)
        return 0
    return _hnerv(options)


def _hnerv(options: argparse.Namespace) -> int:
    rows = []
    for seed in (int(text) for text in options.seeds.split(",")):
        print(f"-- seed {seed}", flush=True)
        if options.plain:
            row = plain(seed, options.epochs)
        else:
            row = fitted(seed, options.epochs, options.halves, options.begin)
        rows.append(row)
        print("  " + ", ".join(f"{name} {value:.4g}" for name, value in row.items()), flush=True)
    values = [row["psnr"] for row in rows]
    print(f"{options.epochs} epochs: {sum(values) / len(values):.2f} dB on average")
    if options.epochs in TABLE:
        print(f"the table has {TABLE[options.epochs][0]} dB, quantised {TABLE[options.epochs][1]}")
    if options.json is not None:
        write_json(options.json, {"epochs": options.epochs, "runs": rows})
    return 0


if __name__ == "__main__":
    run(main, "frame_networks.py")
