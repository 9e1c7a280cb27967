"""PNG and TIFF files of 16-bit samples, which Pillow does not write."""

import io
import struct
import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

_STRIP_BYTES = 1 << 22
_PNG_COLOURS = {1: 0, 2: 4, 3: 2, 4: 6}
_UP, _SUB = 2, 1


def png_chunk(name: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def deep_png(samples: NDArray[np.uint16], chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A PNG file of 16-bit samples (H, W, 1 to 4), `chunks` before its pixels.

    Each row is stored as differences to the row above or to the pixel on its left, whichever are
    smaller in sum, as the PNG specification advises.
    """
    height, width, components = samples.shape
    head = struct.pack(">IIBBBBB", width, height, 16, _PNG_COLOURS[components], 0, 0, 0)
    out = [b"\x89PNG\r\n\x1a\n", png_chunk(b"IHDR", head)]
    out += [png_chunk(name, data) for name, data in chunks]
    packer = zlib.compressobj(6)
    row_bytes = 2 * components * width
    above = np.zeros((1, row_bytes), np.uint8)
    rows = max(1, _STRIP_BYTES // row_bytes)
    for top in range(0, height, rows):
        strip = np.ascontiguousarray(samples[top : top + rows].astype(">u2"))
        data = strip.view(np.uint8).reshape(len(strip), row_bytes)
        up = data - np.concatenate([above, data[:-1]])
        left = data.copy()
        left[:, 2 * components :] -= data[:, : -2 * components]
        costs = [np.abs(x.view(np.int8).astype(np.int32)).sum(1) for x in (left, up)]
        filters = np.where(costs[0] <= costs[1], _SUB, _UP).astype(np.uint8)[:, None]
        chosen = np.where(filters == _SUB, left, up)
        packed = packer.compress(np.concatenate([filters, chosen], axis=1).tobytes())
        if packed:
            out.append(png_chunk(b"IDAT", packed))
        above = data[-1:]
    return b"".join([*out, png_chunk(b"IDAT", packer.flush()), png_chunk(b"IEND", b"")])


def deep_tiff(
    samples: NDArray[np.uint16], exif: Image.Exif, icc: bytes | None, xmp: bytes | None
) -> bytes:
    """A TIFF file, Deflate, of 16-bit samples (H, W, 1, 3 or 4), the fourth straight alpha."""
    height, width, components = samples.shape
    rows = max(1, _STRIP_BYTES // (2 * components * width))
    strips = [
        zlib.compress(samples[top : top + rows].astype("<u2").tobytes(), 6)
        for top in range(0, height, rows)
    ]
    tags = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\0\0\0\0")
    for tag, value in exif.items():
        tags[tag] = exif.get_ifd(tag) or value
    tags[256], tags[257], tags[258] = width, height, (16,) * components
    tags[259], tags[262], tags[277] = 8, 1 if components == 1 else 2, components
    tags[278], tags[284] = rows, 1
    if components == 4:
        tags[338] = 2
    if icc:
        tags.tagtype[34675], tags[34675] = 7, icc
    if xmp:
        tags.tagtype[700], tags[700] = 1, xmp
    tags.tagtype[273] = tags.tagtype[279] = 4
    tags[279] = tuple(map(len, strips))
    # Counted from the end of the directory: Pillow adds where that is.
    offsets = np.cumsum([0, *map(len, strips)])[:-1]
    tags[273] = tuple(int(offset) for offset in offsets)
    out = io.BytesIO()
    out.write(b"II*\0" + (8).to_bytes(4, "little"))
    out.write(tags.tobytes(8))
    for strip in strips:
        out.write(strip)
    return out.getvalue()
