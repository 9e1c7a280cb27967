"""The tiles that a picture is cut into, and which pixels and latents lie in them."""

from collections.abc import Iterator
from dataclasses import dataclass

from kodec.native import InvalidInputError


@dataclass(frozen=True, slots=True)
class Box:
    """Columns `left` to `right` and rows `top` to `bottom`, ends excluded."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns, to index an array with."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def widened(self, by: int, width: int, height: int) -> "Box":
        """With `by` more on each side, within width x height."""
        return Box(
            max(0, self.left - by),
            max(0, self.top - by),
            min(width, self.right + by),
            min(height, self.bottom + by),
        )

    def within(self, outer: "Box") -> "Box":
        """The same, counted from the upper left corner of `outer`."""
        x, y = outer.left, outer.top
        return Box(self.left - x, self.top - y, self.right - x, self.bottom - y)

    def common(self, other: "Box") -> "Box":
        """What lies in both."""
        return Box(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        )

    def scaled(self, by: int) -> "Box":
        """In units `by` times as small."""
        return Box(self.left * by, self.top * by, self.right * by, self.bottom * by)

    def meets(self, other: "Box") -> bool:
        """Whether something lies in both."""
        both = self.common(other)
        return both.width > 0 and both.height > 0


@dataclass(frozen=True, slots=True)
class TileGrid:
    """width x height positions in tiles of `tile` (width, height); None: one tile."""

    width: int
    height: int
    tile: tuple[int, int] | None = None

    @property
    def whole(self) -> Box:
        """All of it."""
        return Box(0, 0, self.width, self.height)

    @property
    def columns(self) -> int:
        """Of tiles."""
        return 1 if self.tile is None else -(-self.width // self.tile[0])

    @property
    def rows(self) -> int:
        """Of tiles."""
        return 1 if self.tile is None else -(-self.height // self.tile[1])

    def __len__(self) -> int:
        return self.columns * self.rows

    def box(self, number: int) -> Box:
        """Tile number `number`, row by row."""
        if self.tile is None:
            return self.whole
        row, column = divmod(number, self.columns)
        width, height = self.tile
        left, top = column * width, row * height
        return Box(left, top, min(left + width, self.width), min(top + height, self.height))

    def row(self, number: int) -> range:
        """The tiles in a row."""
        return range(number * self.columns, (number + 1) * self.columns)

    def meeting(self, box: Box) -> Iterator[int]:
        """The tiles that `box` meets, in order."""
        for number in range(len(self)):
            if self.box(number).meets(box):
                yield number

    def divided(self, by: int) -> "TileGrid":
        """In units `by` times as large, which tiles must be whole numbers of.

        Raises InvalidInputError where they are not.
        """
        width, height = -(-self.width // by), -(-self.height // by)
        if self.tile is None:
            return TileGrid(width, height)
        if any(side % by for side in self.tile):
            raise InvalidInputError(
                f"tiles of {self.tile[0]}x{self.tile[1]} pixels do not fit a model of stride {by}"
            )
        return TileGrid(width, height, (self.tile[0] // by, self.tile[1] // by))
