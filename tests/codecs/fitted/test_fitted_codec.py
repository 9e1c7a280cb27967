"""Families, their files, and codecs that fit: a small real network stands for all."""

import io
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import kodec
from coordinate_network import COORDINATES, CoordinateNetwork
from kodec.codecs import ChunkReader, ChunkWriter, FittedHeader
from kodec.codecs.fitted import Budget, Clip, FittedCodec, Limits, read_fitted
from kodec.codecs.fitted_families import Family, families, family_of, register
from kodec.codecs.model_size import ModelSize, parse_model_size, size_in_words
from kodec.native import BitstreamError, InvalidInputError, KodecError, UnsupportedError

Pixels = NDArray[Any]


def waves(frames: int, height: int, width: int, components: int = 3) -> Pixels:
    t, y, x, c = np.ogrid[:frames, :height, :width, :components]
    light = 127 + 90 * np.sin(x * 0.15 + y * 0.05 * (c + 1) + 0.2 * t)
    return light.clip(0, 255).astype(np.uint8)


PICTURE = waves(1, 24, 32)[0]


@pytest.fixture(scope="module")
def coded() -> bytes:
    return FittedCodec("coordinates", Budget(steps=60)).encode(PICTURE)


def test_a_fitted_file_decodes_to_what_was_fitted(coded: bytes) -> None:
    shown = kodec.decode(coded)
    assert shown.shape == PICTURE.shape and shown.dtype == np.uint8
    error = np.square(shown.astype(float) - PICTURE).mean()
    assert error < 0.3 * np.square(PICTURE - PICTURE.mean((0, 1))).mean()
    longer = FittedCodec("coordinates", Budget(steps=200)).encode(PICTURE)
    assert np.square(kodec.decode(longer).astype(float) - PICTURE).mean() < error
    assert coded == FittedCodec("coordinates", Budget(steps=60)).encode(PICTURE)
    assert coded != FittedCodec("coordinates", Budget(steps=60), seed=1).encode(PICTURE)


def test_bits_by_part_add_up_to_the_file(coded: bytes) -> None:
    found = read_fitted(coded)
    parts = found.bits_by_part()
    weights = {name.removeprefix("layers.") for name, _ in found.model.named_parameters()}
    assert set(parts) == weights | {"models", "flags", "steps"}
    assert 0 <= found.packet_bytes - sum(parts.values()) / 8 < 40
    assert found.packet_bytes < len(coded) < found.packet_bytes + 60
    header = found.header
    assert (header.family, header.portability, header.frames) == (250, "exact", 1)


def test_a_codec_as_it_is_measured() -> None:
    codec = FittedCodec("coordinates", Budget(steps=3), size=ModelSize(400), preset="wide")
    assert codec.name == "coordinates (wide, 400 parameters, 3 steps)" and codec.variable_rate
    again = FittedCodec.of_settings(codec.settings)
    assert again.settings == codec.settings
    assert again.encode(PICTURE, 20) == codec.encode(PICTURE, 20)
    assert np.array_equal(codec.decode(codec.encode(PICTURE, 20)).shape, PICTURE.shape)
    assert FittedCodec("coordinates").budget.steps == 12
    assert len(codec.encode(PICTURE, 60)) > len(codec.encode(PICTURE, 0))
    gray = waves(1, 5, 7, 1)[0]
    assert codec.decode(codec.encode(gray[..., 0])).shape == (5, 7, 1)
    assert kodec.load_fitted("coordinates", minutes=2).budget == Budget(minutes=2)


def test_clips_are_decoded_frame_by_frame() -> None:
    for depth, kind in ((8, np.uint8), (10, np.uint16)):
        pixels = waves(5, 12, 16).astype(kind) * 2 ** (depth - 8)
        clip = Clip(pixels.astype(kind), depth, Fraction(30000, 1001))
        result = FittedCodec("coordinates", Budget(steps=20)).fit(clip)
        found = kodec.open_fitted(result.data)
        assert found.header.rate == Fraction(30000, 1001) and found.header.frames == 5
        frames = list(found.reconstruction.frames())
        assert frames[0].dtype == kind and frames[0].shape == (12, 16, 3)
        assert np.array_equal(found.reconstruction.frame(3), frames[3])
        assert not np.array_equal(frames[0], frames[3])
        with pytest.raises(InvalidInputError, match="frames 0 to 4"):
            found.reconstruction.frame(5)
        with pytest.raises(UnsupportedError, match="open_fitted"):
            kodec.decode(result.data)


class Stopped(Exception):
    """Ends the process, as far as a test can."""


def test_a_killed_fit_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, coded: bytes
) -> None:
    monkeypatch.setattr("kodec.codecs.fitted.fitting.SAVE_EVERY", 0.0)
    codec, clip, state = FittedCodec("coordinates", Budget(steps=60)), Clip(PICTURE[None]), "a.fit"

    def stop(done: int, steps: int, words: str) -> None:
        if done == 52:
            raise Stopped

    with pytest.raises(Stopped):
        codec.fit(clip, show=stop, state=tmp_path / state)
    result = codec.fit(clip, state=tmp_path / state, resume=True)
    assert result.data == coded and result.run.done == 60
    for other in (FittedCodec("coordinates", Budget(steps=60), seed=2),):
        with pytest.raises(InvalidInputError, match="another fit"):
            other.fit(clip, state=tmp_path / state, resume=True)
    with pytest.raises(InvalidInputError, match="another fit"):
        codec.fit(Clip(PICTURE[None, ::-1].copy()), state=tmp_path / state, resume=True)


