"""Damaged files: an error in one line or the right picture, in bounded time and memory.

    python benchmarks/damage.py [--model default] [--values 255] [--mutations 1000]
                                [--sealed 1000] [--small] [--json REPORT.json]

Four files of a 64x48 picture that is rendered here, one with an ICC profile and EXIF, one in tiles
of 32x32 with alpha, too, and one of 16 bits in such tiles. --small: by a model of a few channels
that is made here, which tries some hundred thousand cases in the time of some thousand.

1. every change of a single byte, every truncation, and random mutations. Almost all of these end
   at the container's checksums, so then
2. mutations inside, with checksums made right again: of the container's parts ("container sealed")
   and of the coder's segment too ("stream sealed"). Against a forger checksums are no protection:
   an error or a picture, but no crash, no hang, no memory.
3. heads that claim a huge picture, the coder's symbol count forged to match: the memory that such a
   file of a few hundred bytes makes the decoder take is reported, not judged. Not with --small,
   whose one block of latents takes as much as the claim says.

Failures, after which the exit status is 1: another exception than kodec's or one of several lines;
a wrong picture or wrong metadata in part 1; a crash of the process; a decode slower than --limit
seconds; peak memory, beside what the loaded model takes, above 4 times that of the sound file.
"""

import argparse
import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageCms

from forging import (
    PREAMBLE_BYTES,
    NeverRightError,
    Tally,
    mutate,
    mutate_chunks,
    seal,
    seal_stream,
    split,
)
from kodec.codecs import Codec, Picture, PictureCodec, build_module, load, save_model
from kodec.codecs.container.varint import read_varint, write_varint
from kodec.codecs.peak_memory import PeakMemory
from kodec.native import KodecError
from reporting import parser_of, run, write_report

WIDTH, HEIGHT, QUALITY = 64, 48, 32
TILE = (32, 32)
MEMORY_FACTOR = 4.0
KINDS = ("plain", "with ICC profile and EXIF", "in tiles with alpha", "of 16 bits in tiles")
IN_TILES = KINDS[2:]
CLAIMED_SIDES = (1024, 4096, 16384, 32768)


def render() -> Picture:
    """A picture with smooth areas, edges and noise."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    noise = np.random.default_rng(7).normal(0, 6, (HEIGHT, WIDTH, 3))
    smooth = np.stack([90 + 2 * x, 60 + 3 * y, 200 - x - y], axis=-1)
    disc = 70.0 * ((x - 40) ** 2 + (y - 20) ** 2 < 150)
    return Picture(np.clip(smooth + disc[..., None] + noise, 0, 255).astype(np.uint8))


def source(kind: str) -> Picture:
    """The picture of that kind of file."""
    picture = render()
    if kind == KINDS[0]:
        return picture
    if kind == KINDS[3]:
        return Picture(picture.pixels.astype(np.uint16) * 257)
    picture = with_metadata(picture)
    if kind == KINDS[1]:
        return picture
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    alpha = np.clip(20 * (20 - np.hypot(x - 30, y - 24)), 0, 255).astype(np.uint8)
    return replace(picture, alpha=alpha, xmp=b"<x/>", colour={"gAMA": bytes(4)})


def with_metadata(picture: Picture) -> Picture:
    """The picture with an sRGB profile and an EXIF block."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "rendered"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    undated = profile[:24] + bytes(12) + profile[36:]
    return Picture(picture.pixels, undated, exif.tobytes().removeprefix(b"Exif\0\0"))


def single_bytes(data: bytes, values: int, rng: random.Random) -> Iterator[bytes]:
    """Every byte set to `values` (up to 255) others."""
    for position, byte in enumerate(data):
        others = [value for value in range(256) if value != byte]
        for value in others if values >= 255 else rng.sample(others, values):
            yield data[:position] + bytes([value]) + data[position + 1 :]


def truncations(data: bytes) -> Iterator[bytes]:
    """Every proper beginning."""
    for length in range(len(data)):
        yield data[:length]


def container_sealed(data: bytes, count: int, rng: random.Random) -> Iterator[bytes]:
    """Mutations that pass the container's checksums."""
    for _ in range(count):
        yield seal(data[:PREAMBLE_BYTES], mutate_chunks(split(data), rng))


