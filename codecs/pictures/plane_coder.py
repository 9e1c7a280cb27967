"""One plane of a picture, gray or RGB, coded tile by tile: each decodes by itself, without seams.

Latents of a tile are coded apart from the others. Synthesis of a tile sees its neighbours' latents,
as far as the transform reaches, so that pixels are those of the whole picture's latents.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from itertools import count
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from kodec.codecs.coded_transform import CodedLatents, Latents
from kodec.codecs.freed_memory import give_back_freed_memory, keeping_freed
from kodec.entropy import HOST, Coders, SymbolReader, SymbolWriter
from kodec.models.blocks import Rim

from .picture import Samples
from .picture_codec import PictureCodec
from .pixels import to_tensor
from .tile_grid import Box, TileGrid

Code = Callable[[int], CodedLatents | None]
"""Passes a tile's latents through its packet; None where the packet is lost."""
Show = Callable[[Box, Tensor], None]
"""Takes pixels (1, 3, h, w), around [0, 1], of a box; boxes may come from several threads."""

_FREED_OF_A_DECODER = 1 << 25
_TILES_A_TRIM = 2
"""Tiles after which freed memory is given back: after each, pages are cleared more often."""
_Item = TypeVar("_Item")


class _Kept(NamedTuple):
    """Latents of a tile, or of a part of it, and which they are."""

    box: Box
    coded: CodedLatents


def divides(network: PictureCodec) -> bool:
    """Whether pictures can be cut into tiles: where both transforms say how far they reach, and
    nothing is sent in mid-analysis."""
    transforms = (network.analysis, network.synthesis)
    reaching = all(getattr(part, "reach", None) is not None for part in transforms)
    return reaching and network.side_latents is None


