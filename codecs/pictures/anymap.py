"""PNM and PAM of any largest value, which Pillow scales or does not read (Netpbm's formats)."""

import re
from typing import IO

import numpy as np
from numpy.typing import NDArray

from kodec.native import BitstreamError, UnsupportedError

from .picture import Picture, Samples, array_of_picture
from .picture_samples import pnm_head

_LONGEST_HEAD = 1 << 12
_PAM_COMPONENTS = {
    b"BLACKANDWHITE": 1,
    b"GRAYSCALE": 1,
    b"RGB": 3,
    b"BLACKANDWHITE_ALPHA": 2,
    b"GRAYSCALE_ALPHA": 2,
    b"RGB_ALPHA": 4,
}
_COMPONENTS = {b"2": 1, b"5": 1, b"3": 3, b"6": 3}


def anymap_size(name: str, file: IO[bytes]) -> tuple[int, int, int, int]:
    """Width, height, components and largest value of a PNM with samples of several bits, or a PAM;
    the file's position is then where samples begin.

    Raises BitstreamError where the head makes no sense, UnsupportedError for other components.
    """
    file.seek(0)
    if file.read(2) == b"P7":
        return _pam_head(name, file)
    file.seek(0)
    try:
        kind, (width, height, largest), start = pnm_head(file)
    except ValueError as error:
        raise BitstreamError(f"{name} looks like a PNM picture but {error}") from None
    file.seek(start)
    return width, height, _COMPONENTS[kind], largest


def read_anymap(name: str, file: IO[bytes]) -> Samples:
    """Samples (H, W, C) of such a file, alpha last: uint8 up to a largest value of 255, else
    uint16, scaled to the whole range and rounded, so that scaling back gives the file's own.

    Raises BitstreamError for a file that is cut off or has samples above its largest value,
    UnsupportedError where another picture follows.
    """
    width, height, components, largest = anymap_size(name, file)
    if not 0 < largest < 65536:
        raise BitstreamError(f"{name} has samples of 0 to {largest}: it is damaged")
    file_start = file.tell()
    file.seek(0)
    text = file.read(2)[1:2] in b"23"
    file.seek(file_start)
    count = width * height * components
    stored = np.uint8 if largest < 256 else np.dtype(">u2")
    if text:
        samples = _numbers(name, file.read(), count)
    else:
        data = file.read(count * np.dtype(stored).itemsize)
        if len(data) < count * np.dtype(stored).itemsize:
            raise BitstreamError(f"{name} is truncated: samples are missing")
        samples = np.frombuffer(data, stored)
        if re.match(rb"\s*P[1-7]\s", file.read(64)):
            raise UnsupportedError(
                f"{name} holds several pictures, one behind the other; part them"
            )
    if samples.size and int(samples.max()) > largest:
        raise BitstreamError(f"{name} has samples above its largest value, {largest}: damaged")
    samples = samples.reshape(height, width, components)
    whole = 255 if largest < 256 else 65535
    kind = np.uint8 if whole == 255 else np.uint16
    if largest == whole:
        return samples.astype(kind)
    scaled: Samples = ((samples.astype(np.uint64) * whole * 2 + largest) // (2 * largest)).astype(
        kind
    )
    return scaled


def write_anymap(picture: Picture, suffix: str) -> bytes:
    """The bytes of a .ppm, .pgm or .pam file; what it holds must fit the suffix."""
    samples = array_of_picture(picture)
    height, width, components = samples.shape
    largest = (1 << picture.bit_depth) - 1
    if suffix == ".pam":
        names = {1: "GRAYSCALE", 2: "GRAYSCALE_ALPHA", 3: "RGB", 4: "RGB_ALPHA"}
        head = (
            f"P7\nWIDTH {width}\nHEIGHT {height}\nDEPTH {components}\nMAXVAL {largest}\n"
            f"TUPLTYPE {names[components]}\nENDHDR\n"
        )
    else:
        head = f"P{5 if suffix == '.pgm' else 6}\n{width} {height}\n{largest}\n"
    return head.encode() + samples.astype(samples.dtype.newbyteorder(">")).tobytes()


def _pam_head(name: str, file: IO[bytes]) -> tuple[int, int, int, int]:
    head, end, _ = file.read(_LONGEST_HEAD).partition(b"ENDHDR\n")
    if not end:
        raise BitstreamError(f"{name} looks like a PAM picture but its head has no end")
    file.seek(2 + len(head) + len(end))
    found: dict[bytes, bytes] = {}
    for line in head.splitlines():
        key, _, value = line.strip().partition(b" ")
        if key and not key.startswith(b"#"):
            found[key] = value.strip()
    try:
        width, height, depth, largest = (
            int(found[key]) for key in (b"WIDTH", b"HEIGHT", b"DEPTH", b"MAXVAL")
        )
    except (KeyError, ValueError):
        raise BitstreamError(f"{name} looks like a PAM picture but its head is damaged") from None
    kind = found.get(b"TUPLTYPE", {1: b"GRAYSCALE", 3: b"RGB"}.get(depth, b""))
    if _PAM_COMPONENTS.get(kind) != depth:
        shown = kind[:32].decode("ascii", "replace")
        raise UnsupportedError(
            f"{name} is a PAM of {depth} samples a pixel ({shown or 'no kind'}); kodec codes gray "
            "and RGB, with or without alpha: convert it first"
        )
    return width, height, depth, largest


def _numbers(name: str, text: bytes, count: int) -> NDArray[np.int64]:
    """`count` numbers from a text with comments."""
    if b"P" in re.sub(rb"#[^\n\r]*", b"", text):
        raise UnsupportedError(f"{name} holds several pictures, one behind the other; part them")
    words = re.sub(rb"#[^\n\r]*", b"", text).split()
    if len(words) < count:
        raise BitstreamError(f"{name} is truncated: samples are missing")
    try:
        return np.array([int(word) for word in words[:count]], np.int64)
    except (ValueError, OverflowError):
        raise BitstreamError(f"{name} is damaged: a sample is no number") from None
