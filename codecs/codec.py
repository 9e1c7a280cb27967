"""A loaded codec: whole pictures to whole files and back."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from kodec.entropy import Coders, RateMeter, SymbolReader, SymbolWriter
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
from .pictures.picture import Picture, picture_from_image
from .pictures.picture_codec import PictureCodec
from .pictures.pixels import to_array, to_tensor


@dataclass(frozen=True)
class Encoded:
    """A file's bytes, and the picture that decoding them will give."""

    data: bytes
    reconstruction: Picture


@dataclass(frozen=True)
class Coded:
    """A file's bytes, and what `Codec.reconstruct` makes the picture of that they will give."""

    data: bytes
    source: Picture
    quality: int | None
    latents: CodedLatents


class Codec(LoadedModel[PictureCodec]):
    """A model ready to code pictures, on one device."""

    def coders(self) -> Coders:
        """Whose coders write and read its streams: those of the device where symbols lie."""
        return self.network.coders(torch.device(self.device))

    @torch.no_grad()
    def encode(self, image: NDArray[np.uint8] | Image.Image, quality: int | None = None) -> bytes:
        """A picture as the bytes of a `.kdc` file.

        image: uint8 (H, W), (H, W, 1) or (H, W, 3), or a Pillow image of mode L or RGB. quality: 0
        (smallest) to 63 (best), by default 32; fixed-rate models take none. Raises
        `InvalidInputError` or `UnsupportedError`.
        """
        return self._write(as_picture(image), self.check_quality(quality))[0]

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """The picture in a `.kdc` file's bytes, uint8 (H, W, 1) or (H, W, 3).

        Raises `BitstreamError` for damaged data, `UnsupportedError` for another model's.
        """
        return self.decode_picture(data).pixels

    @torch.no_grad()
    def encode_picture(self, picture: Picture, quality: int | None = None) -> Encoded:
        """Code a picture with its metadata; also gives the reconstruction."""
        return self.reconstruct(self.code_picture(picture, quality))

    @torch.no_grad()
    def code_picture(
        self, picture: Picture, quality: int | None = None, refined: Latents | None = None
    ) -> Coded:
        """As `encode_picture`, up to the bytes: most of the work is still to be done after it.

        refined: latents to code in place of what the analysis makes of the picture.
        """
        quality = self.check_quality(quality)
        data, latents = self._write(picture, quality, refined)
        return Coded(data, picture, quality, latents)

    @torch.no_grad()
    def reconstruct(self, coded: Coded) -> Encoded:
        """The picture that the bytes will give, with them."""
        picture = coded.source
        height, width, components = picture.pixels.shape
        condition = self.condition(coded.quality)
        with MemoryGuard(width, height):
            x_hat = self.network.reconstruct(coded.latents, (1, height, width), condition)
        decoded = Picture(to_array(x_hat, components), picture.icc, picture.exif)
        return Encoded(coded.data, decoded)

    def _write(
        self, picture: Picture, quality: int | None, refined: Latents | None = None
    ) -> tuple[bytes, CodedLatents]:
        """The file's bytes, and the latents that its decoder will see."""
        height, width, components = picture.pixels.shape
        header = PictureHeader(
            width,
            height,
            components,
            quality,
            self.info.model_id,
            self.network.portability,
            machine=self.machine(),
        )
        writer = SymbolWriter(1, self.coders())
        x = to_tensor(picture.pixels).to(self.device)
        size, condition = (1, height, width), self.condition(quality)
        with MemoryGuard(width, height):
            coded = self.network.code_picture(x, size, condition, writer, refined=refined)
        metadata = {"icc": picture.icc, "exif": picture.exif}
        present = {key: value for key, value in metadata.items() if value}
        return write_container(header, writer.finish(), present), coded

    @torch.no_grad()
    def decode_picture(self, data: bytes) -> Picture:
        """Decode a `.kdc` file's bytes, with its metadata."""
        return self.decode_container(read_container(data))

    @torch.no_grad()
    def decode_container(self, container: Container) -> Picture:
        """Decode a container that was read already."""
        header = container.header
        self.check_header(header)
        if len(container.packets) != 1:
            raise BitstreamError("the file's header does not fit its model: a damaged file")
        size = (1, header.height, header.width)
        reader = SymbolReader(container.packets, self.coders())
        reader.expect(self.network.symbols_per_item(header.height, header.width))
        condition = self.condition(header.quality)
        with MemoryGuard(header.width, header.height):
            coded = self.network.code_picture(None, size, condition, reader)
            # Nothing is made of a stream before it is known to be whole.
            reader.finish()
            x_hat = self.network.reconstruct(coded, size, condition)
        try:
            pixels = to_array(x_hat, header.components)
        except InvalidInputError:
            raise BitstreamError(
                "the picture that the file decodes to is not finite: a damaged file, or a model "
                "whose weights are not sound"
            ) from None
        return Picture(pixels, container.metadata.get("icc"), container.metadata.get("exif"))

    @torch.no_grad()
    def estimate_bits(self, picture: Picture, quality: int | None = None) -> dict[str, float]:
        """Bits of each block of latents by the model's own likelihoods, without writing any."""
        height, width, _ = picture.pixels.shape
        meter = RateMeter(training=False)
        x = to_tensor(picture.pixels).to(self.device)
        condition = self.condition(self.check_quality(quality))
        self.network.code_picture(x, (1, height, width), condition, meter)
        return {name: float(bits) for name, bits in meter.bits.items()}


def as_picture(image: NDArray[np.uint8] | Image.Image) -> Picture:
    """An array (H, W), (H, W, 1), (H, W, 3) or a Pillow image as a `Picture`."""
    if isinstance(image, Image.Image):
        return picture_from_image(image)
    pixels = np.asarray(image)
    return Picture(pixels[..., None] if pixels.ndim == 2 else pixels)


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


def decode(data: bytes, device: str = "cpu") -> NDArray[np.uint8]:
    """Decode a `.kdc` file's bytes with the embedded model that wrote it: uint8 (H, W, C).

    Fitted networks are in their files; raises as `read_container` and `decode_fitted`.
    """
    if isinstance(ChunkReader(data, damaged="keep").header, FittedHeader):
        from .fitted.fitted_codec import decode_fitted

        return decode_fitted(data, device)
    container = read_container(data)
    return load_for(container, device).decode_container(container).pixels