def forged(coded: bytes, **changes: Any) -> bytes:
    """The same packets behind another head."""
    reader = ChunkReader(coded)
    assert isinstance(reader.header, FittedHeader)
    file = io.BytesIO()
    with ChunkWriter(file, replace(reader.header, **changes)) as writer:
        for packet in reader:
            writer.write(packet.data)  # type: ignore[union-attr]
    return file.getvalue()


@pytest.mark.parametrize(
    "changes, words",
    [
        ({"architecture": (2**20, 2**20)}, "parameters, above the limit"),
        ({"architecture": (2**8, 2**15)}, "multiplications a pixel, above the limit"),
        ({"architecture": (2**20, 2), "width": 4096, "height": 4096}, "above the limit"),
        ({"architecture": (0, 8)}, "two sizes"),
        ({"architecture": (4,)}, "two sizes"),
        ({"architecture": (2**32 - 1, 2**32 - 1)}, "two sizes"),
        ({"architecture": (4, 300)}, "symbols where"),
        ({"architecture": (900, 12)}, "symbols where"),
        ({"family": 251}, "family 251"),
        ({"version": 1}, "version 1; this kodec has version 0"),
        ({"portability": "guarded"}, "does not fit its network"),
        ({"model_id": bytes(8)}, "no weights that files share"),
    ],
)
def test_hostile_heads_are_refused_before_anything_is_built(
    coded: bytes, changes: dict[str, Any], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert forged(coded) == coded
    data = forged(coded, **changes)
    if "fit its network" not in words:

        def never(*_: object) -> None:
            raise AssertionError("it was built")

        monkeypatch.setattr(CoordinateNetwork, "__init__", never)
    with pytest.raises((BitstreamError, UnsupportedError), match=words):
        read_fitted(data)


@pytest.mark.parametrize("changes", [{"architecture": (4, 13)}, {"components": 1}])
def test_a_head_of_another_network_is_an_error(coded: bytes, changes: dict[str, Any]) -> None:
    with pytest.raises(BitstreamError):
        read_fitted(forged(coded, **changes))


def test_limits_are_the_callers_too(coded: bytes) -> None:
    for limits in (Limits(parameters=100), Limits(peak_bytes=1000)):
        with pytest.raises(UnsupportedError, match="above the limit"):
            read_fitted(coded, limits=limits)


def test_damage_is_an_error(coded: bytes) -> None:
    rng = np.random.default_rng(0)
    for _ in range(150):
        data = bytearray(coded)
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        with pytest.raises(KodecError):
            read_fitted(bytes(data))
    for cut in range(0, len(coded), 13):
        with pytest.raises(KodecError):
            read_fitted(coded[:cut])
    reader = ChunkReader(coded)
    (packet,) = reader
    for packets in (0, 2):
        file = io.BytesIO()
        with ChunkWriter(file, reader.header) as writer:
            for _ in range(packets):
                writer.write(packet.data)  # type: ignore[union-attr]
        with pytest.raises(BitstreamError, match="packets"):
            read_fitted(file.getvalue())


def test_what_a_network_makes_of_a_file_is_finite(coded: bytes) -> None:
    found = read_fitted(coded)
    with torch.no_grad():
        next(found.model.parameters()).fill_(torch.inf)
    with pytest.raises(BitstreamError, match="not finite"):
        found.reconstruction.frame(0)


def test_families_have_one_number_and_name_each() -> None:
    assert COORDINATES in families() and register(COORDINATES) is COORDINATES
    with pytest.raises(InvalidInputError, match="already"):
        register(Family(250, 0, "other", "a:B"))
    with pytest.raises(UnsupportedError, match="family 7"):
        family_of(7 if all(f.number != 7 for f in families()) else 239, 0)
    with pytest.raises(InvalidInputError, match="no fitted family 'nothing'"):
        FittedCodec("nothing")
    for options in ({"preset": "huge"}, {"effort": 10}):
        with pytest.raises(InvalidInputError, match="coordinates has"):
            FittedCodec("coordinates", **options)
    with pytest.raises(InvalidInputError, match="load_fitted"):
        kodec.load("coordinates")


def test_sizes_in_words() -> None:
    assert parse_model_size("1.5M") == ModelSize(1.5e6)
    assert parse_model_size("200kB") == ModelSize(200e3, "bytes")
    assert parse_model_size("0.1bpp") == ModelSize(0.1, "bpp")
    assert ModelSize(0.1, "bpp").parameters(8000, 8) == 100
    assert size_in_words(str(ModelSize(1.5e6))) == ModelSize(1.5e6)
    for wrong in ("", "M", "1.5Q", "-3", "nan", "inf"):
        with pytest.raises(InvalidInputError):
            parse_model_size(wrong)
