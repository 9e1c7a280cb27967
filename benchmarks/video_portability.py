"""Table of `video.py portability`: chains of frames between instruction sets, and moved states.

The best kernels on one thread and the oldest on two write 300 frames of 64x64 and 48 of foreman in
one chain each, with an untrained closed loop or the model that is named, a packet a frame. Both
kernels on one thread and on two read all files: each frame must be the writer's, every sample of
it. Then everything that enters a state is moved in the reader, up or down at random: by 0.99 of its
guard all frames must be the same; by 1e-3 in one frame that frame must be an error.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor

from kodec.codecs import ChunkReader, find_model, save_model
from kodec.codecs.sequences.video_codec import VideoCodec, load_video
from kodec.codecs.sequences.video_encoder import Coding
from kodec.codecs.video_files.frames import Frame, VideoFormat
from kodec.entropy import SymbolReader
from kodec.native import KodecError
from portability import OLDEST_MKL
from small_loops import SMALL as SIZES
from small_loops import small_model
from video_costs import foreman, made_frames

VARIANTS: dict[str, tuple[int, dict[str, str]]] = {
    "best-1": (1, {}),
    "best-2": (2, {}),
    "oldest-1": (1, OLDEST_MKL),
    "oldest-2": (2, OLDEST_MKL),
}
WRITERS = ("best-1", "oldest-2")
CHAINS = {"64x64": 300, "foreman": 48}
MODEL = "model.safetensors"
WITHIN, OUTSIDE = 0.99, 1e-3
SMALL = VideoFormat(64, 64, "420", 8, Fraction(25))


def add_to(tables: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The parser."""
    parser = tables.add_parser("portability", help="chains of frames between instruction sets")
    parser.add_argument("--frames", type=int, help="of each chain, at most")
    parser.add_argument("--model", help="a name or file in place of the untrained closed loop")
    parser.add_argument("--chain", choices=CHAINS, help="one chain alone")
    parser.add_argument("--job", nargs=3, help=argparse.SUPPRESS)
    parser.set_defaults(measure=measure)


def save_small_model(path: Path) -> None:
    """An untrained closed loop's model file."""
    arguments = {**SIZES, "gain": (1.0, 4.0)}
    section = {"class_path": "kodec.codecs.ScaleSpaceFlow", "init_args": arguments}
    save_model(small_model("scale-space", gain=(1.0, 4.0)).float(), section, path, "small")


def chain(name: str, count: int) -> tuple[VideoFormat, Iterator[Frame]]:
    """The frames of a chain."""
    if name == "64x64":
        return SMALL, made_frames(SMALL, count)
    clip = foreman(count)
    return clip.form, clip.frames()


def hash_of(frame: Frame) -> str:
    """Of every sample."""
    return hashlib.sha256(b"".join(plane.tobytes() for plane in frame)).hexdigest()[:16]


def write(codec: VideoCodec, folder: Path, limit: int) -> dict[str, str]:
    """Code both chains; what shows which kernels did."""
    for name, count in CHAINS.items():
        form, frames = chain(name, min(count, limit))
        shown: list[str] = []
        with (
            (folder / f"{name}.kdc").open("wb") as file,
            codec.encoder(
                *(file, form, Coding(scene_cuts=False, share=1)),
                on_step=lambda coded: shown.extend(map(hash_of, coded.shown)),  # noqa: B023
            ) as encoder,
        ):
            for frame in frames:
                encoder.push(frame)
        (folder / f"{name}.json").write_text(json.dumps(shown))
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(192, 192, generator=generator, dtype=torch.float64)
    product = hashlib.sha256((x @ x).numpy().tobytes()).hexdigest()[:8]
    return {"aten": torch.backends.cpu.get_cpu_capability(), "matmul64": product}


@contextmanager
def moved(shift: float, unit: str, number: int | None = None) -> Iterator[None]:
    """Readers whose states are off: by `shift` guards or absolutely, always or in one frame."""
    snap, count = SymbolReader.snap, 0
    generator = torch.Generator().manual_seed(3)

    def off(self: SymbolReader, name: str, x: Tensor, step: float, guard: float) -> Tensor:
        nonlocal count
        # A filtered keyframe is snapped before, too.
        shown = name == "frame"
        if number is None or (shown and count == number):
            by = shift * (guard if unit == "guard" else 1.0)
            up = torch.rand(x.shape, generator=generator) < 0.5
            x = x + torch.where(up, by, -by).to(x)
        count += shown
        return snap(self, name, x, step, guard)

    with patch.object(SymbolReader, "snap", off):
        yield