class PlaneCoder:
    """Codes a plane of width x height with `network`, at one quality (1,) or None.

    grid: in pixels; more than one tile is for networks that `divides` takes. workers: tiles at
    work at a time; with more than one, each on one thread. coders: whose write and read packets.
    """

    def __init__(
        self,
        network: PictureCodec,
        grid: TileGrid,
        quality: Tensor | None,
        workers: int = 1,
        coders: Coders = HOST,
    ) -> None:
        self.network = network
        self.grid = grid
        self.latents = grid.divided(network.stride) if len(grid) > 1 else None
        self.quality = quality
        self.workers = workers
        self.coders = coders
        self._tiles_done = count(1)

    def encode(
        self,
        samples: Samples,
        device: str,
        show: Show | None = None,
        refined: Latents | None = None,
        coded_latents: list[CodedLatents] | None = None,
    ) -> list[bytes]:
        """The packets of samples (H, W, 1 or 3), and through `show` what decoding them gives.

        refined: of a plane in one piece, latents to code in place of what the analysis gives.
        coded_latents: gets those that the decoder will see.
        """
        packets = [b""] * len(self.grid)

        def code(tile: int) -> CodedLatents:
            writer = SymbolWriter(1, self.coders)
            coded = self._write(samples, device, tile, writer, refined)
            (packets[tile],) = writer.finish()
            if coded_latents is not None:
                coded_latents.append(coded)
            return coded

        # It has an analysis, and the picture itself, beside what a decoder has.
        self.run(code, show, freed=0)
        return packets

    def read(self, tile: int, packet: bytes) -> CodedLatents:
        """The latents in a packet; raises BitstreamError where it is damaged."""
        reader = SymbolReader([packet], self.coders)
        box = self.grid.box(tile)
        reader.expect(self.network.symbols_per_item(box.height, box.width))
        cond = self.network.conditions((1, box.height, box.width), self.quality)
        coded = self.network.code_latents(None, cond, reader)
        # Nothing is made of a stream before it is known to be whole.
        reader.finish()
        return coded

    def tiles_for(self, crop: Box) -> list[int]:
        """The tiles whose latents showing a part takes, in order."""
        return list(self.grid.meeting(self._seen(crop, set(self.grid.meeting(crop)))))

    def run(
        self,
        code: Code,
        show: Show | None,
        crop: Box | None = None,
        freed: int = _FREED_OF_A_DECODER,
    ) -> None:
        """Have the tiles coded that `crop` (or all) depends on, row by row, and shown what it has.

        Latents of two rows of tiles are kept at a time, and of one what those depend on. Without
        `show` nothing is synthesised. freed: bytes that the core keeps of it for the next layers.
        """
        crop = crop or self.grid.whole
        shown = set(self.grid.meeting(crop))
        needed = set(self.tiles_for(crop))
        kept: dict[int, _Kept] = {}

        def keeping(tile: int) -> _Kept | None:
            coded = code(tile)
            self._give_back()
            return None if coded is None or show is None else self._to_keep(tile, coded)

        kept_free = keeping_freed(freed) if len(self.grid) > 1 else nullcontext()
        with kept_free, self._pool() as each:
            for row in range(self.grid.rows + 1):
                if row < self.grid.rows:
                    tiles = [tile for tile in self.grid.row(row) if tile in needed]
                    for tile, coded in zip(tiles, each(keeping, tiles), strict=True):
                        if coded is not None:
                            kept[tile] = coded
                before = [tile for tile in self.grid.row(row - 1) if tile in shown and row]
                if show is not None:
                    for _ in each(lambda tile: self._synthesise(tile, kept, show), before):
                        pass
                for tile in [tile for tile in kept if tile < row * self.grid.columns]:
                    if tile < (row - 1) * self.grid.columns:
                        del kept[tile]
                    else:
                        kept[tile] = self._lowest_of(kept[tile])

    def _seen(self, crop: Box, shown: set[int]) -> Box:
        """The pixels whose latents the tiles shown depend on."""
        if self.latents is None or not shown:
            return crop
        boxes = [self.grid.box(min(shown)), self.grid.box(max(shown))]
        around = Box(boxes[0].left, boxes[0].top, boxes[1].right, boxes[1].bottom)
        reach = self._reach("synthesis") * self.network.stride
        return around.widened(reach, self.grid.width, self.grid.height)

    def _reach(self, part: str) -> int:
        return int(getattr(self.network, part).reach)

    def _around(self, tile: int, part: str) -> tuple[Box, Rim]:
        """The latents that a transform of a tile depends on, and how many pixels that is more."""
        grid, stride = self.latents, self.network.stride
        assert grid is not None
        own = grid.box(tile)
        box = own.widened(self._reach(part), grid.width, grid.height)
        more = (own.left - box.left, own.top - box.top, box.right - own.right)
        return box, Rim(*(stride * side for side in (*more, box.bottom - own.bottom)))

    def _write(
        self,
        samples: Samples,
        device: str,
        tile: int,
        writer: SymbolWriter,
        refined: Latents | None,
    ) -> CodedLatents:
        network, box = self.network, self.grid.box(tile)
        size = (1, box.height, box.width)
        if self.latents is None:
            x = to_tensor(samples).to(device)
            return network.code_picture(x, size, self.quality, writer, refined=refined)
        around, rim = self._around(tile, "analysis")
        seen = around.scaled(network.stride).common(self.grid.whole)
        x = to_tensor(samples[seen.slices]).to(device)
        cond = network.conditions(size, self.quality)
        y = network.analyse(network.pad(x), cond, rim=rim).y.contiguous()
        return network.code_latents(Latents(y), cond, writer)

    def _to_keep(self, tile: int, coded: CodedLatents) -> _Kept:
        """Latents in the precision that the synthesis takes them in."""
        if self.latents is None:
            return _Kept(self.grid.box(tile), coded)
        return _Kept(self.latents.box(tile), CodedLatents(coded.y_hat.to(self.network.precision)))

    def _lowest_of(self, kept: _Kept) -> _Kept:
        """The rows of a tile that is shown that the tiles below depend on."""
        if self.latents is None:
            return kept
        box, reach = kept.box, self._reach("synthesis")
        lowest = Box(box.left, max(box.top, box.bottom - reach), box.right, box.bottom)
        y_hat = kept.coded.y_hat[(..., *lowest.within(box).slices)]
        return _Kept(lowest, CodedLatents(y_hat.clone()))

    def _synthesise(self, tile: int, kept: dict[int, _Kept], show: Show) -> None:
        box = self.grid.box(tile)
        if self.latents is None:
            if tile in kept:
                size = (1, box.height, box.width)
                show(box, self.network.reconstruct(kept[tile].coded, size, self.quality))
            return
        if tile not in kept:
            return
        around, rim = self._around(tile, "synthesis")
        seen = self._window(tile, around, kept)
        x_hat = self.network.synthesise(CodedLatents(seen), self.quality, rim=rim)
        show(box, x_hat[..., : box.height, : box.width])
        del x_hat, seen
        self._give_back()

    def _give_back(self) -> None:
        """Now and then, what tiles took and what lies between what others take."""
        if next(self._tiles_done) % _TILES_A_TRIM == 0:
            give_back_freed_memory()

    def _window(self, tile: int, around: Box, kept: dict[int, _Kept]) -> Tensor:
        """The latents around a tile, in the place of lost ones what is nearest in the tile."""
        assert self.latents is not None
        own, y_hat = self.latents.box(tile), kept[tile].coded.y_hat
        tiles = [number for number in self.latents.meeting(around) if number != tile]
        if any(number not in kept for number in tiles):
            columns = torch.arange(around.left, around.right, device=y_hat.device) - own.left
            rows = torch.arange(around.top, around.bottom, device=y_hat.device) - own.top
            nearest = rows.clamp(0, own.height - 1)[:, None], columns.clamp(0, own.width - 1)[None]
            seen = y_hat[:, :, nearest[0], nearest[1]]
        else:
            seen = y_hat.new_empty(1, y_hat.shape[1], around.height, around.width)
        for number in (tile, *tiles):
            found = kept.get(number)
            if found is None:
                continue
            both = found.box.common(around)
            part = found.coded.y_hat[(..., *both.within(found.box).slices)]
            seen[(..., *both.within(around).slices)] = part
        return seen

    @contextmanager
    def _pool(self) -> Iterator[Callable[[Callable[[int], _Item], list[int]], Iterator[_Item]]]:
        """A map over tiles, in threads where there are several workers."""
        workers = min(self.workers, len(self.grid))
        if workers <= 1:
            yield lambda work, tiles: map(work, tiles)
            return
        threads = torch.get_num_threads()

        def without_gradients(work: Callable[[int], _Item]) -> Callable[[int], _Item]:
            def run(tile: int) -> _Item:
                # Which is each thread's own.
                with torch.no_grad():
                    return work(tile)

            return run

        torch.set_num_threads(1)
        try:
            with ThreadPoolExecutor(
                workers, initializer=torch.set_num_threads, initargs=(1,)
            ) as pool:
                yield lambda work, tiles: pool.map(without_gradients(work), tiles)
        finally:
            torch.set_num_threads(threads)
