"""`kodec encode` and `kodec decode` of many files: one call, many processes or machines."""

from .loop import code_files
from .options import add_options, wanted

__all__ = ["add_options", "code_files", "wanted"]
