"""What `kodec eval` tells of single files: its speed on the way, its manifest at the end."""

import json
import math
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from kodec.codecs import write_atomically

from .progress import Show, speed

if TYPE_CHECKING:
    from kodec.eval import ImageRow, Results
    from kodec.eval.running.run import PixelProgress


def with_speed(show: Show) -> "PixelProgress":
    """Progress with the speed of what was measured in this run."""
    began = time.monotonic()
    first: list[int] = []

    def with_speed(done: int, total: int, label: str, pixels: int) -> None:
        first.append(done)
        how_fast = speed(done - first[0], pixels, time.monotonic() - began)
        show(done, total, f"{label}, {how_fast}" if pixels else label)

    return with_speed


def write_manifest(path: Path, measured: "Iterable[Results]") -> None:
    """JSON lines: of each file at each quality what it took and gave; of one that was left out why.

    Raises OSError.
    """
    rows = (row for results in measured for row in _rows_of(results))
    write_atomically(path, "".join(f"{json.dumps(row)}\n" for row in rows).encode())


def _rows_of(results: "Results") -> Iterator[dict[str, object]]:
    for row in results.per_image:
        seconds = (row.encoding_time or 0) + (row.decoding_time or 0)
        yield {
            "input": row.image,
            "codec": results.name,
            "quality": row.quality,
            "bytes": row.bytes,
            "width": row.width,
            "height": row.height,
            "frames": row.frames,
            "bpp": round(row.bpp, 6),
            **_psnr_of(row),
            "seconds": round(seconds, 4),
            "error": None,
        }
    for left in results.left_out:
        yield {"input": left["file"], "codec": results.name, "error": left["reason"]}


def _psnr_of(row: "ImageRow") -> dict[str, object]:
    """Of RGB, of video YUV 6:1:1, of its gray Y, as `kodec encode` says it."""
    names = ("psnr-rgb", "psnr-yuv-611", "psnr-y")
    found = next((row.metrics[name] for name in names if name in row.metrics), None)
    if found is not None and math.isinf(found):
        return {"psnr": None, "lossless": True}
    return {"psnr": None if found is None else round(found, 4)}
