"""From a config to a checkpoint."""

from .cli import train
from .data import CropData
from .export import export_checkpoint
from .rate_distortion import RateDistortion
from .trainer import Trainer

__all__ = ["CropData", "RateDistortion", "Trainer", "export_checkpoint", "train"]
