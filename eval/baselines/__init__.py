"""Other people's codecs, as `kodec eval` measures them: one file a family."""

from .catalogue import BASELINES, EXTERNAL, SCALES, Baseline, Scale
from .external import ExternalCodec, default_cache
from .libav_streams import LibavCodec, Structure
from .pillow_files import PillowCodec

__all__ = [
    "BASELINES",
    "EXTERNAL",
    "SCALES",
    "Baseline",
    "ExternalCodec",
    "LibavCodec",
    "PillowCodec",
    "Scale",
    "Structure",
    "default_cache",
]