def stream_sealed(data: bytes, count: int, rng: random.Random, alpha: bool) -> Iterator[bytes]:
    """Mutations of a packet of colours that pass the container's and the coder's checksums.

    alpha: whether every second packet is alpha's.
    """
    chunks = split(data)
    packets = [place for place, (kind, _) in enumerate(chunks) if kind == ord("P")]
    colours = packets[:: 2 if alpha else 1]
    for _ in range(count):
        place = rng.choice(colours)
        kind, packet = chunks[place]
        damaged = (kind, seal_stream(mutate(packet, rng)))
        yield seal(data[:PREAMBLE_BYTES], [*chunks[:place], damaged, *chunks[place + 1 :]])


def claim_size(codec: Codec, data: bytes, side: int) -> bytes:
    """The file with a head that claims a large picture and a coder header that plays along."""
    (head_type, head), *rest, (packet_type, packet) = split(data)
    _, position = read_varint(head, 1)
    _, position = read_varint(head, position)
    forged_head = head[:1] + 2 * write_varint(side) + head[position:]
    _, position = read_varint(packet, 1)
    symbols = write_varint(codec.network.symbols_per_item(side, side)[-1])
    forged_packet = seal_stream(packet[:1] + symbols + packet[position:])
    chunks = [(head_type, forged_head), *rest, (packet_type, forged_packet)]
    return seal(data[:PREAMBLE_BYTES], chunks)


def try_all(
    codec: Codec, right: Picture, cases: Iterable[bytes], forged: bool, limit: float
) -> Tally:
    """Decode every case."""
    tally = Tally()
    for case in cases:
        tally.attempt(case, partial(decode, codec, right, case, forged), limit)
    return tally


def decode(codec: Codec, right: Picture, case: bytes, forged: bool) -> str:
    """What decoding gives, in words."""
    picture = codec.decode_picture(case)
    if picture.same_as(right):
        return "the right picture"
    same = picture.pixels.tobytes() == right.pixels.tobytes()
    outcome = "other metadata or alpha" if same else "another picture"
    if forged:
        return outcome
    raise NeverRightError(outcome)


def examine(model: str, kind: str, options: argparse.Namespace) -> dict[str, Any]:
    """All families of damage on one file; runs in a process of its own."""
    torch.set_num_threads(1)
    picture = source(kind)
    data = encode_elsewhere(model, kind)
    codec = load(model)
    memory = PeakMemory()
    memory.restart()
    loaded = memory.read()
    start = time.perf_counter()
    right = codec.decode_picture(data)
    seconds = time.perf_counter() - start
    sound = memory.read() - loaded
    if (right.icc, right.exif) != (picture.icc, picture.exif):
        raise KodecError("the sound file came back with other metadata")
    rng, alpha = random.Random(1), picture.alpha is not None
    families: dict[str, tuple[Callable[[], Iterable[bytes]], bool]] = {
        "single bytes": (lambda: single_bytes(data, options.values, rng), False),
        "truncations": (lambda: truncations(data), False),
        "mutations": (lambda: (mutate(data, rng) for _ in range(options.mutations)), False),
        "container sealed": (lambda: container_sealed(data, options.sealed, rng), True),
        "stream sealed": (lambda: stream_sealed(data, options.sealed, rng, alpha), True),
    }
    tallies = {}
    for name, (cases, forged) in families.items():
        print(f"{kind}: {name}", file=sys.stderr, flush=True)
        tallies[name] = try_all(codec, right, cases(), forged, options.limit)
    damaged = memory.read() - loaded
    claims = {}
    # In tiles several packets would have to be forged.
    for side in CLAIMED_SIDES if kind not in IN_TILES and not options.small else ():
        memory.restart()
        before = memory.read()
        tally = try_all(codec, right, [claim_size(codec, data, side)], True, options.limit)
        claims[f"{side}x{side}"] = {**tally.report(), "peak_bytes": memory.read() - before}
    return {
        "bytes": len(data),
        "sound_decode_seconds": seconds,
        "loaded_bytes": loaded,
        "sound_peak_bytes": sound,
        "damaged_peak_bytes": damaged,
        "memory_ratio": damaged / max(sound, 1),
        "families": {name: tally.report() for name, tally in tallies.items()},
        "claimed_sizes": claims,
    }


