"""The parameter coder: exact there and back, small, and held against forgers."""

import heapq
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from kodec.entropy import RateMeter, SymbolReader, SymbolWriter
from kodec.entropy.parameters import (
    ParameterCoder,
    Quantised,
    TensorLayout,
    choose_model,
    code_integers,
    code_mask,
    given_step,
    in_halves,
    mask_symbols,
    over_axis,
    symmetric,
    uniform,
    without,
)
from kodec.entropy.parameters.integer_code import KINDS
from kodec.entropy.parameters.packaged_tables import packaged
from kodec.entropy.parameters.table_making import all_tables
from kodec.native import BitstreamError, InvalidInputError, KodecError

FOLDER = Path(os.environ.get("KODEC_DATA", "nowhere")) / "reference"
# What a coder stream has of its own: header, checksums, states of its lanes.
OWN = 40


def integers(kind: str, count: int, *shape: float) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(len(kind) + count)
    drawn: np.ndarray[Any, Any] = getattr(rng, kind)(*shape, count)
    return np.asarray(np.rint(drawn).astype(np.int64))


def passed(values: np.ndarray[Any, Any]) -> tuple[int, float]:
    """Real bytes, and bits by the meter; checks that they come back."""
    writer, meter = SymbolWriter(1), RateMeter(training=False)
    code_integers(writer, "a", values, len(values))
    code_integers(meter, "a", values, len(values))
    (stream,) = writer.finish()
    reader = SymbolReader([stream])
    assert np.array_equal(code_integers(reader, "a", None, len(values)), values)
    reader.finish()
    return len(stream), float(meter.total())


@pytest.mark.parametrize(
    "values, kind",
    [
        (integers("normal", 4000, 128, 37), "gaussian"),
        (integers("normal", 900, -3000, 400), "gaussian"),
        (integers("laplace", 3000, 0.3, 1.2), "laplace"),
        (integers("laplace", 40, -0.4, 3), "laplace"),
        (integers("uniform", 3000, 0, 255), "histogram"),
        (np.repeat([0, 100], 500), "histogram"),
        (np.repeat([0, 255, *range(1, 255)], [900, 900, *[30] * 254]), "histogram"),
        (np.array([2**29, -5, 3]), "exp-golomb"),
        (np.full(300, 17), "gaussian"),
        (np.zeros(0, np.int64), "exp-golomb"),
        (np.array([2**30 - 1, 1 - 2**30]), "exp-golomb"),
    ],
)
def test_integers_take_the_fewest_bits(values: np.ndarray[Any, Any], kind: str) -> None:
    model, bits = choose_model(values)
    assert KINDS[model.kind] == kind
    size, metered = passed(values)
    assert metered == pytest.approx(bits, abs=2)
    assert 0 <= size - bits / 8 < OWN + 0.002 * size
    counts = np.unique(values, return_counts=True)[1]
    entropy = -(counts * np.log2(counts / max(1, len(values)))).sum()
    # Of few that are all different, the entropy has what no decoder knows.
    assert bits < 1.03 * entropy + 8 * 20 or len(values) < 10 * len(counts)


def weights(seed: int = 0) -> dict[str, Tensor]:
    drawn = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=drawn)

    return {
        "stem": normal(60, 80) * 0.1,
        "conv": normal(24, 12, 3, 3) * 0.05,
        "bias": normal(24),
        "embed": normal(4, 16, 2, 4) * 3,
        "scalar": normal(),
    }


def quantised(seed: int = 0) -> dict[str, Quantised]:
    found = weights(seed)
    return {
        "stem": uniform(found["stem"], 8),
        "conv": without(in_halves(symmetric(found["conv"], 6)), found["conv"].abs() > 0.04),
        "bias": given_step(found["bias"], 2.0**-7),
        "embed": over_axis(found["embed"].reshape(4, -1), 8, 0),
        "scalar": given_step(found["scalar"], 0.003),
    }


def layout(tensors: Mapping[str, Quantised]) -> dict[str, TensorLayout]:
    pools = {"embed": "embeddings"}
    return {
        name: TensorLayout(
            tensor.integers.shape, pools.get(name, "weights"), tensor.mask is not None
        )
        for name, tensor in tensors.items()
    }


def equal(one: Quantised, other: Quantised) -> bool:
    offsets = one.offset is None or torch.equal(one.offset, other.offset)  # type: ignore[arg-type]
    masks = one.mask is None or torch.equal(one.mask, other.mask)  # type: ignore[arg-type]
    kept = one.integers if one.mask is None else one.integers * one.mask
    return bool(
        torch.equal(kept, other.integers)
        and torch.equal(one.step, other.step)
        and (one.offset is None) == (other.offset is None)
        and offsets
        and masks
        and one.axis == other.axis
        and torch.equal(one.dequantise(), other.dequantise())
    )


