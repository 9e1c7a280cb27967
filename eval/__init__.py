"""Numbers about codecs: data sets, metrics, measurements, results files and BD-rate.

What takes seconds to import, as torch does, is imported when it is first asked for: processes that
only share work out need none of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from kodec.codecs.video_files.frames import Frame, VideoFormat
from kodec.codecs.video_files.video import Video
from kodec.codecs.video_files.video_reading import open_video

from .bench.instruction_sets import SIMD_NAMES, available_simd
from .metrics.metric_names import METRICS, Metric, find_metric
from .metrics.metric_names import preferred as preferred_metric
from .sources.datasets import (
    Dataset,
    DatasetError,
    Kind,
    Validation,
    find_dataset,
    find_labels,
    find_urls,
    kind_of_dataset,
    known_datasets,
)

if TYPE_CHECKING:
    from .bench.coder_benchmark import CoderReport, Measured, ShortStreams, bench_coder
    from .bench.coder_rows import Row
    from .bench.layers_benchmark import LayerRow, LayersReport, bench_layers
    from .bench.picture_benchmark import PictureReport, PictureRow, bench_pictures
    from .bench.race import Contestant, Race, Ratio, Spread
    from .bench.systems_benchmark import SystemRow, SystemsReport, bench_systems
    from .bench.video_benchmark import VideoReport, VideoRow, bench_video
    from .curves.bdrate import BDQuality, BDResult, Method, bd_quality, bd_rate, describe
    from .curves.bootstrap import Interval, interval_over_members
    from .curves.comparison import Comparison, SequenceResult, compare, describe_comparison
    from .curves.curve import Curve
    from .curves.pooling import pool
    from .metrics.metric_set import PICTURE_METRICS, VIDEO_METRICS, check_metrics, usual_metrics
    from .metrics.picture_metrics import fits_ms_ssim, ms_ssim, ms_ssim_db, psnr
    from .readers import (
        CurveSet,
        available_metrics,
        common_metrics,
        on_shared_pictures,
        read_curve_sets,
        read_curves,
    )
    from .running.machine import describe_machine, describe_versions
    from .running.measurement import CodecLike, SequenceCodec
    from .running.partial import PartialRows
    from .running.results import ImageRow, Results, join_results, read_results, write_results
    from .running.run import CodecMaker, Progress, evaluate, evaluate_sources
    from .sources.source import PictureSource, Source, VideoSource
else:
    _HOMES = {
        "bench.coder_benchmark": (
            "CoderReport",
            "Measured",
            "ShortStreams",
            "bench_coder",
        ),
        "bench.coder_rows": ("Row",),
        "bench.layers_benchmark": (
            "LayerRow",
            "LayersReport",
            "bench_layers",
        ),
        "bench.picture_benchmark": (
            "PictureReport",
            "PictureRow",
            "bench_pictures",
        ),
        "bench.race": (
            "Contestant",
            "Race",
            "Ratio",
            "Spread",
        ),
        "bench.systems_benchmark": (
            "SystemRow",
            "SystemsReport",
            "bench_systems",
        ),
        "bench.video_benchmark": (
            "VideoReport",
            "VideoRow",
            "bench_video",
        ),
        "curves.bdrate": (
            "BDQuality",
            "BDResult",
            "Method",
            "bd_quality",
            "bd_rate",
            "describe",
        ),
        "curves.bootstrap": (
            "Interval",
            "interval_over_members",
        ),
        "curves.comparison": (
            "Comparison",
            "SequenceResult",
            "compare",
            "describe_comparison",
        ),
        "curves.curve": ("Curve",),
        "curves.pooling": ("pool",),
        "metrics.metric_set": (
            "PICTURE_METRICS",
            "VIDEO_METRICS",
            "check_metrics",
            "usual_metrics",
        ),
        "metrics.picture_metrics": (
            "fits_ms_ssim",
            "ms_ssim",
            "ms_ssim_db",
            "psnr",
        ),
        "readers": (
            "CurveSet",
            "available_metrics",
            "common_metrics",
            "on_shared_pictures",
            "read_curve_sets",
            "read_curves",
        ),
        "running.machine": (
            "describe_machine",
            "describe_versions",
        ),
        "running.measurement": (
            "CodecLike",
            "SequenceCodec",
        ),
        "running.partial": ("PartialRows",),
        "running.results": (
            "ImageRow",
            "Results",
            "join_results",
            "read_results",
            "write_results",
        ),
        "running.run": (
            "CodecMaker",
            "Progress",
            "evaluate",
            "evaluate_sources",
        ),
        "sources.source": (
            "PictureSource",
            "Source",
            "VideoSource",
        ),
    }
    _HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

    def __getattr__(name: str) -> object:
        """Import a public name at its first use (PEP 562)."""
        if name not in _HOME_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = import_module(f"{__name__}.{_HOME_OF[name]}")
        value = globals()[name] = getattr(home, name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "BDQuality",
    "BDResult",
    "CodecLike",
    "CodecMaker",
    "CoderReport",
    "Comparison",
    "Contestant",
    "Curve",
    "CurveSet",
    "Dataset",
    "DatasetError",
    "Frame",
    "ImageRow",
    "Interval",
    "Kind",
    "LayerRow",
    "LayersReport",
    "METRICS",
    "Measured",
    "Method",
    "Metric",
    "PICTURE_METRICS",
    "PartialRows",
    "PictureReport",
    "PictureRow",
    "PictureSource",
    "Progress",
    "Race",
    "Ratio",
    "Results",
    "Row",
    "SIMD_NAMES",
    "SequenceCodec",
    "SequenceResult",
    "ShortStreams",
    "Source",
    "Spread",
    "SystemRow",
    "SystemsReport",
    "VIDEO_METRICS",
    "Validation",
    "Video",
    "VideoFormat",
    "VideoReport",
    "VideoRow",
    "VideoSource",
    "available_metrics",
    "available_simd",
    "bd_quality",
    "bd_rate",
    "bench_coder",
    "bench_layers",
    "bench_pictures",
    "bench_systems",
    "bench_video",
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
    "find_urls",
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
    "on_shared_pictures",
    "read_curve_sets",
    "read_curves",
    "read_results",
    "usual_metrics",
    "write_results",
]
