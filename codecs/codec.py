"""A loaded codec: whole pictures to whole files and back."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image

from kodec.entropy import Coders, RateMeter
from kodec.native import BitstreamError, InvalidInputError

from .catalogue import find_model, model_path
from .coded_transform import CodedLatents, Latents
from .container import (
    ChunkReader,
    Container,
    FittedHeader,
    PictureHeader,
    read_container,
    write_container,
)
from .fitted_families import is_family
from .loaded_model import LoadedModel, check_device
from .memory_guard import MemoryGuard
from .model_file import load_model
from .pictures.canvas import Canvas, Comparison
from .pictures.coded_picture import grid_of, metadata_of, picture_with
from .pictures.concealment import conceal
from .pictures.image_samples import picture_from_image
from .pictures.picture import Picture, Samples, array_of_picture, picture_of_array
from .pictures.picture_codec import PictureCodec
from .pictures.pixels import NotFiniteError, to_array, to_tensor
from .pictures.plane_coder import PlaneCoder, Show, divides
from .pictures.plane_packets import read_alpha, show_alpha, show_colours, write_alpha
from .pictures.tile_grid import Box, TileGrid

DIVIDED_ABOVE = 1 << 21
"""Pixels of the largest picture that is usually coded in one piece."""
USUAL_TILE = (512, 512)

Tile = tuple[int, int] | None | Literal["usual"]


@dataclass(frozen=True)
class Encoded:
    """A file's bytes, and the picture that decoding them will give."""

    data: bytes
    reconstruction: Picture


@dataclass(frozen=True)
class Measured:
    """A file's bytes, and how far the pixels that decoding them will give are from the source's."""

    data: bytes
    mean_squared_error: float


@dataclass(frozen=True)
class Lost:
    """A tile that could not be decoded and was filled in."""

    plane: str
    """"colours" or "alpha"."""
    box: Box
    """Where it lies, in pixels."""


@dataclass(frozen=True)
class Coded:
    """A file's bytes, and what `Codec.reconstruct` makes the picture of that they will give.

    latents: of a picture in one piece without alpha; what is divided is decoded from its bytes.
    """

    data: bytes
    source: Picture
    quality: int | None
    latents: CodedLatents | None = None


