"""The commands of `kodec`. Torch is imported inside those that need it: it takes seconds."""

from .command_line import run

__all__ = ["run"]
