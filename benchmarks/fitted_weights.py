"""Weights of one fitted network: what each way to code them takes, beside the papers' own counts.

    python benchmarks/fitted_weights.py CLIP [--frames 8] [--size 20000] [--steps 300] [--tune 150]
        [--json REPORT.json]

An HNeRV is fitted to the first frames of a clip in floats. Then the same weights, as they are:
steps of 8, 6 and 5 bits a tensor; HNeRV's steps over axes and HiNeRV's symmetric ones; each kind of
model alone, and pooled. And fitted further from there, all in as many steps: rounded, pruned and
rounded, with a penalty for rate (CEM), both. Bytes are real ones of whole streams, read back.
Beside them what the papers count: NeRV, kept weights x bits, without masks, steps and tables;
HNeRV, one Huffman code for all, without its table, and 16 bits for each step and minimum;
Boosting-NeRV, Gaussians, and 96 bits a tensor.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kodec.codecs.fitted import Budget, Goal, Phase, Ramp, Schedule, fit
from kodec.codecs.fitted.fitting import set_values
from kodec.codecs.fitted.frame_networks.clip_frames import clip_of
from kodec.codecs.fitted.frame_networks.frame_coding import FrameCoding
from kodec.codecs.fitted.frame_networks.frame_fitting import KEPT, RATE, ROUNDED
from kodec.codecs.fitted.frame_networks.frame_model import FrameFileFitting
from kodec.codecs.fitted_families import family_named
from kodec.codecs.model_size import ModelSize
from kodec.codecs.video_files.video_reading import open_video
from kodec.entropy import SymbolReader, SymbolWriter
from kodec.entropy.parameters import (
    ParameterCoder,
    Quantised,
    TensorLayout,
    integer_code,
    symmetric,
    uniform,
)
from kodec.entropy.parameters.quantised_training import gaussian_bits
from kodec.native import KodecError
from parameter_coding import huffman_bits
from reporting import parser_of, run, write_json

Tensors = Mapping[str, Quantised]


def real_bytes(tensors: Tensors, pooled: bool = True) -> int:
    """Of a whole stream, read back and compared."""
    layout = {
        name: TensorLayout(t.integers.shape, _pool(name, t) if pooled else name, t.mask is not None)
        for name, t in tensors.items()
    }
    writer = SymbolWriter(1)
    ParameterCoder(layout).code(tensors, writer)
    (stream,) = writer.finish()
    reader = SymbolReader([stream])
    back = ParameterCoder(layout).code(None, reader)
    reader.finish()
    if any(not torch.equal(back[n].dequantise(), t.dequantise()) for n, t in tensors.items()):
        raise KodecError("weights came back otherwise")
    return len(stream)


def _pool(name: str, tensor: Quantised) -> str:
    if name == "embedding":
        return name
    return "weights" if tensor.integers.dim() > 1 else "biases"


def of_kind(tensors: Tensors, kind: str) -> int:
    """Where there is one kind of model alone."""
    usual = integer_code._candidates

    def only(distinct: Any, counts: Any) -> list[Any]:
        models = usual(distinct, counts)
        place = integer_code.KINDS.index(kind)
        return [model for model in models if model.kind == place] or models

    integer_code._candidates = only
    try:
        return real_bytes(tensors)
    finally:
        integer_code._candidates = usual


def counted(tensors: Tensors, bits: int) -> dict[str, int]:
    """What the papers' formulas give, in bytes."""
    kept = [t.integers if t.mask is None else t.integers[t.mask] for t in tensors.values()]
    flat = torch.cat([part.reshape(-1) for part in kept]).numpy()
    sides = sum(16 * t.step.numel() * (1 + (t.offset is not None)) for t in tensors.values())
    gaussian = sum(float(gaussian_bits(part.float())) for part in kept) + 96 * len(kept)
    return {
        "nerv": round(len(flat) * bits / 8),
        "hnerv": round((huffman_bits(flat) + sides) / 8),
        "boosting": round(gaussian / 8),
    }


def main() -> int:
    """Fit, code, print."""
    parser = parser_of(__doc__)
    parser.add_argument("clip", type=Path)
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--size", type=int, default=20_000)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--tune", type=int, default=150)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    opened = open_video(options.clip, limit=options.frames)
    clip = clip_of(opened.frames(), opened.form)
    fitting = (
        family_named("hnerv")
        .model()
        .fitting(clip, Goal(size=ModelSize(options.size), preset="pruned,penalised"))
    )
    assert isinstance(fitting, FrameFileFitting)
    rate = Ramp(1e-3, 1e-4, "cosine", 0.1, 0.1)
    fit(fitting, Schedule((Phase(1.0, rate, measure_every=100),), ()), Budget(options.steps))
    begun = {name: value.detach().clone() for name, value in fitting.values.items()}
    rows: list[dict[str, Any]] = []

    def add(name: str, tensors: Tensors, bits: int, size: int | None = None) -> None:
        decoded = {n: t.dequantise().reshape(own[n].shape) for n, t in tensors.items()}
        with torch.no_grad():
            every = torch.arange(len(fitting.frames))
            error = fitting._errors(decoded, every)
        row = {
            "way": name,
            "psnr": round(float((-10 * error.log10()).mean()), 2),
            "bytes": real_bytes(tensors) if size is None else size,
            **counted(tensors, bits),
        }
        rows.append(row)
        print(json.dumps(row), flush=True)

    own = fitting.sent()
    for bits in (8, 6, 5):
        add(f"{bits} bits a tensor", FrameCoding(bits, min(bits, 6)).quantised(own), bits)
    plain = FrameCoding(6.0, 6.0).quantised(own)
    add("6 bits, each tensor its own model", plain, 6, real_bytes(plain, pooled=False))
    for kind in integer_code.KINDS:
        add(f"6 bits, {kind} alone", plain, 6, of_kind(plain, kind))
    ways: dict[str, Callable[[Any], Quantised]] = {
        "HNeRV's axes, 6 bits": lambda value: uniform(value, 6),
        "HiNeRV's symmetric, 6 bits": lambda value: symmetric(value, 6),
    }
    for name, way in ways.items():
        add(name, {n: way(value) for n, value in own.items()}, 6)
    slower = Ramp(5e-4, 0.0, "cosine")
    rounded, kept = {ROUNDED: Ramp(1.0, 1.0)}, {KEPT: Ramp(0.85, 0.85)}
    penalty = {**rounded, RATE: Ramp(0.2, 0.2)}
    tuned = {
        "fitted further, rounded": rounded,
        "fitted further, pruned to 85 %, rounded": {**rounded, **kept},
        "fitted further, penalty for rate": penalty,
        "fitted further, pruned to 85 %, penalty": {**penalty, **kept},
    }
    for name, knobs in tuned.items():
        set_values(fitting, begun)
        phase = Phase(1.0, slower, knobs, measure_every=options.tune, new_optimiser=True)
        phase = replace(phase, forget=True)
        fit(fitting, Schedule((phase,), ()), Budget(options.tune))
        assert isinstance(fitting.coding, FrameCoding)
        own = fitting.sent()
        add(name, fitting.coding.quantised(own), 6)
    if options.json is not None:
        write_json(
            options.json, {"values": int(sum(np.prod(v.shape) for v in own.values())), "rows": rows}
        )
    return 0


if __name__ == "__main__":
    run(main, "fitted_weights.py", (KodecError, OSError))
