"""Numbers about codecs: data sets, metrics, measurements, results files and BD-rate."""

from .bdrate import BDResult, Method, bd_rate, describe
from .curve import Curve
from .datasets import Dataset, DatasetError, Validation, find_dataset, known_datasets
from .metrics import fits_ms_ssim, ms_ssim, ms_ssim_db, psnr
from .readers import available_metrics, read_curve_sets, read_curves
from .results import ImageRow, Results, join_results, read_results, write_results
from .run import CodecLike, Progress, describe_machine, evaluate

__all__ = [
    "BDResult",
    "CodecLike",
    "Curve",
    "Dataset",
    "DatasetError",
    "ImageRow",
    "Method",
    "Progress",
    "Results",
    "Validation",
    "available_metrics",
    "bd_rate",
    "describe",
    "describe_machine",
    "evaluate",
    "find_dataset",
    "fits_ms_ssim",
    "join_results",
    "known_datasets",
    "ms_ssim",
    "ms_ssim_db",
    "psnr",
    "read_curve_sets",
    "read_curves",
    "read_results",
    "write_results",
]