def encode(model: str, kind: str) -> bytes:
    """The sound file."""
    torch.set_num_threads(1)
    codec = load(model)
    tile = TILE if kind in IN_TILES else None
    quality = QUALITY if codec.variable_rate else None
    return codec.encode_picture(source(kind), quality, tile=tile).data


def encode_elsewhere(model: str, kind: str) -> bytes:
    """The sound file, from another process: encoding must leave no memory behind in this one."""
    data: bytes = in_child(encode, model, kind)
    return data


def save_small_model(folder: Path) -> Path:
    """Networks of a few channels with random weights and one block of latents."""

    def part(name: str, **arguments: object) -> dict[str, object]:
        return {"class_path": f"kodec.{name}", "init_args": arguments}

    torch.manual_seed(0)
    config = part(
        "codecs.PictureCodec",
        analysis=part("models.RefinedLappedAnalysis", widths=[4, 4, 8]),
        latents=part("entropy.FactorisedLatents", channels=768),
        synthesis=part("models.RefinedLappedSynthesis", widths=[4, 4, 8], blocks=1),
    )
    network = build_module(config)
    assert isinstance(network, PictureCodec)
    save_model(network, config, folder / "small.safetensors", "small", {"licence": "CC0"})
    return folder / "small.safetensors"


def in_child(work: Callable[..., Any], *arguments: Any) -> Any:
    """`work` in a fresh process."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(work, *arguments).result()


def describe(name: str, report: dict[str, Any]) -> None:
    """One file's report, as a table."""
    print(f"\n{name}: {report['bytes']} bytes")
    print(f"{'damage':18s} {'cases':>7s} {'failures':>8s} {'slowest':>8s}  outcomes")
    for family, row in report["families"].items():
        outcomes = ", ".join(f"{count} {what}" for what, count in row["outcomes"].items())
        print(
            f"{family:18s} {row['cases']:7d} {row['failures']:8d} {row['slowest_seconds']:6.2f} s  "
            f"{outcomes}"
        )
        for failure in row["first_failures"]:
            print(f"  {failure}")
    print(
        f"peak memory above the loaded model: sound file {report['sound_peak_bytes'] / 2**20:.1f} "
        f"MiB, damaged ones {report['damaged_peak_bytes'] / 2**20:.1f} MiB = "
        f"{report['memory_ratio']:.2f} times (allowed: {MEMORY_FACTOR:.0f})"
    )
    for size, claim in report["claimed_sizes"].items():
        (outcome,) = claim["outcomes"]
        print(
            f"claims to be {size}: {outcome} after {claim['slowest_seconds']:.2f} s and "
            f"{claim['peak_bytes'] / 2**20:.1f} MiB"
        )


def main() -> int:
    """Read the options and measure; the exit status."""
    parser = parser_of(__doc__)
    parser.add_argument("--model", default="default", help="embedded model or model file")
    parser.add_argument("--values", type=int, default=255, help="other values for each byte")
    parser.add_argument("--mutations", type=int, default=1000)
    parser.add_argument("--sealed", type=int, default=1000, help="of each of the two kinds")
    parser.add_argument("--limit", type=float, default=20.0, help="seconds that a decode may take")
    parser.add_argument("--small", action="store_true", help="by a model of a few channels")
    parser.add_argument("--json", type=Path, help="write the report")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kodec-damage-") as folder:
        if options.small:
            options.model = str(save_small_model(Path(folder)))
        return measure(options)


def measure(options: argparse.Namespace) -> int:
    """All kinds of files; the exit status."""
    codec = load(options.model)
    reports: dict[str, Any] = {}
    held = True
    for name in KINDS:
        try:
            report = in_child(examine, options.model, name, options)
        except BrokenProcessPool:
            print(f"\n{name}: the process crashed or hung, see above")
            reports[name], held = {"crashed": True}, False
            continue
        describe(name, report)
        reports[name] = report
        held &= report["memory_ratio"] <= MEMORY_FACTOR
        rows = [*report["families"].values(), *report["claimed_sizes"].values()]
        held &= not any(row["failures"] for row in rows)
    print("\nall held" if held else "\nFAILED")
    document = {
        "picture": f"{WIDTH}x{HEIGHT}, quality {QUALITY}",
        "held": held,
        "files": reports,
    }
    write_report(options.json, codec, document)
    return 0 if held else 1


if __name__ == "__main__":
    run(main, "damage.py")