def there_and_back(tensors: dict[str, Quantised], **known: Any) -> bytes:
    coder, writer = ParameterCoder(layout(tensors)), SymbolWriter(1)
    seen = coder.code(tensors, writer, **known)
    (stream,) = writer.finish()
    reader = SymbolReader([stream])
    reader.expect(coder.symbols)
    back = coder.code(None, reader, **known)
    reader.finish()
    for name, tensor in tensors.items():
        assert equal(tensor, seen[name]) and equal(tensor, back[name]), name
    meter = RateMeter(training=False)
    coder.code(tensors, meter, **known)
    assert 0 <= len(stream) - float(meter.total()) / 8 < OWN + 0.002 * len(stream)
    return stream


def test_tensors_of_all_quantisers_come_back_exactly() -> None:
    tensors = quantised()
    there_and_back(tensors)
    meter = RateMeter(training=False)
    ParameterCoder(layout(tensors)).code(tensors, meter)
    assert {"flags", "steps", "offsets", "models", "stem", "conv/mask"} <= meter.bits.keys()
    assert float(meter.bits["conv/mask"]) < 1.01 * tensors["conv"].integers.numel()
    everything_gone = {"a": without(given_step(torch.ones(3, 2), 1.0), torch.zeros(3, 2) > 0)}
    there_and_back(everything_gone)
    there_and_back({"empty": given_step(torch.zeros(0, 3), 0.5)})


def test_differences_to_earlier_parameters_are_used_where_they_help() -> None:
    first, second = weights(0), weights(1)
    near = {n: given_step(v + 0.02 * second[n], 2.0**-6) for n, v in first.items()}
    far = {n: given_step(v, 2.0**-6) for n, v in second.items()}
    reference = {n: given_step(v, 2.0**-6).integers for n, v in first.items()}
    alone, after = len(there_and_back(near)), len(there_and_back(near, reference=reference))
    assert after < 0.75 * alone
    assert len(there_and_back(far, reference=reference)) <= len(there_and_back(far)) + 2
    masked = {n: without(q, q.integers.abs() > 2) for n, q in near.items()}
    there_and_back(masked, reference=reference)


def test_small_tensors_share_a_model() -> None:
    drawn = np.random.default_rng(0)
    tensors = {
        f"b{i}": given_step(torch.from_numpy(drawn.laplace(0, 0.1, 12).astype(np.float32)), 2**-6)
        for i in range(20)
    }
    shared = len(there_and_back(tensors))
    apart = {name: TensorLayout(t.integers.shape, name) for name, t in tensors.items()}
    writer = SymbolWriter(1)
    ParameterCoder(apart).code(tensors, writer)
    assert shared < len(writer.finish()[0]) - 10


def test_slices_that_spread_alike_share_a_model() -> None:
    rng = np.random.default_rng(3)
    spread = np.exp(rng.normal(2.5, 1.2, (1, 96, 1)))
    values = torch.from_numpy(np.rint(rng.normal(0, 1, (12, 96, 5)) * spread).astype(np.int32))
    classed = Quantised(values, torch.full((12, 1, 5), 0.5), axis=1)
    as_one = Quantised(values, torch.tensor(0.5))
    other = quantised()
    sizes = [len(there_and_back({"a": one, **other})) for one in (classed, as_one)]
    bits = choose_model(values.reshape(-1).numpy().astype(np.int64))[1]
    # Its 60 steps are equal, and take little.
    assert sizes[0] < sizes[1] - 0.08 * bits / 8
    few = Quantised(values[:, :8], torch.full((12, 1, 5), 0.5), axis=1)
    there_and_back({"few": few, "a": classed})


def test_a_class_that_is_none_is_an_error() -> None:
    coder, said = ParameterCoder({"a": TensorLayout(torch.Size((4, 8)))}), (3 * 8 + 1) * 9 + 1
    for classes, words in (([0, 1, 9, 2], "classes that are none"), (None, "fits none")):
        writer = SymbolWriter(1)
        number = said if classes else said - 1
        code_integers(writer, "flags", np.array([number]), 1)
        code_integers(writer, "steps", np.full(8, 14336), 8)
        code_integers(writer, "models", np.array(classes or [0] * 4), 4)
        (stream,) = writer.finish()
        with pytest.raises(BitstreamError, match=words):
            coder.code(None, SymbolReader([stream]))


@pytest.mark.parametrize("shape", [(), (9,), (16, 40), (24, 12, 3, 3), (5, 7, 4), (0, 3)])
def test_masks(shape: tuple[int, ...]) -> None:
    drawn = torch.Generator().manual_seed(1)
    size = torch.Size(shape)
    mask = torch.rand(size, generator=drawn) < 0.3
    union = mask | (torch.rand(size, generator=drawn) < 0.1)
    bits = {}
    for name, known in (("alone", None), ("nested", union)):
        writer, meter = SymbolWriter(1), RateMeter(training=False)
        code_mask(writer, "m", mask, size, known)
        code_mask(meter, "m", mask, size, known)
        reader = SymbolReader(writer.finish())
        reader.expect(mask_symbols(size))
        assert torch.equal(code_mask(reader, "m", None, size, known), mask)
        reader.finish()
        bits[name] = float(meter.total()) if meter.bits else 0.0
    if mask.numel() > 500:
        # 0.88 bit at 30 %, and next to nothing outside of a union.
        assert bits["alone"] < 0.92 * mask.numel() and bits["nested"] < 0.75 * bits["alone"]


