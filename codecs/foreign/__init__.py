"""Weights of other people's public code: what their tensors are called here."""

from .renaming import Rules, renamed
from .transform_names import TRANSFORM_NAMES

__all__ = ["TRANSFORM_NAMES", "Rules", "renamed"]
