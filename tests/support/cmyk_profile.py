"""A small ICC profile of CMYK (ICC.1:2001-04), and which colours it gives its inks."""

import struct

import numpy as np
from numpy.typing import NDArray

_LAB = {
    (0, 0, 0): (255, 128, 128),
    (1, 0, 0): (140, 91, 78),
    (0, 1, 0): (122, 202, 125),
    (0, 0, 1): (227, 123, 221),
    (1, 1, 0): (61, 150, 82),
    (1, 0, 1): (127, 62, 155),
    (0, 1, 1): (120, 196, 176),
    (1, 1, 1): (58, 128, 128),
}
"""L, a and b in 8 bits of full cyan, magenta and yellow on one another; black takes all light."""
_D50 = (0.9642, 1.0, 0.8249)


def cmyk_profile() -> bytes:
    """A printer's profile with one table of 2 nodes an ink, between which lies what is mixed."""
    ramp = bytes(range(256))
    nodes = b""
    for node in range(16):
        inks = (node >> 3 & 1, node >> 2 & 1, node >> 1 & 1)
        nodes += bytes((0, 128, 128) if node & 1 else _LAB[inks])
    identity = struct.pack(">9i", *(65536 * (n % 4 == 0) for n in range(9)))
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + 4 * ramp + nodes + 3 * ramp
    text = b"a test's own"
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", len(text) + 1) + text + bytes(79),
        b"cprt": b"text" + bytes(4) + b"CC0\0",
        b"wtpt": b"XYZ " + bytes(4) + struct.pack(">3i", *(round(x * 65536) for x in _D50)),
        b"A2B0": table,
    }
    at = 128 + 4 + 12 * len(tags)
    index, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        index += struct.pack(">4sII", name, at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    white = struct.pack(">3i", *(round(x * 65536) for x in _D50))
    head = struct.pack(
        ">I4sI4s4s4s", at + len(body), bytes(4), 0x02400000, b"prtr", b"CMYK", b"Lab "
    )
    head += bytes(12) + b"acsp" + bytes(28) + white + bytes(48)
    return head + index + body


def srgb_of_inks(cyan: int, magenta: int, yellow: int, black: int) -> NDArray[np.int64]:
    """The sRGB (3,) of inks that are 0 or 255 each, or of black alone, by the formulas of CIE 1976
    and IEC 61966-2-1 and Bradford's adaptation."""
    coloured = (int(cyan > 0), int(magenta > 0), int(yellow > 0))
    lab = np.array(_LAB[coloured] if black == 0 else (255, 128, 128), np.float64)
    lightness = lab[0] / 2.55 * (1 - black / 255)
    a, b = lab[1:] - 128
    y = (lightness + 16) / 116
    f = np.array([y + a / 500, y, y - b / 200])
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * _D50
    from_d50 = np.array([
        [3.1338561, -1.6168667, -0.4906146],
        [-0.9787684, 1.9161415, 0.0334540],
        [0.0719453, -0.2289914, 1.4052427],
    ])  # fmt: skip
    linear = np.clip(from_d50 @ xyz, 0, 1)
    curved = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    levels: NDArray[np.int64] = np.rint(255 * curved).astype(np.int64)
    return levels
