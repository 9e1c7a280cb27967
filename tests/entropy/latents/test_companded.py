"""Companded integers: the compander's formula, noise in training, and bytes that cost a byte."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from kodec.entropy import (
    CompandedIntegers,
    Conditions,
    RateMeter,
    SymbolReader,
    SymbolWriter,
    Uniform,
    payload_symbols,
)
from kodec.native import BitstreamError, InvalidInputError

WIDE = 60 * torch.randn(2, 12, 24, 16, generator=torch.Generator().manual_seed(0))


def ready(bits: int = 8, picture: str = "webp") -> CompandedIntegers:
    return CompandedIntegers(12, bits, picture).double().eval()


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_companded_values_round_within_range(bits: int) -> None:
    model = ready(bits)
    most = 2 ** (bits - 1) - 1
    y = torch.linspace(-100, 100, 2001, dtype=torch.float64) * most
    u = model.compand(y)
    assert (u.diff() >= 0).all() and torch.allclose(u, -u.flip(0))
    assert u.round().min() == -most and u.round().max() == most
    # Slope and reach as published: the normal distribution function of y / ((2^(b-1) - 1) / 1.85).
    at = torch.tensor([1.85 * (most / 1.85), most / 1.85], dtype=torch.float64)
    share = torch.tensor([0.467843, 0.341345], dtype=torch.float64)
    assert torch.allclose(model.compand(at), 2 * (most + 0.5 - 1e-3) * share, rtol=1e-5)


def test_expanding_undoes_companding_and_has_an_end() -> None:
    model = ready()
    y = torch.linspace(-200, 200, 401, dtype=torch.float64)
    assert torch.allclose(model.expand(model.compand(y)), y, atol=1e-6)
    beyond = model.expand(torch.tensor([-128.0, 128.0, 1e9]))
    assert torch.allclose(
        beyond, torch.tensor([-1.0, 1, 1], dtype=torch.float64) * 255.29, rtol=1e-3
    )


def test_training_sees_uniform_noise_and_no_rate() -> None:
    model = CompandedIntegers(12)
    y = WIDE.clone().requires_grad_()
    meter = RateMeter(training=True)
    noisy = model.compand(model.code(y, Conditions(y.shape), meter)) - model.compand(y)
    assert meter.total().tolist() == [0, 0]
    inside = noisy.detach()[model.compand(y).abs() < 126]
    assert inside.abs().max() < 0.501
    assert abs(inside.mean()) < 0.02 and inside.var().item() == pytest.approx(1 / 12, rel=0.03)
    model.code(y, Conditions(y.shape), meter).sum().backward()
    # Companding and expanding cancel out where the noise is small against the latents.
    assert y.grad is not None and y.grad.median().item() == pytest.approx(1, abs=0.1)


@torch.no_grad()
def test_each_item_has_its_own_number_of_bytes() -> None:
    model = ready()
    y = WIDE.double()
    y[1] /= 50
    cond = Conditions(y.shape)
    meter, writer = RateMeter(training=False), SymbolWriter(2)
    sent = model.code(y, cond, writer)
    assert torch.equal(model.code(y, cond, meter), sent)
    streams = writer.finish()
    bits = meter.total()
    assert bits[1] < bits[0] / 2
    for stream, estimate in zip(streams, bits.tolist(), strict=True):
        assert abs(len(stream) - estimate / 8) <= 0.005 * estimate / 8 + 24
    reader = SymbolReader(streams)
    reader.expect(model.symbols(24, 16))
    assert torch.equal(model.code(None, cond, reader), sent)
    reader.finish()


@torch.no_grad()
def test_either_format_is_read_whatever_is_written() -> None:
    cond = Conditions(WIDE.shape)
    for written, other in (("webp", "png"), ("png", "webp")):
        writer = SymbolWriter(2)
        sent = ready(picture=written).code(WIDE, cond, writer)
        reader = SymbolReader(writer.finish())
        assert torch.equal(ready(picture=other).code(None, cond, reader), sent)


class Bytes:
    """Packs nothing: an item's integers are its bytes, as many as there are, up to `most`."""

    def __init__(self, most: int) -> None:
        self.most = most

    def pack(self, integers: NDArray[np.int32]) -> bytes:
        data: bytes = integers.astype(np.uint8).tobytes()
        return data

    def unpack(self, payload: bytes) -> NDArray[np.int32]:
        return np.frombuffer(payload, np.uint8).astype(np.int32)


@torch.no_grad()
def test_payloads_of_any_length() -> None:
    for length, most in ((0, 0), (0, 5), (1, 1), (300, 300), (300, 10**9), (100_000, 100_000)):
        values = torch.randint(0, 256, (1, length), dtype=torch.float64)
        writer = SymbolWriter(1)
        assert torch.equal(writer.payload("raw", values, Bytes(most)), values)
        (stream,) = writer.finish()
        assert len(stream) <= 1.005 * length + 26
        reader = SymbolReader([stream])
        reader.expect(payload_symbols(most))
        assert torch.equal(reader.payload("raw", None, Bytes(most)), values.to(torch.int32))
        reader.finish()


def forged(length: int, symbols: list[int], most: int) -> bytes:
    """A stream that claims a payload of `length` and holds other symbols."""
    writer = SymbolWriter(1)
    claim = torch.tensor([[length]])
    writer.integers("raw", claim, most + 1, claim.shape)
    [encoder] = writer._encoders.on_host()
    dist = Uniform(torch.Size((len(symbols),)), 256)
    indexes = dist.indexes()[0].numpy()
    encoder.add(np.array(symbols, np.int32), indexes, dist.tables, np.empty(0, np.uint32))
    return writer.finish()[0]


def test_a_forged_length_or_byte_is_an_error() -> None:
    most = 10**9
    cases = [
        (forged(most, [1, 2, 3], most), "claims 1000000000 bytes in a stream of"),
        (forged(9, [1, 2, 3], most), "symbols"),
        (forged(3, [1, 2, 256], most), "more than bytes"),
        (forged(3, [1, 2, -1], most), "more than bytes"),
    ]
    for stream, words in cases:
        with pytest.raises(BitstreamError, match=words) as caught:
            SymbolReader([stream]).payload("raw", None, Bytes(most))
        assert len(str(caught.value).splitlines()) == 1
    with pytest.raises(BitstreamError, match="1003 symbols where its picture has 2 to 1001"):
        reader = SymbolReader([forged(9, [0] * 998, most)])
        reader.expect(payload_symbols(999))


def test_latents_that_cannot_be_coded_are_refused() -> None:
    bad = WIDE.clone()
    bad[0, 0, 0, 0] = float("nan")
    with pytest.raises(InvalidInputError, match="out of the coder's range"):
        ready().code(bad, Conditions(bad.shape), SymbolWriter(2))
    with pytest.raises(InvalidInputError, match="channels"):
        ready().code(WIDE[:, :5], Conditions(WIDE[:, :5].shape), SymbolWriter(2))
    for wrong in ({"channels": 0}, {"bits": 9}, {"picture": "gif"}):
        with pytest.raises(InvalidInputError):
            CompandedIntegers(**wrong)
