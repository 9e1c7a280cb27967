"""Numbers about codecs: data sets, metrics, measurements, results files and BD-rate."""

from .bdrate import BDQuality, BDResult, Method, bd_quality, bd_rate, describe
from .bootstrap import Interval, interval_over_members
from .coder_benchmark import CoderReport, Measured, ShortStreams, bench_coder
from .coder_race import Row, Speed
from .comparison import Comparison, SequenceResult, compare, describe_comparison
from .curve import Curve
from .datasets import (
    Dataset,
    DatasetError,
    Kind,
    Validation,
    find_dataset,
    find_labels,
    kind_of_dataset,
    known_datasets,
)
from .frames import Frame, VideoFormat
from .instruction_sets import SIMD_NAMES, available_simd
from .machine import describe_machine, describe_versions
from .measurement import CodecLike, SequenceCodec
from .metric_names import METRICS, Metric, find_metric
from .metric_names import preferred as preferred_metric
from .metric_set import PICTURE_METRICS, VIDEO_METRICS, check_metrics, usual_metrics
from .metrics import fits_ms_ssim, ms_ssim, ms_ssim_db, psnr
from .partial import PartialRows
from .pooling import pool
from .readers import CurveSet, available_metrics, common_metrics, read_curve_sets, read_curves
from .results import ImageRow, Results, join_results, read_results, write_results
from .run import CodecMaker, Progress, evaluate, evaluate_sources
from .sources import PictureSource, Source, VideoSource
from .video_file import Video, open_video

__all__ = [
    "BDQuality",
    "BDResult",
    "CodecLike",
    "CodecMaker",
    "CoderReport",
    "Comparison",
    "Curve",
    "CurveSet",
    "Dataset",
    "DatasetError",
    "Frame",
    "ImageRow",
    "Interval",
    "Kind",
    "METRICS",
    "Measured",
    "Method",
    "Metric",
    "PICTURE_METRICS",
    "PartialRows",
    "PictureSource",
    "Progress",
    "Results",
    "Row",
    "SIMD_NAMES",
    "SequenceCodec",
    "SequenceResult",
    "ShortStreams",
    "Source",
    "Speed",
    "VIDEO_METRICS",
    "Validation",
    "Video",
    "VideoFormat",
    "VideoSource",
    "available_metrics",
    "available_simd",
    "bd_quality",
    "bd_rate",
    "bench_coder",
    "check_metrics",
    "common_metrics",
    "compare",
    "describe",
    "describe_comparison",
    "describe_machine",
    "describe_versions",
    "evaluate",
    "evaluate_sources",
    "find_dataset",
    "find_labels",
    "find_metric",
    "fits_ms_ssim",
    "interval_over_members",
    "join_results",
    "kind_of_dataset",
    "known_datasets",
    "ms_ssim",
    "ms_ssim_db",
    "open_video",
    "pool",
    "preferred_metric",
    "psnr",
    "read_curve_sets",
    "read_curves",
    "read_results",
    "usual_metrics",
    "write_results",
]
