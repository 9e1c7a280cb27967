"""Numbers about codecs: data sets, metrics, measurements, results files and BD-rate."""

from .bdrate import BDQuality, BDResult, Method, bd_quality, bd_rate, describe
from .bootstrap import Interval, interval_over_members
from .coder_benchmark import CoderReport, Measured, ShortStreams, bench_coder
from .coder_race import Row, Speed
from .comparison import Comparison, SequenceResult, compare, describe_comparison
from .curve import Curve
from .datasets import Dataset, DatasetError, Validation, find_dataset, known_datasets
from .instruction_sets import SIMD_NAMES, available_simd
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
    "CoderReport",
    "Comparison",
    "Curve",
    "CurveSet",
    "Dataset",
    "DatasetError",
    "ImageRow",
    "Interval",
    "METRICS",
    "Measured",
    "Method",
    "Metric",
    "Progress",
    "Results",
    "Row",
    "SIMD_NAMES",
    "SequenceResult",
    "ShortStreams",
    "Speed",
    "Validation",
    "available_metrics",
    "available_simd",
    "bd_quality",
    "bd_rate",
    "bench_coder",
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
