"""Cool-chic's latents: the core against the Python step, through ports, and the authors' own."""

import json
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from cool_files import decode, integer_networks, parse
from integer_networks import PRESETS, random_latents, random_networks
from kodec.entropy import (
    Block,
    Distribution,
    Grid,
    GridLatents,
    IntegerArm,
    IntegerIfce,
    LocatedLaplace,
    RateMeter,
    ScanStep,
    SteppedLayer,
    SymbolReader,
    SymbolWriter,
    code_blocks,
    grids_of,
)
from kodec.native import BitstreamError, InvalidInputError

CASES = [
    *[("hop", size, "") for size in ((1, 1), (1, 40), (37, 1), (5, 2), (70, 53))],
    *[(preset, (30, 41), "") for preset in ("lop", "mop", "vhop")],
    *[(preset, (30, 41), kernels) for preset in ("hop", "vhop") for kernels in ("scalar", "avx2")],
]


class StepWriter(SymbolWriter):
    """Writes front by front, by the Python step."""

    def scan(self, name: str, y: Tensor | None, fronts: Sequence[Block], step: ScanStep) -> Tensor:
        return code_blocks(self, name, y, fronts, step)


class StepReader(SymbolReader):
    """Reads front by front, by the Python step."""

    def scan(self, name: str, y: Tensor | None, fronts: Sequence[Block], step: ScanStep) -> Tensor:
        return code_blocks(self, name, y, fronts, step)


def written(model: GridLatents, latents: list[Tensor], writer: SymbolWriter) -> bytes:
    sent = model.code(latents, writer)
    for y, y_hat in zip(latents, sent, strict=True):
        assert torch.equal(y.clamp(-64, 63), y_hat)
    # Lanes start anew with each block, of which the two ways have different ones: one lane.
    (stream,) = writer.finish(lanes=1)
    return stream


