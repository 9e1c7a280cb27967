"""Numbers about codecs: data sets, metrics, measurements, results files and BD-rate."""

from .bdrate import BDResult, Method, bd_rate, describe
from .datasets import (
    Dataset,
    DatasetError,
    Kind,
    Validation,
    find_dataset,
    kind_of_dataset,
    known_datasets,
)
from .frames import Frame, VideoFormat
from .machine import describe_machine, describe_versions
from .measurement import CodecLike, SequenceCodec
from .metric_set import PICTURE_METRICS, VIDEO_METRICS, check_metrics, usual_metrics
from .metrics import fits_ms_ssim, ms_ssim, ms_ssim_db, psnr
from .partial import PartialRows
from .results import Curve, ImageRow, Results, join_results, read_results, write_results
from .run import CodecMaker, Progress, evaluate, evaluate_sources
from .sources import PictureSource, Source, VideoSource
from .video_file import Video, open_video

__all__ = [
    "BDResult",
    "CodecLike",
    "CodecMaker",
    "Curve",
    "Dataset",
    "DatasetError",
    "Frame",
    "ImageRow",
    "Kind",
    "Method",
    "PICTURE_METRICS",
    "PartialRows",
    "PictureSource",
    "Progress",
    "Results",
    "SequenceCodec",
    "Source",
    "VIDEO_METRICS",
    "Validation",
    "Video",
    "VideoFormat",
    "VideoSource",
    "bd_rate",
    "check_metrics",
    "describe",
    "describe_machine",
    "describe_versions",
    "evaluate",
    "evaluate_sources",
    "find_dataset",
    "fits_ms_ssim",
    "join_results",
    "kind_of_dataset",
    "known_datasets",
    "ms_ssim",
    "ms_ssim_db",
    "open_video",
    "psnr",
    "read_results",
    "usual_metrics",
    "write_results",
]
