"""From a config to a checkpoint."""

from .cli import train
from .clips import ClipData
from .data import CropData
from .export import export_checkpoint
from .phases import Phase
from .rate_distortion import RateDistortion
from .sequence_rate_distortion import SequenceRateDistortion
from .trainer import Trainer

__all__ = [
    "ClipData",
    "CropData",
    "Phase",
    "RateDistortion",
    "SequenceRateDistortion",
    "Trainer",
    "export_checkpoint",
    "train",
]