class Codec(LoadedModel[PictureCodec]):
    """A model ready to code pictures, on one device.

    Pictures of more than `DIVIDED_ABOVE` pixels are cut into tiles, which decode by themselves and
    are coded on all cores, where the model's transforms say how far they reach.
    """

    def coders(self) -> Coders:
        """Whose coders write and read its streams: those of the device where symbols lie."""
        return self.network.coders(torch.device(self.device))

    @torch.no_grad()
    def encode(self, image: Samples | Image.Image, quality: int | None = None) -> bytes:
        """A picture as the bytes of a `.kdc` file.

        image: uint8 or uint16 (H, W), (H, W, 1) or (H, W, 3), with straight alpha (H, W, 2) or (H,
        W, 4); or a Pillow image. quality: 0 (smallest) to 63 (best), by default 32; fixed-rate
        models take none. Raises `InvalidInputError` or `UnsupportedError`.
        """
        return self.code_picture(as_picture(image), quality).data

    def decode(self, data: bytes) -> Samples:
        """The picture in a `.kdc` file's bytes, uint8 or uint16 (H, W, 1 or 3), (H, W, 2 or 4) with
        alpha.

        Raises `BitstreamError` for damaged data, `UnsupportedError` for another model's.
        """
        return array_of_picture(self.decode_picture(data))

    @torch.no_grad()
    def encode_picture(
        self,
        picture: Picture,
        quality: int | None = None,
        *,
        tile: Tile = "usual",
        workers: int | None = None,
    ) -> Encoded:
        """Code a picture with all that comes with it; also gives the reconstruction.

        tile: see `tile_of`. workers: tiles at work at a time, as many as PyTorch has threads.
        """
        quality = self.check_quality(quality)
        tile = self.tile_of(picture, tile)
        if tile is None and picture.alpha is None:
            return self.reconstruct(self.code_picture(picture, quality, tile=None))
        canvas = Canvas(picture.pixels.shape, picture.bit_depth)
        data, alpha, _ = self._write(picture, quality, tile, workers, canvas.show)
        return Encoded(data, replace(picture, pixels=canvas.samples, alpha=alpha))

    @torch.no_grad()
    def encode_measured(
        self,
        picture: Picture,
        quality: int | None = None,
        *,
        tile: Tile = "usual",
        workers: int | None = None,
    ) -> Measured:
        """As `encode_picture`, but of the reconstruction no more is kept than its error: a large
        picture's takes as much memory as the picture."""
        quality = self.check_quality(quality)
        tile = self.tile_of(picture, tile)
        compared = Comparison(picture.pixels, picture.bit_depth)
        data, _, _ = self._write(picture, quality, tile, workers, compared.show)
        return Measured(data, compared.mean_squared_error)

    @torch.no_grad()
    def code_picture(
        self,
        picture: Picture,
        quality: int | None = None,
        refined: Latents | None = None,
        *,
        tile: Tile = "usual",
        workers: int | None = None,
    ) -> Coded:
        """As `encode_picture`, up to the bytes: most of the work is still to be done after it.

        refined: latents to code in place of what the analysis makes of the picture, in one piece.
        """
        quality = self.check_quality(quality)
        tile = None if refined is not None else self.tile_of(picture, tile)
        data, _, latents = self._write(picture, quality, tile, workers, None, refined)
        return Coded(data, picture, quality, latents)

    @torch.no_grad()
    def reconstruct(self, coded: Coded) -> Encoded:
        """The picture that the bytes will give, with them."""
        if coded.latents is None:
            return Encoded(coded.data, self.decode_picture(coded.data))
        picture = coded.source
        height, width, components = picture.pixels.shape
        condition = self.condition(coded.quality)
        with MemoryGuard(width, height):
            x_hat = self.network.reconstruct(coded.latents, (1, height, width), condition)
        pixels = to_array(x_hat, components, picture.bit_depth)
        return Encoded(coded.data, replace(picture, pixels=pixels))

    def tile_of(self, picture: Picture, tile: Tile = "usual") -> tuple[int, int] | None:
        """The tiles that a picture is cut into: (width, height), or None for one piece.

        tile: these, or "usual", which is None for small pictures and for models that can't divide
        any. Raises `InvalidInputError` for tiles where the model can't.
        """
        height, width = picture.pixels.shape[:2]
        if tile == "usual":
            small = width * height <= DIVIDED_ABOVE
            return None if small or not divides(self.network) else USUAL_TILE
        if tile is None or (tile[0] >= width and tile[1] >= height):
            return None
        if not divides(self.network):
            raise InvalidInputError(
                f"the model {self.name} sees whole pictures: it can't code them in tiles"
            )
        return tile

    def plane_coder(
        self, grid: TileGrid, quality: int | None, workers: int | None = None
    ) -> PlaneCoder:
        """What codes planes of that size and quality.

        workers: tiles at work at a time; without it as many as PyTorch has threads. Files of class
        local hang on how many threads share a sum: their tiles follow one another.
        """
        workers = min(workers or self.most_workers, self.most_workers)
        return PlaneCoder(self.network, grid, self.condition(quality), workers, self.coders())

    def _write(
        self,
        picture: Picture,
        quality: int | None,
        tile: tuple[int, int] | None,
        workers: int | None,
        show: Show | None,
        refined: Latents | None = None,
    ) -> tuple[bytes, Samples | None, CodedLatents | None]:
        """The file's bytes, the alpha that it decodes to, and of a picture in one piece without
        alpha the latents that its decoder will see, if nothing is shown of it."""
        height, width, components = picture.pixels.shape
        header = PictureHeader(
            width,
            height,
            components,
            quality,
            self.info.model_id,
            self.network.portability,
            picture.bit_depth,
            1 if picture.alpha is None else 2,
            tile,
            self.machine(),
        )
        grid = TileGrid(width, height, tile)
        coder = self.plane_coder(grid, quality, workers)
        alpha: Samples | None = None
        latents: list[CodedLatents] = []
        with MemoryGuard(width, height):
            keep = latents if tile is None and picture.alpha is None and show is None else None
            planes = [coder.encode(picture.pixels, self.device, show, refined, keep)]
            if picture.alpha is not None:
                colours = sum(map(len, planes[0]))
                packets, alpha = write_alpha(
                    picture.alpha, coder, self.device, colours, show is not None
                )
                planes.append(packets)
        packets = [packet for tile_packets in zip(*planes, strict=True) for packet in tile_packets]
        return (
            write_container(header, packets, metadata_of(picture)),
            alpha,
            (latents[0] if latents else None),
        )

    @torch.no_grad()
    def decode_picture(self, data: bytes) -> Picture:
        """Decode a `.kdc` file's bytes, with all that comes with the picture."""
        return self.decode_container(read_container(data))

    @torch.no_grad()
    def decode_container(self, container: Container) -> Picture:
        """Decode a container that was read already."""
        packets = dict(enumerate(container.packets))
        return self.decode_packets(container.header, packets, container.metadata)

    @torch.no_grad()
    def decode_packets(
        self,
        header: PictureHeader,
        packets: Mapping[int, bytes],
        metadata: Mapping[str, bytes],
        crop: Box | None = None,
        workers: int | None = None,
    ) -> Picture:
        """Decode the part of a picture in `crop` (all of it) from the packets that it needs.

        Raises as `decode_picture`.
        """
        coder = self._coder_of(header, workers)
        crop = crop or coder.grid.whole
        canvas = Canvas((crop.height, crop.width, header.components), header.bit_depth, crop)
        alpha: Samples | None = None
        with MemoryGuard(header.width, header.height), _finite():
            coder.run(
                lambda tile: coder.read(tile, packets[tile * header.planes]), canvas.show, crop
            )
            if header.planes == 2:
                alpha = read_alpha(header, packets, coder, crop)
        return picture_with(canvas.samples, alpha, metadata)

    def _coder_of(self, header: PictureHeader, workers: int | None) -> PlaneCoder:
        self.check_header(header)
        if header.planes > 2 or (header.tile is not None and not divides(self.network)):
            raise BitstreamError("the file's header does not fit its model: a damaged file")
        return self.plane_coder(grid_of(header), header.quality, workers)

    @property
    def most_workers(self) -> int:
        """Tiles that are usually at work at a time."""
        one = self.device != "cpu" or self.network.portability == "local"
        return 1 if one else torch.get_num_threads()

    def packets_for(self, header: PictureHeader, crop: Box | None = None) -> list[int]:
        """The numbers of the packets that decoding a part (all of it) needs, in order."""
        coder = self._coder_of(header, 1)
        tiles = coder.tiles_for(crop or coder.grid.whole)
        return [tile * header.planes + plane for tile in tiles for plane in range(header.planes)]

    @torch.no_grad()
    def decode_partial(
        self,
        header: PictureHeader,
        packets: Mapping[int, bytes],
        metadata: Mapping[str, bytes],
        crop: Box | None = None,
        workers: int | None = None,
    ) -> tuple[Picture, list[Lost]]:
        """As `decode_packets`, from what packets there are: and which tiles were filled in.

        A lost tile of colours is faded from its neighbours' pixels, one of alpha too. Around it, as
        far as the transform reaches, the neighbours differ from what they were. Raises
        BitstreamError where no tile can be decoded.
        """
        coder = self._coder_of(header, workers)
        crop = crop or coder.grid.whole
        wanted = set(coder.grid.meeting(crop))
        planes: list[Samples] = []
        lost: list[Lost] = []
        with MemoryGuard(header.width, header.height), _finite():
            for plane, name in zip(range(header.planes), ("colours", "alpha"), strict=False):
                components = header.components if plane == 0 else 1
                canvas = Canvas((crop.height, crop.width, components), header.bit_depth, crop)
                own = {
                    k // header.planes: p for k, p in packets.items() if k % header.planes == plane
                }
                gone = (
                    show_colours(coder, own, canvas, crop)
                    if plane == 0
                    else show_alpha(coder, own, canvas, crop)
                )
                gone &= wanted
                if gone == wanted and plane == 0:
                    raise BitstreamError("no part of the picture can be decoded")
                if gone == wanted:
                    canvas.samples[...] = np.iinfo(canvas.samples.dtype).max
                conceal(canvas.samples, crop, coder.grid, gone)
                lost += [Lost(name, coder.grid.box(tile)) for tile in sorted(gone)]
                planes.append(canvas.samples)
        alpha = planes[1][..., 0] if len(planes) > 1 else None
        return picture_with(planes[0], alpha, metadata), lost

    @torch.no_grad()
    def estimate_bits(self, picture: Picture, quality: int | None = None) -> dict[str, float]:
        """Bits of each block of latents by the model's own likelihoods, without writing any."""
        height, width, _ = picture.pixels.shape
        meter = RateMeter(training=False)
        x = to_tensor(picture.pixels).to(self.device)
        condition = self.condition(self.check_quality(quality))
        self.network.code_picture(x, (1, height, width), condition, meter)
        return {name: float(bits) for name, bits in meter.bits.items()}


