"""From a config to a checkpoint."""

from .cli import train
from .data import CropData
from .rate_distortion import RateDistortion

__all__ = ["CropData", "RateDistortion", "train"]
