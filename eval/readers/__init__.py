"""Readers of other people's numbers: encoder logs, results files and tables to curves."""

from kodec.eval.text_file import UnknownFormatError

from .curve_set import CurveSet, codec_name
from .encoder_run import EncoderRun, LogError
from .reading import (
    available_metrics,
    common_metrics,
    read_curve_sets,
    read_curves,
)
from .shared_pictures import on_shared_pictures

__all__ = [
    "CurveSet",
    "EncoderRun",
    "LogError",
    "UnknownFormatError",
    "available_metrics",
    "codec_name",
    "common_metrics",
    "on_shared_pictures",
    "read_curve_sets",
    "read_curves",
]
