"""Files that are coded already, measured against their pictures instead of being made anew."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kodec.codecs import decode, read_plain_picture
from kodec.codecs.container import ChunkReader, FittedHeader
from kodec.codecs.fitted import open_fitted
from kodec.native import InvalidInputError

from .measurement import Anatomy


class CodedFiles:
    """A `CodecLike` whose `encode` gives each picture's own `.kdc` file; `SelfTimed`, but for the
    seconds of encoding, which files do not tell, and `Dissecting` for those of fitted networks.

    name: what results call it. files: by picture. Raises `InvalidInputError` for two pictures that
    are the same with different files, and where one cannot be read.
    """

    def __init__(self, name: str, files: Mapping[Path, Path], device: str = "cpu") -> None:
        self.name, self.device = name, device
        self._data: dict[bytes, bytes] = {}
        for picture, file in files.items():
            try:
                data = file.read_bytes()
            except OSError as error:
                raise InvalidInputError(f"cannot read {file}: {error.strerror}") from error
            key = _key(read_plain_picture(picture).pixels)
            if self._data.setdefault(key, data) != data:
                raise InvalidInputError(f"{picture} is another picture's copy: leave one out")
        self._seconds: dict[bytes, float] = {}

    @property
    def settings(self) -> dict[str, str | int | bool]:
        """What rows depend on: the files."""
        whole = hashlib.sha256(b"".join(sorted(self._data.values()))).hexdigest()
        return {"coded files": whole[:16], "device": self.device}

    def encode(self, image: NDArray[np.uint8], quality: int | None = None) -> bytes:
        """The file of a picture (H, W, C). Raises `InvalidInputError` for one that has none."""
        found = self._data.get(_key(image))
        if found is None:
            raise InvalidInputError("no file of this picture was given")
        return found

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """The picture in a file's bytes; raises as `kodec.decode`."""
        if not self._seconds:
            # What is loaded for the first file is no part of its time.
            decode(data, self.device)
        began = time.perf_counter()
        found = decode(data, self.device)
        self._seconds[_digest(data)] = time.perf_counter() - began
        if found.dtype != np.uint8:
            raise InvalidInputError("the file is of more than 8 bits, which are not measured")
        return np.asarray(found, np.uint8)

    @property
    def timing(self) -> str:
        """What the seconds are of."""
        return "wall-clock seconds of decoding from and to memory; files do not say what they took"

    def seconds_of(self, data: bytes) -> tuple[float | None, float | None]:
        """Of decoding alone."""
        return None, self._seconds.get(_digest(data))

    def anatomy_of(self, data: bytes) -> Anatomy:
        """Bytes by part, and what a fitted network takes; nothing of other files."""
        if not isinstance(ChunkReader(data, damaged="keep").header, FittedHeader):
            return Anatomy({}, None)
        found = open_fitted(data, self.device)
        return Anatomy(found.bytes_by_part(len(data)), float(found.model.cost().macs_per_pixel))


def files_of(coded: Path, pictures: Sequence[Path]) -> dict[Path, Path]:
    """The `.kdc` file of each picture: `coded` itself, of the only one, or `NAME.kdc` of each in
    the folder `coded`, as `kodec encode --output-dir` names them.

    Raises `InvalidInputError` where one is missing.
    """
    if not coded.is_dir():
        if len(pictures) > 1:
            raise InvalidInputError(
                f"{coded} is one file, and there are {len(pictures)} pictures: name a folder that "
                "has NAME.kdc for each of them"
            )
        return {pictures[0]: coded}
    found = {picture: coded / f"{picture.stem}.kdc" for picture in pictures}
    missing = [file.name for file in found.values() if not file.is_file()]
    if missing:
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise InvalidInputError(f"{coded} lacks {', '.join(missing[:3])}{more}")
    return found


def _key(pixels: NDArray[np.uint8]) -> bytes:
    return _digest(repr(pixels.shape).encode() + pixels.tobytes())


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data).digest()
