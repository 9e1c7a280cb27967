"""Pictures in tiles: pixels as in one piece, any number of threads, damage and crops."""

import io
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from kodec.codecs import ChunkReader, Codec, Encoded, Packet, load, picture_of_array
from kodec.codecs.coded_transform import CodedLatents
from kodec.codecs.container import PictureHeader, read_container
from kodec.codecs.pictures.alpha import form_of, pack_alpha, unpack_alpha
from kodec.codecs.pictures.canvas import Canvas
from kodec.codecs.pictures.concealment import conceal
from kodec.codecs.pictures.memory_budget import MemoryBudget
from kodec.codecs.pictures.picture import Samples
from kodec.codecs.pictures.pixels import to_array
from kodec.codecs.pictures.tile_grid import Box, TileGrid
from kodec.native import BitstreamError, InvalidInputError
from photos import photo_like

SIZE = (150, 210)
TILE = (64, 64)
LOST = 5


@cache
def codec_of(path: Path) -> Codec:
    return load(path)


@cache
def coded(path: Path, deep: bool = False, alpha: bool = False) -> Encoded:
    samples: Samples = photo_like(*SIZE, 4 if alpha else 3)
    if deep:
        samples = samples.astype(np.uint16) * 257 + 11
    return codec_of(path).encode_picture(picture_of_array(samples), 30, tile=TILE)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("alpha", [False, True])
def test_files_decode_to_the_encoders_reconstruction(
    tiny_model: Path, deep: bool, alpha: bool
) -> None:
    codec, encoded = codec_of(tiny_model), coded(tiny_model, deep, alpha)
    decoded = codec.decode_picture(encoded.data)
    assert decoded.same_as(encoded.reconstruction)
    assert (decoded.bit_depth, decoded.alpha is not None) == (16 if deep else 8, alpha)


def test_threads_change_nothing(tiny_model: Path) -> None:
    codec, encoded = codec_of(tiny_model), coded(tiny_model)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        again = codec.encode_picture(picture_of_array(photo_like(*SIZE)), 30, tile=TILE)
        assert torch.get_num_threads() == 3
        assert codec.decode_picture(encoded.data).same_as(encoded.reconstruction)
    finally:
        torch.set_num_threads(before)
    assert again.data == encoded.data
    assert again.reconstruction.same_as(encoded.reconstruction)


@pytest.mark.parametrize("quality", [0, 30, 63])
def test_there_are_no_seams(tiny_model: Path, quality: int) -> None:
    """The same latents give the same pixels, tile by tile or all at once, but for rounding."""
    codec, (height, width) = codec_of(tiny_model), SIZE
    picture = picture_of_array(photo_like(height, width))
    latents = codec.code_picture(picture, quality, tile=None).latents
    assert latents is not None
    coder = codec.plane_coder(TileGrid(width, height, TILE), quality)
    canvas = Canvas((height, width, 3), 8)
    with torch.no_grad():
        x_hat = codec.network.reconstruct(latents, (1, height, width), codec.condition(quality))
        assert coder.latents is not None
        boxes = [coder.latents.box(tile) for tile in range(len(coder.grid))]
        parts = [CodedLatents(latents.y_hat[(..., *box.slices)].contiguous()) for box in boxes]
        coder.run(parts.__getitem__, canvas.show)
    difference = np.abs(to_array(x_hat, 3).astype(int) - canvas.samples.astype(int))
    assert difference.max() <= 1


@pytest.mark.parametrize("box", [(0, 0, 1, 1), (60, 61, 140, 90), (209, 149, 210, 150)])
def test_a_crop_is_a_part_of_the_whole_and_reads_what_it_needs(
    tiny_model: Path, box: tuple[int, int, int, int]
) -> None:
    codec, encoded, crop = codec_of(tiny_model), coded(tiny_model, alpha=True), Box(*box)
    reader = ChunkReader(encoded.data)
    header = reader.header
    assert isinstance(header, PictureHeader)
    wanted = codec.packets_for(header, crop)
    assert set(wanted) <= set(codec.packets_for(header))
    assert len(codec.packets_for(header)) == header.packets
    packets = {packet.number: packet.data for packet in reader.only(set(wanted))}
    assert sorted(packets) == wanted
    part = codec.decode_packets(header, packets, {}, crop)
    whole = encoded.reconstruction
    assert np.array_equal(part.pixels, whole.pixels[crop.slices])
    assert part.alpha is not None and whole.alpha is not None
    assert np.array_equal(part.alpha, whole.alpha[crop.slices])