@pytest.mark.parametrize(("preset", "size", "kernels"), CASES)
def test_the_core_writes_and_reads_what_the_python_step_does(
    preset: str, size: tuple[int, int], kernels: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KODEC_SIMD", kernels)
    try:
        SymbolWriter(1).finish()
    except InvalidInputError:
        pytest.skip("not on this machine")
    grids = grids_of(*size)
    model = random_networks(grids, *PRESETS[preset])
    latents = random_latents(grids)
    stream = written(model, latents, SymbolWriter(1))
    assert stream == written(model, latents, StepWriter(1))
    for reader in (SymbolReader([stream]), StepReader([stream])):
        reader.expect(model.symbols)
        decoded = model.code(None, reader)
        reader.finish()
        for y, y_hat in zip(latents, decoded, strict=True):
            assert torch.equal(y.clamp(-64, 63), y_hat)


def test_items_segments_and_lanes_make_no_difference() -> None:
    grids = grids_of(40, 33, (1, 3), None)
    model = random_networks(grids, 10, 4)
    latents = random_latents(grids, items=2)
    sent = [y.clamp(-64, 63) for y in latents]
    for segments, lanes in ((1, 4), (3, 1), (2, 32)):
        writer = SymbolWriter(2)
        model.code(latents, writer)
        reader = SymbolReader(writer.finish(segments, lanes))
        decoded = model.code(None, reader)
        reader.finish()
        assert all(torch.equal(a, b) for a, b in zip(sent, decoded, strict=True))


def test_bytes_are_close_to_estimated_bits() -> None:
    grids = grids_of(64, 96)
    model = random_networks(grids, 14, 6)
    latents = random_latents(grids)
    meter, writer = RateMeter(training=False), SymbolWriter(1)
    for y, y_hat in zip(model.code(latents, meter), model.code(latents, writer), strict=True):
        assert torch.equal(y, y_hat)
    (stream,) = writer.finish()
    sent = [y.clamp(-64, 63) for y in latents]
    for number, bits in enumerate(model.bits(sent)):
        assert bits.item() == pytest.approx(meter.bits[f"grid{number}"].item())
    estimated = meter.total().item() / 8
    assert 0.99 * estimated - 64 <= len(stream) <= 1.01 * estimated + 64


class Recorder(RateMeter):
    """Keeps what each block's tables and means were."""

    def __init__(self) -> None:
        super().__init__(training=False)
        self.seen: list[tuple[list[int], list[int]]] = []

    def code(self, name: str, y: Tensor | None, dist: Distribution) -> Tensor:
        assert isinstance(dist, LocatedLaplace)
        self.seen.append((dist.index.flatten().tolist(), dist.whole.flatten().tolist()))
        return super().code(name, y, dist)

    def scan(self, name: str, y: Tensor | None, fronts: Sequence[Block], step: ScanStep) -> Tensor:
        return code_blocks(self, name, y, fronts, step)


@pytest.mark.parametrize("preset", ["lop", "vhop"])
def test_causality(preset: str) -> None:
    """Changing a value changes no distribution at or before it, and some after it."""
    grids = grids_of(12, 9, (0, 3), 2)
    model = random_networks(grids, *PRESETS[preset])
    latents = random_latents(grids)
    first = Recorder()
    model.code(latents, first)
    slope = model.arm_program.slope
    before = 0
    for number in reversed(range(len(grids))):
        grid = grids[number]
        rows, columns = np.mgrid[: grid.rows, : grid.columns]
        fronts = (columns + slope * rows).ravel()
        blocks = np.unique(fronts).tolist()
        for place in {0, grid.rows * grid.columns // 2, grid.rows * grid.columns - 1}:
            changed = [y.clone() for y in latents]
            changed[number].view(-1)[place] = 9
            second = Recorder()
            model.code(changed, second)
            at = before + blocks.index(fronts[place])
            assert first.seen[: at + 1] == second.seen[: at + 1]
            if place == 0 and number:
                assert first.seen != second.seen
        before += len(blocks)


def test_slopes_are_the_least_that_contexts_allow() -> None:
    slopes = {}
    for preset, sizes in PRESETS.items():
        model = random_networks(grids_of(8, 8), *sizes)
        slopes[preset] = model.arm_program.slope
    assert slopes == {"lop": 2, "mop": 2, "hop": 3, "vhop": 4}


def test_other_networks_and_damage_are_errors() -> None:
    grids = grids_of(48, 40)
    model = random_networks(grids, 14, 6)
    latents = random_latents(grids)
    writer = SymbolWriter(1)
    model.code(latents, writer)
    (stream,) = writer.finish()
    for seed in range(1, 9):
        with pytest.raises(BitstreamError):
            reader = SymbolReader([stream])
            random_networks(grids, 14, 6, seed).code(None, reader)
            reader.finish()
    # One grid of more symbols than the stream has.
    large = [Grid(0, 100, 100)]
    with pytest.raises(BitstreamError, match="more symbols"):
        random_networks(large, 14, 0).code(None, SymbolReader([stream]))
    with pytest.raises(BitstreamError, match="10000"):
        SymbolReader([stream]).expect(random_networks(large, 14, 0).symbols)


def test_values_out_of_range_are_errors() -> None:
    """What no encoder of ours writes: a symbol that leads out of [-64, 63]."""
    grids = [Grid(0, 1, 1)]
    model = random_networks(grids, 6, 0)
    dist = model.step(grids[0], []).whole(torch.zeros(1, 1, 1))
    for value, right in ((63, True), (64, False), (-64, True), (-65, False), (2**30, False)):
        writer = SymbolWriter(1)
        symbols = (torch.full((1, 1, 1), float(value)) - dist.whole) * dist.sign
        [encoder] = writer._encoders.on_host()
        encoder.add(
            symbols.flatten().to(torch.int32).numpy(),
            dist.indexes()[0].flatten().numpy(),
            dist.tables,
            np.empty(0, np.uint32),
        )
        reader = SymbolReader(writer.finish())
        if right:
            assert model.code(None, reader)[0].item() == value
            reader.finish()
        else:
            with pytest.raises(BitstreamError, match="out of its range"):
                model.code(None, reader)


def layer(outputs: int, inputs: int, value: int = 1, bits: int = 0) -> SteppedLayer:
    weight = torch.full((outputs, inputs), value)
    return SteppedLayer(weight, torch.zeros(outputs, dtype=torch.int64), bits, 0)


def test_networks_that_do_not_fit_or_may_overflow_are_refused() -> None:
    square, end = layer(8, 8), layer(2, 8)
    IntegerArm([square, square], end, end, 6, 100)
    for wrong, message in [
        (([square, layer(8, 7)], end, end, 6), "as many outputs"),
        (([square], layer(3, 8), end, 6), "as many outputs"),
        (([], end, end, 6), "as many outputs"),
        (([square], end, end, 9), "1 to 8 contexts"),
        (([square], end, end, 0), "1 to 8 contexts"),
        (([layer(8, 8, 2**30), square], layer(2, 8, 2**10), end, 6), "beyond 2\\^53"),
        (([square, square], end, end, 6, 2**40), "beyond 2\\^53"),
    ]:
        with pytest.raises(InvalidInputError, match=message):
            IntegerArm(*wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="0 to 8"):
        SteppedLayer(square.weight, square.bias, 9, 0)
    with pytest.raises(InvalidInputError, match="as many biases"):
        SteppedLayer(square.weight, end.bias, 0, 0)
    with pytest.raises(InvalidInputError, match="below 2\\^31"):
        SteppedLayer(torch.full((2, 2), 2**31), end.bias, 0, 0)
    grids = grids_of(16, 16, (0, 2), None)
    arm = IntegerArm([square], end, end, 6, 10)
    with pytest.raises(InvalidInputError, match="where there are 2"):
        GridLatents(grids, arm, {0: IntegerIfce(layer(2, 3))})
    with pytest.raises(InvalidInputError, match="proved for 10"):
        GridLatents(grids, arm, {0: IntegerIfce(layer(2, 2))})
    with pytest.raises(InvalidInputError, match="not those of their grids"):
        GridLatents(grids, arm).code([torch.zeros(1, 1, 16, 16)] * 3, SymbolWriter(1))
    for wrong_size in ((0, 1, (0, 6)), (1, 1, (3, 2)), (1, 1, (0, 16))):
        with pytest.raises(InvalidInputError, match="grids need"):
            grids_of(*wrong_size)


def folder() -> Path:
    path = Path(os.environ.get("KODEC_DATA", ".")) / "reference"
    if not (path / "inr-coolchic-image.npz").is_file():
        pytest.skip("KODEC_DATA has no reference/inr-coolchic-image.npz")
    return path


@pytest.fixture(scope="module")
def reference() -> Iterator[Any]:
    with np.load(folder() / "inr-coolchic-image.npz") as file:
        yield file


def authors_model(reference: Any, name: str) -> GridLatents:
    """Their integer networks of a picture."""
    head = json.loads((folder() / "inr-coolchic-headers.json").read_text())["image"][name][2][1]
    steps = [head["nn_q_step"][n][kind] for n in ("arm", "ifce") for kind in ("weight", "bias")]

    def net(key: str) -> NDArray[np.int64]:
        values: NDArray[np.int64] = reference[f"{name}/net/{key}"].astype(np.int64)
        return values

    layers = ("arm.mlp.0", "arm.mlp.2", "arm.mlp.4", "arm.stabiliser_branch")
    arm, ifce = integer_networks(
        [net(f"{key}.weight") for key in layers],
        [net(f"{key}.bias") for key in layers],
        {
            k: (net(f"ifce.arms.{k}.mlp.0.weight"), net(f"ifce.arms.{k}.mlp.0.bias"))
            for k in range(3)
        },
        [round(-math.log2(step)) for step in steps],
        head["spatial_context_arm"],
    )
    return GridLatents(grids_of(*head["img_size"]), arm, ifce)


@pytest.mark.parametrize("name", ["hop64x96", "mop61x83"])
def test_indexes_and_features_are_the_authors(reference: Any, name: str) -> None:
    model = authors_model(reference, name)
    count = len(model.grids)
    latents = [
        torch.from_numpy(reference[f"{name}/latent{k}"])[None, None].double() for k in range(count)
    ]
    for number, grid in enumerate(model.grids):
        coarser = latents[number + 1 :]
        step = model.step(grid, coarser)
        if grid.level < 3:
            assert step.features is not None
            wanted = reference[f"{name}/ifce_out_call{2 - grid.level}"]
            assert np.array_equal(step.features.flatten(0, 2).numpy(), wanted)
        mean, log_scale = step.outputs(latents[number].reshape(1, -1, 1))
        found = torch.stack([mean[0] + 16384, log_scale[0] + 1280], dim=-1)
        wanted = reference[f"{name}/mu_logscale_index{number}"].reshape(-1, 2)
        assert np.array_equal(found.numpy(), wanted)


@pytest.mark.parametrize("name", ["hop64x96", "mop61x83", "kodim05c256-hop2000"])
def test_the_authors_latents_cost_what_they_do_in_their_files(reference: Any, name: str) -> None:
    if "x" in name:
        data = reference[f"{name}/bitstream"].tobytes()
    else:
        data = (folder() / f"inr-coolchic-{name}.cool").read_bytes()
    (file,) = parse(data)
    values = decode(file, reference["table/mu_then_scale"])
    if "x" in name:
        for number, own in enumerate(values):
            assert np.array_equal(own, reference[f"{name}/latent{number}"])
    latents = [torch.from_numpy(own)[None, None] for own in values]
    writer = SymbolWriter(1)
    file.latents.code(latents, writer)
    (stream,) = writer.finish()
    assert len(stream) <= 1.003 * len(file.coded) + 40
    reader = SymbolReader([stream])
    decoded = file.latents.code(None, reader)
    reader.finish()
    assert all(torch.equal(a, b) for a, b in zip(latents, decoded, strict=True))


def test_the_authors_latents_of_a_video_are_read(reference: Any) -> None:
    """LOP, MOP, networks of one hidden layer, motion at a quarter of the size, no features."""
    with np.load(folder() / "inr-coolchic-video.npz") as video:
        files = parse(video["bitstream"].tobytes())
        assert [len(file.grids) for file in files] == [10, 10, 5, 10, 5]
        number = 0
        for file in files:
            values = decode(file, reference["table/mu_then_scale"])
            for own in reversed(values):
                assert np.array_equal(own, video[f"grid_in_decoding_order{number}"])
                number += 1
            latents = [torch.from_numpy(own)[None, None] for own in values]
            writer = SymbolWriter(1)
            file.latents.code(latents, writer)
            (stream,) = writer.finish()
            assert len(stream) <= 1.003 * len(file.coded) + 40