@contextmanager
def _finite() -> Iterator[None]:
    """In decoding, pixels that are not finite are the file's fault, or the model's."""
    try:
        yield
    except NotFiniteError:
        raise BitstreamError(
            "the picture that the file decodes to is not finite: a damaged file, or a model "
            "whose weights are not sound"
        ) from None


def as_picture(image: Samples | Image.Image) -> Picture:
    """An array (H, W), (H, W, 1 to 4), alpha last, or a Pillow image as a `Picture`."""
    return picture_from_image(image) if isinstance(image, Image.Image) else picture_of_array(image)


def load(model: str | Path = "default", device: str = "cpu", trusted: Sequence[str] = ()) -> Codec:
    """Load an embedded model by name, or a model file by path.

    device: "cpu" or "cuda". trusted: packages, besides kodec, whose classes a model file may name;
    their code runs. Raises `InvalidInputError` for an unknown name and for a model of videos,
    `BitstreamError` for a damaged file and for one that names classes of other packages.
    """
    check_device(device)
    if is_family(model):
        raise InvalidInputError(f"{model} is fitted to each picture: kodec.load_fitted opens it")
    network, info = load_model(find_model(model), trusted)
    if not isinstance(network, PictureCodec):
        raise InvalidInputError(
            f"{info.name} is a model for videos, and this is a picture: name a model for pictures"
        )
    return Codec(network, info, device)


def load_for(container: Container, device: str = "cpu") -> Codec:
    """Load the embedded model that a file was written with.

    Raises `UnsupportedError` where none of the embedded ones is it.
    """
    return load(model_path(container.header.model_id), device)


def decode(data: bytes, device: str = "cpu") -> Samples:
    """Decode a `.kdc` file's bytes with the embedded model that wrote it: uint8 or uint16 (H, W, 1
    or 3), (H, W, 2 or 4) with alpha.

    Fitted networks are in their files; raises as `read_container` and `decode_fitted`.
    """
    if isinstance(ChunkReader(data, damaged="keep").header, FittedHeader):
        from .fitted.fitted_codec import decode_fitted

        return decode_fitted(data, device)
    container = read_container(data)
    return array_of_picture(load_for(container, device).decode_container(container))
