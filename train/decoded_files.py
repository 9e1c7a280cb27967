"""Files decoded once and kept in memory, as far as there is room."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from numpy.typing import NDArray

Values = TypeVar("Values", bound=NDArray[Any])


class DecodedFiles(Generic[Values]):
    """What `load` makes of each file, read when it is first asked for; up to `room` bytes stay."""

    def __init__(self, paths: list[Path], load: Callable[[Path], Values], room: int) -> None:
        self._paths = paths
        self._load = load
        self._room = room
        self._kept: dict[int, Values] = {}

    def __getitem__(self, number: int) -> Values:
        if number in self._kept:
            return self._kept[number]
        values = self._load(self._paths[number])
        if values.nbytes <= self._room:
            self._room -= values.nbytes
            self._kept[number] = values
        return values