def test_packets_passed_over_may_be_damaged_and_those_read_may_not(tiny_model: Path) -> None:
    data = bytearray(coded(tiny_model).data)
    place = data.index(read_container(bytes(data)).packets[7]) + 3
    data[place] ^= 1
    for again in (bytes, io.BytesIO):
        assert [packet.number for packet in ChunkReader(again(data)).only({2, 8})] == [2, 8]
        with pytest.raises(BitstreamError, match="checksum"):
            list(ChunkReader(again(data)).only({2, 7}))


def test_a_lost_tile_costs_itself_and_a_rim(tiny_model: Path) -> None:
    codec, encoded = codec_of(tiny_model), coded(tiny_model)
    container = read_container(encoded.data)
    packets = dict(enumerate(container.packets))
    del packets[LOST]
    picture, lost = codec.decode_partial(container.header, packets, {})
    assert [(tile.plane, tile.box) for tile in lost] == [("colours", Box(64, 64, 128, 128))]
    stride, reach = codec.network.stride, int(codec.network.synthesis.reach)  # type: ignore[arg-type]
    rim = lost[0].box.widened(stride * reach, SIZE[1], SIZE[0])
    far = np.ones(SIZE, bool)
    far[rim.slices] = False
    whole = encoded.reconstruction.pixels
    assert np.array_equal(picture.pixels[far], whole[far])
    inside = picture.pixels[lost[0].box.slices].astype(int)
    # Filled in from around it: nearer to what was there than a gray is.
    there = whole[lost[0].box.slices].astype(int)
    assert np.abs(inside - there).mean() < np.abs(128 - there).mean()
    with pytest.raises(BitstreamError, match="no part"):
        codec.decode_partial(container.header, {}, {})


def test_a_cut_file_gives_what_precedes_the_cut(tiny_model: Path) -> None:
    codec, encoded = codec_of(tiny_model), coded(tiny_model)
    data = encoded.data
    cut = data[: data.index(read_container(data).packets[9]) + 2]
    reader = ChunkReader(cut, damaged="keep")
    packets = {item.number: item.data for item in reader if isinstance(item, Packet)}
    assert sorted(packets) == list(range(9)) and reader.cut is not None
    assert isinstance(reader.header, PictureHeader)
    picture, lost = codec.decode_partial(reader.header, packets, {})
    assert [tile.box.top for tile in lost] == [128] * 3
    stride, reach = codec.network.stride, int(codec.network.synthesis.reach)  # type: ignore[arg-type]
    rows = max(0, 128 - stride * reach)
    assert np.array_equal(picture.pixels[:rows], encoded.reconstruction.pixels[:rows])


def test_whatever_is_lost_there_is_a_picture_or_an_error(tiny_model: Path) -> None:
    codec, encoded = codec_of(tiny_model), coded(tiny_model, alpha=True)
    rng = np.random.default_rng(1)
    for _ in range(12):
        data = bytearray(encoded.data)
        for _ in range(rng.integers(1, 9)):
            data[rng.integers(60, len(data))] ^= 1 << rng.integers(0, 8)
        with pytest.raises(BitstreamError):
            codec.decode(bytes(data))
        reader = ChunkReader(bytes(data), damaged="keep")
        packets = {item.number: item.data for item in reader if isinstance(item, Packet)}
        assert isinstance(reader.header, PictureHeader)
        picture, lost = codec.decode_partial(reader.header, packets, reader.metadata)
        assert picture.pixels.shape == (*SIZE, 3) and lost


@pytest.mark.parametrize("crop", [None, Box(60, 61, 140, 90), Box(140, 100, 210, 150)])
def test_alpha_without_loss_in_part(tiny_model: Path, crop: Box | None) -> None:
    codec = codec_of(tiny_model)
    samples = photo_like(*SIZE, 4)
    samples[..., 3] = 255
    samples[40:90, 30:150, 3] = 0
    alpha = samples[..., 3]
    container = read_container(codec.encode_picture(picture_of_array(samples), 30, tile=TILE).data)
    packets = dict(enumerate(container.packets))
    del packets[2 * LOST + 1]
    picture, lost = codec.decode_partial(container.header, packets, {}, crop)
    box, shown = Box(64, 64, 128, 128), crop or Box(0, 0, SIZE[1], SIZE[0])
    assert [(tile.plane, tile.box) for tile in lost] == [("alpha", box)] * box.meets(shown)
    assert picture.alpha is not None
    sound = np.ones(SIZE, bool)
    sound[box.slices] = False
    assert np.array_equal(
        np.where(sound, alpha, 9)[shown.slices], np.where(sound[shown.slices], picture.alpha, 9)
    )


