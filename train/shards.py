"""Pictures in tar files, as WebDataset lays them out, read where they lie.

A sample's files stand one after the other under one name up to the first dot; its picture is the
one with a picture's suffix. Layout: https://github.com/webdataset/webdataset.
"""

import glob
import hashlib
import io
import logging
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kodec.codecs import read_pixels
from kodec.codecs.natural_order import natural_key
from kodec.codecs.video_files.picture_folder import PICTURE_SUFFIXES
from kodec.eval import DatasetError
from kodec.native import InvalidInputError, KodecError

_log = logging.getLogger(__name__)

_OPEN = 64
"""So many shards are held open at once."""


def find_shards(named: str) -> list[Path]:
    """The tar files of a folder or a pattern, in natural order. Raises `DatasetError`."""
    folder = Path(named)
    found = folder.glob("*.tar") if folder.is_dir() else map(Path, glob.glob(named))
    shards = sorted((path for path in found if path.is_file()), key=natural_key)
    if not shards:
        raise DatasetError(f"no shards: {named!r} is no folder with *.tar files, and no pattern")
    return shards


class ShardedPictures:
    """The pictures of many tar files by number; all shards' in the order of their places.

    Only where they lie is held in memory, 20 bytes a picture; it is read from the headers once, and
    kept in the user's cache folder by the shard's path, size and time of change.

    Raises `InvalidInputError` for a shard that is no uncompressed tar file, `DatasetError` where
    there is no picture.
    """

    def __init__(
        self,
        shards: Sequence[Path],
        smallest: int = 1,
        leave_out_small: bool = False,
        leave_out_unreadable: bool = False,
    ) -> None:
        self.shards = list(shards)
        self._smallest = smallest
        self._without_small = leave_out_small
        self._without_unreadable = leave_out_unreadable
        found = [_places_in(path) for path in self.shards]
        self._places = np.concatenate(found)
        self._shard_of = np.repeat(
            np.arange(len(found), dtype=np.int32), [len(places) for places in found]
        )
        self._files: dict[int, int] = {}
        if not len(self._places):
            raise DatasetError(f"no picture in {len(shards)} shards, {shards[0]} the first of them")

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, number: int) -> NDArray[np.uint8] | None:
        """A picture as uint8 (H, W, 3); gray is repeated into three components.

        None for one that is left out. Raises `InvalidInputError`, naming shard and place, for one
        that is smaller than a crop or can't be read and is not left out.
        """
        shard = int(self._shard_of[number])
        offset, size = (int(value) for value in self._places[number])
        data = os.pread(self._file(shard), size, offset)
        where = f"{self.shards[shard]}, the picture at byte {offset}"
        try:
            pixels = read_pixels(io.BytesIO(data))
        except KodecError as error:
            if self._without_unreadable:
                return None
            raise InvalidInputError(
                f"{where} can't be read ({error}): mend the shard, or set data.leave_out_unreadable"
            ) from error
        if min(pixels.shape[:2]) < self._smallest:
            if self._without_small:
                return None
            height, width, _ = pixels.shape
            raise InvalidInputError(
                f"{where} has {width}x{height} pixels, less than a crop of {self._smallest}: lower "
                "data.crop or set data.leave_out_small"
            )
        return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels

    def _file(self, shard: int) -> int:
        """A descriptor; reads name their place, so that processes may share it."""
        if shard not in self._files:
            while len(self._files) >= _OPEN:
                os.close(self._files.pop(next(iter(self._files))))
            self._files[shard] = os.open(self.shards[shard], os.O_RDONLY)
        return self._files[shard]

    def close(self) -> None:
        """Close what is open."""
        while self._files:
            os.close(self._files.popitem()[1])


def _places_in(shard: Path) -> NDArray[np.int64]:
    """Offsets and sizes of a shard's pictures, (n, 2)."""
    state = shard.stat()
    digest = hashlib.sha256(os.fsencode(shard.resolve())).hexdigest()[:32]
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    memory = Path(home) / "kodec" / "shards" / f"{digest}-{state.st_size}-{state.st_mtime_ns}.npy"
    try:
        places: NDArray[np.int64] = np.load(memory, allow_pickle=False)
        if places.dtype == np.int64 and places.ndim == 2 and places.shape[1] == 2:
            return places
    except (OSError, ValueError):
        pass
    places = _read_places(shard, state.st_size)
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        part = memory.with_name(f"{memory.stem}-{os.getpid()}.npy")
        np.save(part, places)
        os.replace(part, memory)
    except OSError as error:
        # The next start reads the headers again.
        _log.debug("can't remember where a shard's pictures lie: %s", error)
    return places


def _read_places(shard: Path, size: int) -> NDArray[np.int64]:
    found = []
    try:
        with tarfile.open(shard, "r:") as tar:
            for member in tar:
                if not member.isfile() or member.issparse():
                    continue
                if member.offset_data + member.size > size:
                    raise tarfile.ReadError("it is cut off")
                if Path(member.name).suffix.lower() in PICTURE_SUFFIXES:
                    found.append((member.offset_data, member.size))
                # Else tarfile keeps all that it has seen.
                tar.members = []  # type: ignore[attr-defined]
    except tarfile.TarError as error:
        raise InvalidInputError(f"{shard} is no uncompressed tar file: {error}") from error
    return np.array(found, dtype=np.int64).reshape(-1, 2)