def test_masks_of_pruned_rows_cost_less() -> None:
    rows = (torch.arange(64) % 3 == 0)[:, None].expand(64, 64)
    meter = RateMeter(training=False)
    code_mask(meter, "m", rows, rows.shape)
    assert float(meter.total()) < 0.35 * rows.numel()


def huffman_bits(values: np.ndarray[Any, Any]) -> int:
    """Of a static Huffman code of the values, whose table costs nothing."""
    counts = np.unique(values, return_counts=True)[1].tolist()
    heapq.heapify(counts)
    total = 0
    while len(counts) > 1:
        both = heapq.heappop(counts) + heapq.heappop(counts)
        total += both
        heapq.heappush(counts, both)
    return total


@pytest.mark.skipif(not FOLDER.is_dir(), reason="KODEC_DATA has no reference")
def test_hnervs_weights_take_less_than_their_huffman_code() -> None:
    """Their count has no table: 4,664 symbols of one pooled code, and six side values."""
    with np.load(FOLDER / "inr-hnerv.npz", allow_pickle=False) as data:
        theirs = int(data["huffman/bits"]), int(data["huffman/symbols"])
        tensors = {
            name: uniform(torch.from_numpy(np.array(data[f"quant/{name}"])), bits)
            for name, bits in (("embed", 6), ("conv", 8), ("bias", 8))
        }
    together = np.concatenate([t.integers.reshape(-1).numpy() for t in tensors.values()])
    # Their code has an end symbol.
    assert (huffman_bits(together) + 1, len(together)) == theirs
    stream = there_and_back(tensors)
    assert 8 * len(stream) < 0.97 * (theirs[0] + 6 * 16)


def test_damaged_and_forged_streams_are_errors_or_other_parameters() -> None:
    tensors = quantised()
    coder = ParameterCoder(layout(tensors))
    stream = there_and_back(tensors)
    rng = np.random.default_rng(3)
    refused = 0
    for _ in range(300):
        data = bytearray(stream)
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
        try:
            reader = SymbolReader([bytes(data)])
            coder.code(None, reader)
            reader.finish()
        except KodecError as error:
            assert "\n" not in str(error)
            refused += 1
    assert refused > 250


class Forger:
    """A port that says what it is told to, whatever is asked."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def integers(self, name: str, values: Any, high: int, shape: torch.Size) -> Tensor:
        return torch.from_numpy(self.rng.integers(0, high, tuple(shape)))

    def code(self, name: str, y: Any, dist: Any) -> Tensor:
        scale = int(self.rng.choice([1, 3, 100, 2**31 - 1]))
        return torch.from_numpy(self.rng.integers(-scale, scale + 1, tuple(dist.shape)))


def test_whatever_a_stream_says_ends_in_one_line() -> None:
    coder = ParameterCoder(layout(quantised()))
    whole = 0
    for seed in range(400):
        try:
            found = coder.code(None, Forger(seed))  # type: ignore[arg-type]
        except BitstreamError as error:
            assert "\n" not in str(error)
        else:
            whole += 1
            assert all(torch.isfinite(t.step).all() for t in found.values())
    assert whole < 400


def test_the_packaged_tables_are_those_that_are_made() -> None:
    made, stored = all_tables(), packaged().tables
    assert [len(table) for table, _, _ in made] == stored.sizes.tolist()
    assert [first for _, first, _ in made] == stored.offsets.tolist()
    assert [shift for _, _, shift in made] == stored.shifts.tolist()
    whole = np.concatenate([table for table, _, _ in made]).astype(int)
    # Another machine's functions may differ in the last bit, which the stored ones need not.
    assert np.abs(whole - stored.frequencies).max() <= 1


def test_tensors_that_fit_no_layout_are_refused() -> None:
    tensors = quantised()
    coder = ParameterCoder(layout(tensors))
    with pytest.raises(InvalidInputError, match="differ in bias"):
        coder.code({n: t for n, t in tensors.items() if n != "bias"}, SymbolWriter(1))
    with pytest.raises(InvalidInputError, match="'bias' is of"):
        coder.code({**tensors, "bias": given_step(torch.ones(3), 1.0)}, SymbolWriter(1))
    unmasked = {n: TensorLayout(t.integers.shape) for n, t in tensors.items()}
    with pytest.raises(InvalidInputError, match="'conv' has a mask"):
        ParameterCoder(unmasked).code(tensors, SymbolWriter(1))
    with pytest.raises(InvalidInputError, match="more than 8 axes"):
        ParameterCoder({"a": TensorLayout(torch.Size([1] * 9))})
