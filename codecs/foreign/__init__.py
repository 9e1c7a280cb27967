"""Weights of other people's public code: what their tensors are called here, and their import."""

from .families import CONFIGS
from .importing import import_checkpoint
from .latent_names import LATENT_NAMES, rearranged, without_constants
from .renaming import Rules, renamed
from .transform_names import TRANSFORM_NAMES

__all__ = [
    "CONFIGS",
    "LATENT_NAMES",
    "TRANSFORM_NAMES",
    "Rules",
    "import_checkpoint",
    "rearranged",
    "renamed",
    "without_constants",
]
