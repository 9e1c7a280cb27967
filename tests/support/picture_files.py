"""Picture files made by their formats' specifications alone, and by Pillow."""

import io
import struct
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, TiffImagePlugin

from kodec.codecs import Picture, read_picture

ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<?xpacket begin="" id="W5M0"?><x:xmpmeta xmlns:x="adobe:ns:meta/"/>'


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(samples: NDArray[Any], bits: int, colour: int, *chunks: bytes, interlace: int = 0) -> bytes:
    """A PNG of raw values (H, W, C), written by the specification alone."""
    height, width = samples.shape[:2]

    def rows(part: NDArray[Any]) -> bytes:
        out = b""
        for row in part.reshape(part.shape[0], -1):
            if bits == 16:
                data = row.astype(">u2").tobytes()
            else:
                spread = (row[:, None] >> np.arange(bits)[::-1] & 1).astype(np.uint8)
                data = np.packbits(spread.reshape(-1)).tobytes()
            out += b"\0" + data
        return out

    if interlace:
        passes = [(0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4)]
        passes += [(2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1)]
        parts = [samples[y::dy, x::dx] for y, x, dy, dx in passes]
        body = b"".join(rows(part) for part in parts if part.size)
    else:
        body = rows(samples)
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlace)
    pixels = chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(chunks) + pixels


def saved(kind: str, samples: NDArray[np.uint8] | Image.Image, **options: Any) -> bytes:
    out = io.BytesIO()
    image = samples if isinstance(samples, Image.Image) else Image.fromarray(samples.squeeze())
    image.save(out, kind, **options)
    return out.getvalue()


def read(data: bytes, **options: Any) -> Picture:
    return read_picture(io.BytesIO(data), **options)


def tiff(samples: NDArray[Any], **tags: object) -> bytes:
    """A plain TIFF, little-endian, one strip."""
    info = TiffImagePlugin.ImageFileDirectory_v2(b"II*\0\0\0\0\0")
    height, width, components = samples.shape
    bits = 8 * samples.dtype.itemsize
    values: dict[int, Any] = {256: width, 257: height, 258: (bits,) * components, 259: 1}
    values |= {262: 1 if components < 3 else 2, 277: components, 278: height}
    values |= {279: samples.nbytes, 273: 0} | {int(k[1:]): v for k, v in tags.items()}
    info.tagtype[273] = info.tagtype[279] = 4
    for tag, value in values.items():
        info[tag] = value
    head = b"II*\0" + (8).to_bytes(4, "little") + info.tobytes(8)
    return head + samples.astype(samples.dtype.newbyteorder("<")).tobytes()


def palette_tiff(indexes: NDArray[np.uint8], colours: NDArray[np.uint8], step: int) -> bytes:
    """Palettes of TIFF are of 16 bits: 8-bit colours times 257, or something else."""
    wide = np.zeros((3, 256), int)
    wide[:, : len(colours)] = colours.T.astype(int) * step
    return tiff(indexes, t262=3, t320=tuple(wide.reshape(-1).tolist()))


def bmp(samples: NDArray[np.uint8], masks: bool) -> bytes:
    """A BMP of 32 bits a pixel, its fourth byte alpha by a mask, or of no meaning."""
    data = samples[::-1, :, [2, 1, 0, 3]].tobytes()
    height, width = samples.shape[:2]
    head = struct.pack("<IiiHHIIiiII", 108, width, height, 1, 32, 3 * masks, len(data), 0, 0, 0, 0)
    head += struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000 * masks) + bytes(52)
    return b"BM" + struct.pack("<IHHI", 122 + len(data), 0, 0, 122) + head + data


def exif_with(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[274] = orientation
    return exif.tobytes()
