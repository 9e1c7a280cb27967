"""Phases of positions, convolutions at a phase's positions, and the orders made of them."""

from typing import Any

import pytest
import torch
from torch import nn

from kodec.entropy import Conditions, FrequencySlices, SymbolReader, SymbolWriter, build_tables
from kodec.entropy.contexts.coded_grid import CodedGrid
from kodec.entropy.contexts.positions import PATTERNS, phase_positions, to_grid, to_tokens
from kodec.models.blocks import DepthwiseConv2d

SIZES = [(1, 1), (2, 3), (5, 7), (8, 12)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("phases", PATTERNS)
def test_phases_partition_the_grid_and_start_at_its_corner(
    phases: int, size: tuple[int, int]
) -> None:
    places = phase_positions(*size, phases)
    assert len(places) == phases
    assert torch.equal(torch.cat(places).sort().values, torch.arange(size[0] * size[1]))
    assert places[0][0] == 0
    assert all(torch.equal(place, place.sort().values) for place in places)


def test_each_of_six_phases_has_nearer_neighbours_than_the_one_before() -> None:
    h = w = 16
    phase_of = torch.empty(h * w, dtype=torch.int64)
    for phase, places in enumerate(phase_positions(h, w, 6)):
        phase_of[places] = phase
    phase_of = phase_of.view(h, w)
    nearest = []
    for phase in range(1, 6):
        coded = torch.nonzero(phase_of < phase)
        inner = torch.nonzero(phase_of[4:12, 4:12] == phase) + 4
        distances = (inner[:, None] - coded).square().sum(-1).min(1).values
        # All positions of a phase are equally far from what is coded.
        assert distances.unique().numel() == 1
        nearest.append(int(distances[0]))
    assert nearest == [8, 4, 2, 1, 1]
    # And what comes last lies among eight coded neighbours.
    around = phase_of[4:-4, 4:-4] == 5
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            if dy or dx:
                assert (phase_of[4 + dy : 12 + dy, 4 + dx : 12 + dx][around] < 5).all()


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("phases", [2, 4, 6])
def test_a_convolution_at_a_phase_equals_one_of_the_whole_grid(
    phases: int, size: tuple[int, int], kernel: int
) -> None:
    """Both ways of computing it, for what is known of the grid, zeros elsewhere."""
    torch.manual_seed(0)
    h, w = size
    layer = DepthwiseConv2d(3, kernel).double()
    tokens = torch.randn(2, h * w, 3, dtype=torch.float64)
    places = phase_positions(h, w, phases)
    with torch.no_grad():
        sparse, known = CodedGrid(h, w, places), torch.zeros_like(tokens)
        for phase, positions in enumerate(places):
            if phase and len(positions):
                expected = to_tokens(layer(to_grid(known, h, w)))[:, positions]
                found = sparse.convolve(layer, phase)
                assert torch.allclose(found, expected, rtol=1e-12, atol=1e-13)
            sparse.add(phase, tokens[:, positions])
            known[:, positions] = tokens[:, positions]
        assert torch.equal(sparse.grid(), tokens.view(2, h, w, 3))
    whole = CodedGrid(h, w, places)
    for phase, positions in enumerate(places):
        if phase and len(positions):
            with torch.no_grad():
                again = CodedGrid(h, w, places)
                for earlier in range(phase):
                    again.add(earlier, tokens[:, places[earlier]])
                expected = again.convolve(layer, phase)
            found = whole.convolve(layer, phase)
            assert found.requires_grad
            assert torch.allclose(found, expected, rtol=1e-12, atol=1e-13)
        whole.add(phase, tokens[:, positions])
    assert torch.equal(whole.grid(), tokens.view(2, h, w, 3))


def six_phases(layers: int = 1) -> FrequencySlices:
    torch.manual_seed(3)
    model = FrequencySlices(
        slices=(3, 4, 5), phases=(6, 4, 2), layers=(layers,) * 3, width=16, context=8, hyper=6
    )
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.15)
    return model


@pytest.mark.parametrize("size", SIZES)
@torch.inference_mode()
def test_six_phases_round_trip(size: tuple[int, int]) -> None:
    model = six_phases().double().eval()
    build_tables(model)
    y = 3 * torch.randn(1, 12, *size)
    condition = Conditions(y.shape, torch.tensor([40.0]))
    writer = SymbolWriter(1)
    written = model.code(y, condition, writer)
    reader = SymbolReader(writer.finish())
    reader.expect(model.symbols(*size))
    assert torch.equal(model.code(None, condition, reader), written)
    reader.finish()
    assert written.shape == y.shape


@torch.no_grad()
def test_layers_of_a_head_start_as_the_identity() -> None:
    model = FrequencySlices(
        slices=(3, 4, 5), phases=(6, 2, 2), layers=(1, 2, 0), width=16, context=8, hyper=6
    )
    features = torch.randn(2, 7, 16)
    parts: list[Any] = list(model.slices)
    counts = [len(part.layers) for part in parts]
    assert counts == [1, 2, 0]
    for part in model.slices:
        for layer in part.layers:  # type: ignore[union-attr]
            assert torch.equal(layer(features), features)
