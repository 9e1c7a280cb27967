"""Integer planes as one picture of an ordinary lossless format: a mosaic in gray or RGB."""

import io
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ImageFile, PngImagePlugin, WebPImagePlugin
from PIL.Image import fromarray

from kodec.native import BitstreamError, InvalidInputError

Samples = NDArray[np.uint8]

_PNG_START = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"
# Eight bits, gray, and the one way there is of compressing, filtering and ordering rows.
_PNG_GRAY = b"\x08\0\0\0\0"


def _png_size(data: bytes) -> tuple[int, int]:
    """Width and height of a PNG as `LosslessPicture` writes them; ValueError for any other."""
    if not data.startswith(_PNG_START) or data[24:29] != _PNG_GRAY:
        raise ValueError("it is no gray PNG")
    # No chunk but the samples': others can be large, or make a reader speak.
    position, kinds = 8, []
    while position < len(data):
        length = int.from_bytes(data[position : position + 4])
        kinds.append(data[position + 4 : position + 8])
        position += 12 + length
    if position != len(data) or kinds != [b"IHDR", *[b"IDAT"] * (len(kinds) - 2), b"IEND"]:
        raise ValueError("its chunks are none that kodec writes")
    return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])


def _webp_size(data: bytes) -> tuple[int, int]:
    """Width and height of a WebP as `LosslessPicture` writes them; ValueError for any other."""
    if data[:4] != b"RIFF" or data[8:16] != b"WEBPVP8L" or data[20:21] != b"\x2f":
        raise ValueError("it is no lossless WebP")
    length = int.from_bytes(data[16:20], "little")
    if int.from_bytes(data[4:8], "little") + 8 != len(data) or 20 + length + length % 2 != len(
        data
    ):
        raise ValueError("its chunks are none that kodec writes")
    bits = int.from_bytes(data[21:25], "little")
    if bits >> 28:
        raise ValueError("it has transparency or another version")
    return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1


@dataclass(frozen=True)
class _Format:
    """An ordinary format: its first byte in a payload, and how it is written and read."""

    code: int
    name: str
    colours: int
    largest_side: int
    reader: Callable[[io.BytesIO], ImageFile.ImageFile]
    size: Callable[[bytes], tuple[int, int]]

    def write(self, mosaic: Samples) -> bytes:
        """The file of samples (H, W, colours)."""
        out = io.BytesIO()
        image = fromarray(mosaic[..., 0] if self.colours == 1 else mosaic)
        image.save(out, self.name, **({"lossless": True} if self.name == "WEBP" else {}))
        return out.getvalue()

    def read(self, data: bytes, height: int, width: int) -> Samples:
        """Samples (`height`, `width`, colours); anything but such a file raises ValueError."""
        # Before any reader sees the file, so that none makes room for another size.
        if self.size(data) != (width, height):
            raise ValueError("it has another size")
        # Not `Image.open`: it goes by a limit that is the process's.
        with self.reader(io.BytesIO(data)) as image:
            samples = np.asarray(image)
        if samples.shape != (height, width, *[self.colours] * (self.colours > 1)):
            raise ValueError("it has other samples")
        return samples.reshape(height, width, self.colours)


_RAW = 0
FORMATS = {
    "png": _Format(1, "PNG", 1, 2**31 - 1, PngImagePlugin.PngImageFile, _png_size),
    "webp": _Format(2, "WEBP", 3, 16383, WebPImagePlugin.WebPImageFile, _webp_size),
}


class LosslessPicture:
    """Packs integers (C, h, w), each within +-(2^(bits - 1) - 1), into one byte string.

    The planes become tiles of a square mosaic, of as many colours as the format has, and are
    stored as bytes around 2^(bits - 1). A payload's first byte says how: the format asked for; PNG
    where WebP cannot hold the mosaic (16,383 samples a side); or the bare bytes, where no picture
    is smaller. So `most`, the bytes of a payload, is 1 + C h w.

    Raises `InvalidInputError` for an unknown format and for bits outside 2..8.
    """

    def __init__(self, planes: tuple[int, int, int], bits: int, picture: str) -> None:
        if picture not in FORMATS:
            raise InvalidInputError(f"choose {' or '.join(FORMATS)}, not {picture!r}")
        if not 2 <= bits <= 8:
            raise InvalidInputError(f"integers for a picture have 2 to 8 bits, not {bits}")
        self.planes = planes
        self.zero = 2 ** (bits - 1)
        self.most = 1 + math.prod(planes)
        self.picture = picture

    def _tiles(self, colours: int) -> int:
        """Tiles along each side of the mosaic."""
        return math.isqrt(-(-self.planes[0] // colours) - 1) + 1

    def _mosaic(self, samples: Samples, colours: int) -> Samples:
        c, h, w = self.planes
        n = self._tiles(colours)
        full = np.full((colours * n * n, h, w), self.zero, np.uint8)
        full[:c] = samples
        tiles = full.reshape(colours, n, n, h, w).transpose(1, 3, 2, 4, 0)
        return np.ascontiguousarray(tiles.reshape(n * h, n * w, colours))

    def pack(self, integers: NDArray[np.int32]) -> bytes:
        """The payload; raises `InvalidInputError` for integers out of range."""
        if integers.size and np.abs(integers).max() >= self.zero:
            raise InvalidInputError(f"integers lie within +-{self.zero - 1} to be packed")
        samples = (integers + self.zero).astype(np.uint8)
        form = FORMATS[self.picture]
        if self._tiles(form.colours) * max(self.planes[1:]) > form.largest_side:
            form = FORMATS["png"]
        packed = form.write(self._mosaic(samples, form.colours))
        if len(packed) < samples.size:
            return bytes([form.code]) + packed
        bare: bytes = samples.tobytes()
        return bytes([_RAW]) + bare

    def unpack(self, payload: bytes) -> NDArray[np.int32]:
        """The integers (C, h, w); raises `BitstreamError` for anything `pack` does not write."""
        try:
            samples = self._samples(payload)
        except MemoryError:
            raise
        # Pillow's readers raise a dozen types on damage.
        except Exception as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise BitstreamError(
                f"the picture of the latents is damaged or another one ({reason})"
            ) from None
        integers: NDArray[np.int32] = samples.astype(np.int32) - self.zero
        if integers.size and np.abs(integers).max() >= self.zero:
            raise BitstreamError("the picture of the latents has samples out of range")
        return integers

    def _samples(self, payload: bytes) -> Samples:
        code, data = payload[:1], payload[1:]
        c, h, w = self.planes
        if code == bytes([_RAW]):
            return np.frombuffer(data, np.uint8).reshape(c, h, w)
        form = next((f for f in FORMATS.values() if code == bytes([f.code])), None)
        if form is None:
            raise ValueError("it is of no known form")
        n = self._tiles(form.colours)
        mosaic = form.read(data, n * h, n * w)
        tiles = mosaic.reshape(n, h, n, w, form.colours).transpose(4, 0, 2, 1, 3)
        return tiles.reshape(-1, h, w)[:c]