def read(codec: VideoCodec, path: Path) -> str:
    """What a file comes to: the same, or in which frame it does not."""
    right = json.loads(path.with_suffix(".json").read_text())
    number = 0
    try:
        for shown in codec.decoder(ChunkReader(path.read_bytes())):
            if hash_of(shown.picture) != right[number]:
                return f"ANOTHER FRAME {number}"
            number += 1
    except KodecError as error:
        return f"{type(error).__name__} in frame {number}"
    return "same" if number == len(right) else f"ONLY {number} FRAMES"


def read_all(codec: VideoCodec, folder: Path) -> dict[str, str]:
    """Every writer's files."""
    return {
        f"{writer} {name}": read(codec, folder / writer / f"{name}.kdc")
        for writer in WRITERS
        for name in CHAINS
    }


def move(codec: VideoCodec, folder: Path, limit: int) -> dict[str, str]:
    """One writer's files with moved states."""
    found = {}
    for name, count in CHAINS.items():
        path = folder / "best-1" / f"{name}.kdc"
        with moved(WITHIN, "guard"):
            found[f"{name}, {WITHIN} of the guard, every frame"] = read(codec, path)
        frame = min(count, limit) // 2
        with moved(OUTSIDE, "absolute", frame):
            found[f"{name}, {OUTSIDE:g} in frame {frame}"] = read(codec, path)
    return found


def work(action: str, folder: Path, variant: str, limit: int) -> dict[str, str]:
    """What a child process does."""
    # Not built anew: random numbers depend on the kernels too.
    codec = load_video(folder / MODEL)
    torch.set_num_threads(VARIANTS[variant][0])
    if action == "write":
        (folder / variant).mkdir()
        return write(codec, folder / variant, limit)
    return read_all(codec, folder) if action == "read" else move(codec, folder, limit)


def child(action: str, folder: str, variant: str, limit: int) -> dict[str, str]:
    """The same in a process with the variant's kernels."""
    threads, environment = VARIANTS[variant]
    inherited = {k: v for k, v in os.environ.items() if k not in OLDEST_MKL}
    script = Path(__file__).with_name("video.py")
    job = ["--job", action, folder, variant, "--frames", str(limit)]
    if len(CHAINS) == 1:
        job += ["--chain", *CHAINS]
    done = subprocess.run(
        [sys.executable, str(script), "portability", *job],
        env={
            **inherited,
            **environment,
            "OMP_NUM_THREADS": str(threads),
            "OMP_WAIT_POLICY": "passive",
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode:
        raise KodecError(f"the child process {variant} ({action}) failed, see above")
    found: dict[str, str] = json.loads(done.stdout.splitlines()[0])
    return found


def measure(options: argparse.Namespace) -> bool:
    """Write, read and move in processes of their own."""
    limit = options.frames or max(CHAINS.values())
    for other in [name for name in CHAINS if options.chain not in (None, name)]:
        del CHAINS[other]
    if options.job:
        action, folder, variant = options.job
        print(json.dumps(work(action, Path(folder), variant, limit)))
        return True
    with tempfile.TemporaryDirectory(prefix="kodec-video-") as folder:
        if options.model is None:
            save_small_model(Path(folder) / MODEL)
        else:
            shutil.copyfile(find_model(options.model), Path(folder) / MODEL)
        for variant in WRITERS:
            shown = child("write", folder, variant, limit)
            print(f"{variant:9s} writes with {shown}", flush=True)
        held = True
        print(f"\n{'reader':9s} {'writer and chain':20s} outcome")
        for variant in VARIANTS:
            for chain_, outcome in child("read", folder, variant, limit).items():
                print(f"{variant:9s} {chain_:20s} {outcome}", flush=True)
                held &= outcome == "same"
        print("\nstates moved in the reader")
        for what, outcome in child("move", folder, "best-1", limit).items():
            print(f"{what:40s} {outcome}")
            wanted = "same" if "guard" in what else f"MismatchError in frame {what.split()[-1]}"
            held &= outcome == wanted
    return held
