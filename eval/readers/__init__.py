"""Readers of other people's numbers: encoder logs, results files and tables to curves."""

from .curve_set import CurveSet
from .encoder_run import EncoderRun, LogError
from .reading import (
    UnknownFormatError,
    available_metrics,
    common_metrics,
    read_curve_sets,
    read_curves,
)

__all__ = [
    "CurveSet",
    "EncoderRun",
    "LogError",
    "UnknownFormatError",
    "available_metrics",
    "common_metrics",
    "read_curve_sets",
    "read_curves",
]