def test_alpha_in_two_ways_shows_both_in_part(tiny_model: Path) -> None:
    """No encoder writes such a file: what is damaged in it nobody knows."""
    codec, encoded = codec_of(tiny_model), coded(tiny_model, alpha=True)
    container = read_container(encoded.data)
    packets = dict(enumerate(container.packets))
    assert encoded.reconstruction.alpha is not None
    box = TileGrid(SIZE[1], SIZE[0], TILE).box(LOST)
    packets[2 * LOST + 1] = pack_alpha(np.full((64, 64), 77, np.uint8))
    with pytest.raises(BitstreamError, match="in two ways"):
        codec.decode_packets(container.header, packets, {})
    del packets[1]
    picture, lost = codec.decode_partial(container.header, packets, {})
    assert [(tile.plane, tile.box) for tile in lost] == [("alpha", Box(0, 0, 64, 64))]
    assert picture.alpha is not None and np.all(picture.alpha[box.slices] == 77)
    assert np.array_equal(picture.alpha[140:], encoded.reconstruction.alpha[140:])


def test_concealment_fades_between_neighbours() -> None:
    grid = TileGrid(6, 2, (2, 2))
    samples = np.zeros((2, 6, 1), np.uint8)
    samples[:, :2], samples[:, 4:] = 30, 90
    conceal(samples, grid.whole, grid, [1])
    assert samples[0, :, 0].tolist() == [30, 30, 50, 70, 90, 90]
    conceal(samples, grid.whole, grid, [0, 1])
    assert samples[0, :, 0].tolist() == [90] * 6
    conceal(samples, grid.whole, grid, [0, 1, 2])
    assert samples[0, :, 0].tolist() == [90] * 6


@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_alpha_without_loss(kind: type) -> None:
    y, x = np.mgrid[0:40, 0:50]
    soft = np.clip((15 - np.hypot(x - 25, y - 20)) * 60, 0, 255).astype(kind)
    noise: Samples = np.random.default_rng(0).integers(0, 200, (3, 4)).astype(kind)
    samples: list[Samples] = [soft, soft * 0 + 7, noise]
    for alpha in samples:
        packet = pack_alpha(alpha)
        height, width = alpha.shape
        unpacked = unpack_alpha(packet, height, width, 8 * alpha.dtype.itemsize)
        assert np.array_equal(unpacked, alpha)
    assert len(pack_alpha(soft)) < soft.size / 4
    packet = pack_alpha(soft)
    bits = 8 * soft.dtype.itemsize
    for wrong in (b"", b"\3", packet[:-1], packet + b"x", packet[:1] + b"\3" + packet[2:], b"\0"):
        with pytest.raises(BitstreamError, match="transparency is damaged"):
            form_of(wrong)
            unpack_alpha(wrong, 40, 50, bits)
    with pytest.raises(BitstreamError):
        unpack_alpha(packet, 40, 49, bits)


def test_a_limit_of_memory_picks_the_tiles(tiny_model: Path) -> None:
    codec = codec_of(tiny_model)
    budget = MemoryBudget(codec.network, codec.condition(30), 1 << 40)
    assert budget.plan(9000, 9000, 4, 0).tile is None
    fit = budget.needed(TileGrid(9000, 9000, (512, 512)), 2, 0)
    budget.limit = fit
    plan = budget.plan(9000, 9000, 2, 0)
    assert plan.tile is not None and plan.tile[0] >= 512
    assert budget.workers(TileGrid(9000, 9000, (512, 512)), 2, 0) == 2
    budget.limit = 1 << 20
    with pytest.raises(InvalidInputError, match="too little.*give --max-memory"):
        budget.plan(9000, 9000, 2, 0)
    with pytest.raises(InvalidInputError, match="too little"):
        budget.workers(TileGrid(9000, 9000, (512, 512)), 2, 0)


def test_memory_is_measured_without_gradients() -> None:
    codec = load()
    for decodes in (False, True):
        budget = MemoryBudget(codec.network, codec.condition(32), 1 << 40, decodes)
        # With gradients the filter at edges takes 2,400 bytes a pixel; without, all take some 400.
        assert budget.bytes_a_pixel < 1200


def test_grids() -> None:
    grid = TileGrid(100, 70, (64, 32))
    assert (grid.columns, grid.rows, len(grid)) == (2, 3, 6)
    assert grid.box(5) == Box(64, 64, 100, 70)
    assert list(grid.meeting(Box(63, 31, 65, 33))) == [0, 1, 2, 3]
    assert grid.divided(16) == TileGrid(7, 5, (4, 2))
    with pytest.raises(InvalidInputError, match="stride 48"):
        grid.divided(48)
