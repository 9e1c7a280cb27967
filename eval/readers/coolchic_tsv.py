"""Cool-chic's TSV: a row per picture or sequence and lambda.

PSNR is of RGB for RGB pictures; for YUV 4:2:0 it comes from the MSE weighted 4:1:1, for 4:4:4 from
the mean over all samples. Names say which: `..._yuv420_8b`. With a column `n_frames` each row is a
sequence's and each sequence a curve; without it rows are pictures', and the curve is their mean.
"""

import math
import re
from pathlib import Path

from kodec.eval.curves.curve import UNKNOWN
from kodec.native import InvalidInputError

from .curve_set import CurveSet
from .summary_rows import kept_rows
from .table import Point, Table, mean_over_images, sets_of_points

_NEEDED = frozenset({"seq_name", "lmbda", "rate_bpp", "psnr_db"})
_OF_FORMAT = {"yuv420": "psnr-yuv-mse-411", "yuv444": "psnr-yuv-mse-111"}


def recognises(table: Table | None) -> bool:
    """Whether a table has Cool-chic's columns."""
    return table is not None and _NEEDED <= set(table.header)


def read(table: Table) -> list[CurveSet]:
    """The mean over pictures, or one set per sequence.

    Raises InvalidInputError for cells that are no numbers, pictures of different formats, and
    pictures that don't have the same lambdas.
    """
    path = table.path
    column = {title: index for index, title in enumerate(table.header)}
    points = []
    name = column["seq_name"]
    kept = kept_rows([(cells[name],) for _, cells in table.rows])
    left = {cells[name] for row, (_, cells) in enumerate(table.rows) if row not in kept}
    notes = [f"{path.name}: left out as summaries: {', '.join(sorted(left))}"] if left else []
    for line, cells in (table.rows[row] for row in kept):
        named = {title: cells[index] for title, index in column.items()}
        number = {
            title: (table.measurement if title == "psnr_db" else table.number)(
                line, column[title], named[title]
            )
            for title in ("rate_bpp", "psnr_db", "n_frames", "w", "h")
            if title in column
        }
        if not (math.isfinite(number["rate_bpp"]) and number["rate_bpp"] > 0):
            raise InvalidInputError(f"{path}, line {line}: {named['rate_bpp']} is no rate")
        points.append(
            Point(
                line=line,
                codec=_codec(path),
                dataset=None,
                sequence=named["seq_name"],
                setting=f"lambda {named['lmbda']}",
                rate=number["rate_bpp"],
                metrics={_metric(named["seq_name"]): number["psnr_db"]},
                frames=int(number["n_frames"]) if "n_frames" in number else None,
                size=(int(number["w"]), int(number["h"])) if {"w", "h"} <= number.keys() else None,
            )
        )
    if not points:
        raise InvalidInputError(f"{path}: a header and no rows: nothing was measured yet")
    video = "n_frames" in column
    averaging = {"": UNKNOWN if video else "of one image"}
    sets = sets_of_points(path, points, "bpp", averaging, notes)
    if video:
        return sets
    metrics = {metric for point in points for metric in point.metrics}
    if len(metrics) > 1:
        raise InvalidInputError(
            f"{path}: pictures of different formats ({', '.join(sorted(metrics))})"
        )
    return [mean_over_images(_codec(path), sets)]


def _metric(sequence: str) -> str:
    return next((m for form, m in _OF_FORMAT.items() if form in sequence.lower()), "psnr-rgb")


def _codec(path: Path) -> str:
    """Files are named by their data set and lie in a folder named by the version."""
    version = path.absolute().parent.name
    named = f"{version} {path.stem}" if re.match(r"v\d", version) else path.stem
    return named if "chic" in named.lower() else f"Cool-chic {named}"
