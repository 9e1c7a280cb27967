"""Motion of pictures' blocks in C++, in integers: the same bits on every machine. No torch."""

from ._motion import average, compensate, luma, search

__all__ = ["average", "compensate", "luma", "search"]
