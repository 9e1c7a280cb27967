"""Numbers about codecs: data sets, metrics, measurements, results files and BD-rate."""

from .bdrate import BDQuality, BDResult, Method, bd_quality, bd_rate, describe
from .bootstrap import Interval, interval_over_members
from .comparison import Comparison, SequenceResult, compare, describe_comparison
from .curve import Curve
from .datasets import Dataset, DatasetError, Validation, find_dataset, known_datasets
from .metric_names import METRICS, Metric, find_metric
from .metric_names import preferred as preferred_metric
from .metrics import fits_ms_ssim, ms_ssim, ms_ssim_db, psnr
from .pooling import pool
from .readers import CurveSet, available_metrics, common_metrics, read_curve_sets, read_curves
from .results import ImageRow, Results, join_results, read_results, write_results
from .run import CodecLike, Progress, describe_machine, evaluate

__all__ = [
    "BDQuality",
    "BDResult",
    "CodecLike",
    "Comparison",
    "Curve",
    "CurveSet",
    "Dataset",
    "DatasetError",
    "ImageRow",
    "Interval",
    "METRICS",
    "Method",
    "Metric",
    "Progress",
    "Results",
    "SequenceResult",
    "Validation",
    "available_metrics",
    "bd_quality",
    "bd_rate",
    "common_metrics",
    "compare",
    "describe",
    "describe_comparison",
    "describe_machine",
    "evaluate",
    "find_dataset",
    "find_metric",
    "fits_ms_ssim",
    "interval_over_members",
    "join_results",
    "known_datasets",
    "ms_ssim",
    "ms_ssim_db",
    "pool",
    "preferred_metric",
    "psnr",
    "read_curve_sets",
    "read_curves",
    "read_results",
    "write_results",
]
