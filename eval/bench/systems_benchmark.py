"""How long systems take for a picture, with random weights, CompressAI's own models beside them."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from kodec.codecs import Codec, ModelInfo, PictureCodec, build_module, to_tensor
from kodec.codecs.model_file import model_id
from kodec.eval.running.machine import describe_machine
from kodec.eval.running.run import Progress
from kodec.native import InvalidInputError, KodecError

from .bench_report import BenchReport
from .compressai_models import STRIDE, CompressAIModel, coded_bytes, published
from .race import Contestant, Pixels, Race, Ratio, Spread, threads_of
from .system_weights import import_weights, set_own_weights, set_their_weights

PORTABILITIES = ("local", "guarded")
QUALITY = 32.0
"""Of systems of variable rate."""
MOST_LEVELS_APART = 0.1
"""On average, of pixels 0..255: the same codec with the same weights, in other arithmetic."""


@dataclass(frozen=True)
class SystemRow:
    """One system: CompressAI's model, or ours in a portability class; seconds."""

    system: str
    coder: str
    """`CompressAI`, `local` or `guarded`."""
    parameters: int
    bytes: int
    encode: Spread
    decode: Spread
    encode_ratio: Ratio | None
    """How many times as fast as CompressAI; None where it has no such model."""
    decode_ratio: Ratio | None


@dataclass(frozen=True)
class SystemsReport(BenchReport):
    """What `bench_systems` measured, and on what."""

    benchmark = "systems"

    rows: tuple[SystemRow, ...]


def bench_systems(
    sections: Mapping[str, Mapping[str, Any]],
    picture: tuple[str, Pixels],
    repeats: int = 3,
    threads: int = 1,
    progress: Progress | None = None,
) -> SystemsReport:
    """Measure every system on one picture.

    sections: by name, what a config says of its codec. A name that is one of CompressAI's models'
    has that model beside it, with the same weights. Each system is measured in both portability
    classes: local, whose entropy path runs in float32 as CompressAI's does, and guarded. picture:
    name and pixels, uint8 (H, W, 3), of which the upper left is taken, whole strides (64) of
    CompressAI's models, so that none of them pads. repeats, threads: as for `bench_pictures`.

    Those of one system must decode to the same picture, up to rounding: KodecError where they do
    not. Raises InvalidInputError for arguments that are out of range.
    """
    name, pixels = picture
    height, width = (side // STRIDE * STRIDE for side in pixels.shape[:2])
    if pixels.shape[2] != 3 or not height or not width:
        raise InvalidInputError(f"{name} is gray or below {STRIDE}x{STRIDE}: name an RGB picture")
    pixels = np.ascontiguousarray(pixels[:height, :width])
    race = Race(repeats, threads, len(sections), progress)
    rows: list[SystemRow] = []
    with threads_of(threads, threads):
        for system, section in sections.items():
            rows += _measure(system, section, pixels, race)
        machine = describe_machine()
    race.done()
    settings = {
        "picture": name,
        "width": width,
        "height": height,
        "repeats": repeats,
        "threads": threads,
        "clock": race.clock_name,
    }
    return SystemsReport(machine, settings, tuple(rows))


def _measure(
    system: str, section: Mapping[str, Any], pixels: Pixels, race: Race
) -> list[SystemRow]:
    torch.manual_seed(0)
    x = to_tensor(pixels).contiguous()
    network = _network(section)
    quality = int(QUALITY) if network.variable_rate else None
    theirs: Any = published(system)
    if theirs is None:
        set_own_weights(network.eval(), x, QUALITY)
        state = network.state_dict()
    else:
        set_their_weights(theirs, system, x)
        state = import_weights(theirs, system)
    contestants: list[Contestant] = []
    if theirs is not None:
        contestants.append(CompressAIModel(theirs).contestant("CompressAI", pixels))
    for portability in PORTABILITIES:
        own = deepcopy(dict(section))
        own["init_args"]["portability"] = portability
        ready = _network(own)
        ready.load_state_dict(state)
        ready.deploy()
        codec = Codec(ready, ModelInfo(system, own, model_id(ready, own)))
        contestants.append(_ours(portability, codec, pixels, quality))
    race.run(system, contestants)
    _check_same(system, contestants)
    reference = contestants[0] if theirs is not None else None
    parameters = sum(p.numel() for p in network.parameters())
    return [
        SystemRow(
            system=system,
            coder=one.name,
            parameters=parameters,
            bytes=coded_bytes(one.results["encode"]),
            encode=one.spread("encode"),
            decode=one.spread("decode"),
            encode_ratio=one.times_as_fast("encode", reference),
            decode_ratio=one.times_as_fast("decode", reference),
        )
        for one in contestants
    ]


def _network(section: Mapping[str, Any]) -> PictureCodec:
    network = build_module(dict(section))
    if not isinstance(network, PictureCodec):
        raise InvalidInputError(f"{section['class_path']} is no picture codec")
    return network


def _ours(name: str, codec: Codec, pixels: Pixels, quality: int | None) -> Contestant:
    steps = {"encode": lambda _: codec.encode(pixels, quality), "decode": codec.decode}
    return Contestant(name, steps)


def _check_same(system: str, contestants: Sequence[Contestant]) -> None:
    first, *others = (one.results["decode"].astype(int) for one in contestants)
    for one, decoded in zip(contestants[1:], others, strict=True):
        apart = float(np.abs(decoded - first).mean())
        if apart > MOST_LEVELS_APART:
            raise KodecError(
                f"{system}: {one.name} and {contestants[0].name} differ by {apart:.3f} levels; "
                "please report it"
            )
