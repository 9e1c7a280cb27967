"""Splitting blocks: what the change of frequencies does, which blocks take it, and the map."""

import numpy as np
import pytest
import torch

from kodec.entropy import Conditions, RateMeter, SymbolReader, SymbolWriter, build_tables
from kodec.entropy.contexts.block_splitting import BlockSplitting, split_once
from kodec.models import LappedAnalysis
from kodec.models.blocks.frequencies import channel_order
from kodec.native import InvalidInputError

BLOCK = 16
CHANNELS = 3 * BLOCK**2


def test_the_change_is_orthonormal_and_keeps_means() -> None:
    once = split_once(BLOCK)
    assert np.abs(once @ once.T - np.eye(BLOCK)).max() < 1e-12
    assert once[0] == pytest.approx(np.eye(BLOCK)[0], abs=1e-12)


def test_energy_stays_in_the_quarter_where_it_is() -> None:
    """Noise in one quarter of each block is in a quarter of the latents, of the block's in all."""
    torch.manual_seed(0)
    transform = LappedAnalysis(BLOCK, boost=1.0)
    x = torch.full((1, 3, 5 * BLOCK, 5 * BLOCK), 0.5)
    middle = 2 * BLOCK
    x[..., middle + 9 : middle + 16, middle + 1 : middle + 8] += 0.3 * torch.randn(3, 7, 7)
    # Windows reach into other blocks; what is changed is the block alone.
    everywhere = torch.ones(1, 1, 1, dtype=torch.bool)
    with torch.no_grad():
        y = transform(x)[0, :, 2, 2]
        changed = splitting().split(y[None, None], everywhere)[0, 0].numpy()
    order, _ = channel_order(BLOCK)
    rows, columns = order // BLOCK % BLOCK, order % BLOCK
    own = (rows % 2 == 1) & (columns % 2 == 0) & (rows > 1) & (columns > 1)
    high = (rows > 1) & (columns > 1)
    assert np.square(changed[own]).sum() > 0.7 * np.square(changed[high]).sum()
    assert np.square(y.numpy()[own]).sum() < 0.4 * np.square(y.numpy()[high]).sum()


def splitting() -> BlockSplitting:
    torch.manual_seed(0)
    found = BlockSplitting(CHANNELS, 8)
    torch.nn.init.normal_(found.logits)
    build_tables(found)
    return found.eval()


def test_blocks_that_gain_are_chosen_and_come_back() -> None:
    model = splitting()
    y = torch.zeros(1, 4, CHANNELS)
    y[0, 0, 5:20] = 8
    everywhere = torch.ones(1, 1, 1, dtype=torch.bool)
    y[0, 1] = model.join(y[:, :1], everywhere)[0, 0]
    chosen = model.choose(y)
    assert chosen.tolist() == [[0, 1, 0, 0]]
    where = chosen[..., None] > 0
    changed = model.split(y, where)
    assert torch.equal(changed[0, 0], y[0, 0])
    assert torch.allclose(changed[0, 1], y[0, 0], atol=1e-4)
    assert torch.allclose(model.join(changed, where), y, atol=1e-4)


def test_the_map_is_read_as_written_and_costs_what_is_estimated() -> None:
    model = splitting()
    cond = Conditions(torch.Size((2, CHANNELS, 24, 30)), torch.tensor([5.0, 60.0]))
    chosen = (torch.rand(2, 24 * 30) < 0.3).long()
    writer, meter = SymbolWriter(2), RateMeter(training=False)
    written = model.code(chosen, cond, writer)
    model.code(chosen, cond, meter)
    streams = writer.finish()
    reader = SymbolReader(streams)
    assert torch.equal(model.code(None, cond, reader), written)
    assert torch.equal(written[..., 0], chosen > 0)
    reader.finish()
    for stream, bits in zip(streams, meter.total().tolist(), strict=True):
        assert abs(8 * len(stream) - bits) < 0.01 * bits + 8 * 64


def test_channels_of_no_block_are_refused() -> None:
    with pytest.raises(InvalidInputError, match="split"):
        BlockSplitting(192 + 3, 8)
