"""C3, RECOMBINER and VC-INR from picture to file and back: rates, breaks, forged heads."""

import io
import math
from fractions import Fraction
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from kodec.codecs import Portability
from kodec.codecs.container import ChunkReader, ChunkWriter, FittedHeader, Packet
from kodec.codecs.fitted import Budget, Clip, FittedCodec, FittedResult, Limits, open_fitted
from kodec.codecs.fitted.fitted_file import FITTED, read_fitted
from kodec.native import BitstreamError, UnsupportedError

FAMILIES = {"c3": (None, 24), "recombiner": ("8-bit", 40), "vc-inr": (None, 24)}


def picture(components: int = 3) -> NDArray[np.uint8]:
    """(36, 44, components), no multiple of anything."""
    rows, columns = np.mgrid[:36, :44] / 6
    waves = [np.sin(rows + c) + np.cos(columns * (c + 1) / 2) for c in range(components)]
    levels = np.clip(128 + 50 * np.stack(waves, -1), 0, 255)
    return np.asarray(levels, np.uint8)


def codec(family: str) -> FittedCodec:
    preset, steps = FAMILIES[family]
    return FittedCodec(family, Budget(steps=steps), preset=preset)


@cache
def fitted(family: str, components: int = 3) -> FittedResult:
    return codec(family).fit(Clip(picture(components)[None]))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_file_decodes_to_what_was_fitted(family: str) -> None:
    result = fitted(family)
    decoded = codec(family).decode(result.data)
    assert np.array_equal(decoded, result.reconstruction.frame(0))
    error = float(((decoded.astype(float) - picture()) ** 2).mean())
    assert error < 0.6 * float(picture().var())
    file = open_fitted(result.data)
    assert file.header.portability == ("guarded" if family == "vc-inr" else "exact")
    # What is reported by part is what the bytes are, but for the coder's and the container's own.
    bits = sum(file.bits_by_part().values())
    assert 0 <= len(result.data) - bits / 8 < 110


@pytest.mark.parametrize("family", ["recombiner", "vc-inr"])
def test_multiplications_are_those_that_are_made(family: str) -> None:
    file = open_fitted(fitted(family).data)
    with FlopCounterMode(display=False) as counter:
        file.reconstruction.frame(0)
    made = counter.get_total_flops() / 2
    size = file.model.size
    assert file.model.cost().macs_per_pixel == math.ceil(made / (size.width * size.height))


@pytest.mark.parametrize("family", FAMILIES)
def test_gray_pictures(family: str) -> None:
    result = fitted(family, components=1)
    assert codec(family).decode(result.data).shape == (36, 44, 1)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_killed_fit_gives_the_same_bytes(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kodec.codecs.fitted.fitting.SAVE_EVERY", 0.0)
    clip, state = Clip(picture()[None]), tmp_path / "a.fit"

    class Killed(Exception):
        pass

    def kill(done: int, total: int, words: str) -> None:
        if done == FAMILIES[family][1] - 1:
            raise Killed

    with pytest.raises(Killed):
        codec(family).fit(clip, show=kill, state=state)
    resumed = codec(family).fit(clip, state=state, resume=True)
    assert resumed.data == fitted(family).data


def test_blocks_have_the_bits_that_the_preset_names() -> None:
    file = open_fitted(fitted("recombiner").data)
    bits, _, blocks = file.header.architecture
    assert bits == 8 and file.bits_by_part() == {"indexes": 8.0 * blocks}


@pytest.mark.parametrize("family", FAMILIES)
def test_qualities_of_a_family(family: str) -> None:
    clip = Clip(picture()[None])
    if family != "c3":
        with pytest.raises(Exception, match="leave the quality out"):
            codec(family).fit(clip, quality=3)
        return
    sizes = [len(codec(family).fit(clip, quality=q).data) for q in (0, 63)]
    assert sizes[0] < sizes[1]


def forged(data: bytes, architecture: tuple[int, ...], model_id: bytes | None) -> FittedHeader:
    header = ChunkReader(data, kinds=FITTED).header
    assert isinstance(header, FittedHeader)
    portability: Portability = header.portability
    return FittedHeader(
        header.family,
        header.version,
        header.width,
        header.height,
        1,
        header.components,
        architecture,
        portability,
        model_id,
        8,
        b"",
        Fraction(25),
    )


def rewritten(data: bytes, architecture: tuple[int, ...], model_id: bytes | None) -> bytes:
    """The file with another head."""
    file = io.BytesIO()
    packets = [p for p in ChunkReader(data, kinds=FITTED) if isinstance(p, Packet)]
    with ChunkWriter(file, forged(data, architecture, model_id)) as writer:
        for packet in packets:
            writer.write(packet.data)
    return file.getvalue()


@pytest.mark.parametrize(
    ("family", "architecture"),
    [
        ("c3", (19, 18, 7)),
        ("c3", (18, 1 << 20, 7)),
        ("c3", (18, 18)),
        ("c3", (17, 18, 7)),
        ("recombiner", (8, 0)),
        ("recombiner", (17, 0, 100)),
        ("recombiner", (8, 0, 1 << 30)),
        ("recombiner", (8, 0, 3)),
        ("vc-inr", (16, 32)),
        ("vc-inr", (16, 31, 16)),
        ("vc-inr", (1, 1024, 1024)),
    ],
)
def test_forged_heads_are_errors(family: str, architecture: tuple[int, ...]) -> None:
    data = fitted(family).data
    model_id = open_fitted(data).header.model_id
    with pytest.raises((BitstreamError, UnsupportedError)):
        read_fitted(rewritten(data, architecture, model_id))


@pytest.mark.parametrize("family", ["recombiner", "vc-inr"])
def test_files_of_other_weights_are_refused(family: str) -> None:
    data = fitted(family).data
    architecture = open_fitted(data).header.architecture
    with pytest.raises(UnsupportedError, match="weights"):
        read_fitted(rewritten(data, architecture, b"\0" * 8))
    with pytest.raises(UnsupportedError, match="limit"):
        read_fitted(data, limits=Limits(peak_bytes=1000))
