"""Damaged files through the whole decoder; benchmarks/damage.py does the same at length."""

import dataclasses
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from compositions import part
from kodec.codecs import (
    Codec,
    Picture,
    PictureCodec,
    build_module,
    load,
    read_container,
    save_model,
    write_container,
)
from kodec.codecs.container.varint import read_varint
from kodec.entropy import LosslessPicture, SymbolWriter
from kodec.models import WaLLoCAnalysis
from kodec.native import BitstreamError, KodecError, MismatchError, UnsupportedError, crc32c

WIDTH, HEIGHT = 40, 24


@pytest.fixture(scope="module", params=["frequency slices", "companded"])
def codec(
    request: pytest.FixtureRequest, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Codec:
    """The default model's composition; and one whose packets hold a picture file."""
    if request.param == "frequency slices":
        return load(tiny_model)
    torch.manual_seed(0)
    config = part(
        "codecs.PictureCodec",
        analysis=part("models.WaLLoCAnalysis", levels=2, latents=12),
        latents=part("entropy.CompandedIntegers", channels=12),
        synthesis=part("models.WaLLoCSynthesis", levels=2, latents=12, width=8),
    )
    network = build_module(config)
    assert isinstance(network, PictureCodec)
    with torch.no_grad():
        assert isinstance(network.analysis, WaLLoCAnalysis)
        network.analysis.project.weight.mul_(20)
    path = tmp_path_factory.mktemp("models") / "companded.safetensors"
    save_model(network, config, path, "companded")
    return load(path)


@pytest.fixture(scope="module")
def picture() -> Picture:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    smooth = np.stack([90 + 2 * x, 60 + 3 * y, 200 - x - y], axis=-1)
    noise = np.random.default_rng(7).integers(-9, 10, (HEIGHT, WIDTH, 3))
    return Picture((smooth + noise).astype(np.uint8), icc=bytes(range(40)), exif=b"II*\0" * 5)


@pytest.fixture(scope="module")
def data(codec: Codec, picture: Picture) -> bytes:
    return codec.encode_picture(picture, 30 if codec.variable_rate else None).data


@pytest.fixture(scope="module")
def check(codec: Codec, data: bytes) -> Callable[[bytes], bool]:
    """Decodes a damaged file: False for an error of one line, True for exactly the right picture;
    anything else fails the test."""
    right = codec.decode_picture(data)

    def decode(damaged: bytes) -> bool:
        try:
            found = codec.decode_picture(damaged)
        except KodecError as error:
            assert len(str(error).splitlines()) == 1
            return False
        assert np.array_equal(found.pixels, right.pixels), damaged.hex()
        assert (found.icc, found.exif) == (right.icc, right.exif), damaged.hex()
        return True

    assert decode(data)
    return decode


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Bytes changed, cut out, inserted, repeated or swapped; never `data` itself."""
    while True:
        out = bytearray(data)
        a, b = sorted(rng.sample(range(len(data)), 2))
        length = rng.choice((1, 2, 8, 32))
        kind = rng.randrange(5)
        if kind == 0:
            for _ in range(rng.randint(1, 4)):
                out[rng.randrange(len(out))] = rng.randrange(256)
        elif kind == 1:
            del out[a : a + length]
        elif kind == 2:
            out[a:a] = rng.randbytes(length)
        elif kind == 3:
            out[b:b] = out[a : a + length]
        else:
            out[a:] = out[b:] + out[a:b]
        if out != data:
            return bytes(out)


def test_single_byte_changes(data: bytes, check: Callable[[bytes], bool]) -> None:
    rng = random.Random(1)
    for position, byte in enumerate(data):
        value = rng.choice([value for value in range(256) if value != byte])
        for other in (value, byte ^ 1 << rng.randrange(8)):
            check(data[:position] + bytes([other]) + data[position + 1 :])


def test_every_truncation_is_an_error(data: bytes, check: Callable[[bytes], bool]) -> None:
    assert not any(check(data[:length]) for length in range(len(data)))


def test_random_mutations(data: bytes, check: Callable[[bytes], bool]) -> None:
    rng = random.Random(2)
    for _ in range(300):
        check(mutated(data, rng))


def test_packets_mutated_under_right_container_checksums(
    data: bytes, check: Callable[[bytes], bool]
) -> None:
    sound = read_container(data)
    rng = random.Random(3)
    for _ in range(100):
        packet = mutated(sound.packets[0], rng)
        assert not check(write_container(sound.header, [packet], sound.metadata))


def sealed(stream: bytes) -> bytes:
    """A coder stream of one segment, its checksum made right by the rule of docs/bitstream.md."""
    if stream[0] & 0x80:
        return stream
    position = 1
    for _ in range(1 + 2 * (stream[0] >> 2 & 7 > 0) + (stream[0] >> 5 & 1) + (stream[0] >> 6 & 1)):
        _, position = read_varint(stream, position)
    front, body = stream[: position + 4], stream[position + 8 :]
    return front + crc32c(bytes(2) + front + body).to_bytes(4, "little") + body


def test_packets_mutated_under_right_checksums_throughout(codec: Codec, data: bytes) -> None:
    sound = read_container(data)
    assert sealed(sound.packets[0]) == sound.packets[0]
    rng = random.Random(4)
    reached_the_decoder = 0
    for _ in range(100):
        try:
            packet = sealed(mutated(sound.packets[0], rng))
        except BitstreamError:
            continue  # not even a header is left
        try:
            found = codec.decode_picture(write_container(sound.header, [packet]))
        except KodecError as error:
            assert len(str(error).splitlines()) == 1
            reached_the_decoder += isinstance(error, MismatchError) or "latents" in str(error)
        else:
            assert found.pixels.shape == (HEIGHT, WIDTH, 3)
            reached_the_decoder += 1
    assert reached_the_decoder > 20


class Forger:
    """Packs what it was given, whatever the integers."""

    def __init__(self, payload: bytes, most: int) -> None:
        self.payload = payload
        self.most = most

    def pack(self, integers: NDArray[np.int32]) -> bytes:
        return self.payload

    def unpack(self, payload: bytes) -> NDArray[np.int32]:
        raise AssertionError("it only writes")


@pytest.mark.parametrize("codec", ["companded"], indirect=True)
def test_a_forged_picture_of_latents_under_right_checksums(
    codec: Codec, picture: Picture, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    payloads: list[bytes] = []
    pack = LosslessPicture.pack

    def keeping(self: LosslessPicture, integers: NDArray[np.int32]) -> bytes:
        payloads.append(pack(self, integers))
        return payloads[-1]

    monkeypatch.setattr(LosslessPicture, "pack", keeping)
    assert codec.encode_picture(picture).data == data
    (payload,) = payloads
    most = LosslessPicture((12, HEIGHT // 4, WIDTH // 4), 8, "webp").most
    assert payload[1:5] == b"RIFF" and len(payload) < most
    sound = read_container(data)

    def file_with(forged: bytes) -> bytes:
        writer = SymbolWriter(1)
        writer.payload("y", torch.zeros(1, 1), Forger(forged, most))
        return write_container(sound.header, writer.finish(), sound.metadata)

    assert file_with(payload) == data
    rng = random.Random(5)
    cases = [mutated(payload, rng)[:most] for _ in range(80)]
    for forged in [*cases, *(payload[:length] for length in range(0, len(payload), 15))]:
        try:
            found = codec.decode_picture(file_with(forged))
        except BitstreamError as error:
            assert len(str(error).splitlines()) == 1
        else:
            assert found.pixels.shape == (HEIGHT, WIDTH, 3)


def test_another_head_before_the_same_packet(codec: Codec, data: bytes) -> None:
    sound = read_container(data)

    def forged(**changes: object) -> bytes:
        header = dataclasses.replace(sound.header, **changes)  # type: ignore[arg-type]
        return write_container(header, sound.packets, sound.metadata)

    if codec.variable_rate:
        with pytest.raises(MismatchError, match="encoder"):
            codec.decode(forged(quality=60))
    with pytest.raises(BitstreamError, match="quality"):
        codec.decode(forged(quality=None if codec.variable_rate else 60))
    # Of a payload only the most is known, so that the next check finds it.
    with pytest.raises(
        BitstreamError, match="symbols" if codec.variable_rate else "stream ran out"
    ):
        codec.decode(forged(width=1 << 14, height=1 << 14))
    with pytest.raises(BitstreamError, match="header"):
        codec.decode(forged(portability="local"))
    with pytest.raises(UnsupportedError, match="model"):
        codec.decode(forged(model_id=bytes(8)))
    for planes, words in ((2, "transparency"), (3, "header")):
        header = dataclasses.replace(sound.header, planes=planes)
        with pytest.raises(BitstreamError, match=words):
            codec.decode(write_container(header, sound.packets * planes, sound.metadata))
