"""`kodec bdrate`: one codec against another."""

import argparse
import json
from dataclasses import asdict
from fnmatch import fnmatchcase
from glob import glob, has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kodec.native import InvalidInputError

from . import usage

if TYPE_CHECKING:
    from kodec.eval import Comparison, Curve


def add_to(commands: "argparse._SubParsersAction[usage.Parser]") -> None:
    """Add the command's parser."""
    bdrate_ = commands.add_parser(
        "bdrate",
        help="the BD-rate of one codec against another, from results files, logs or tables",
        description=_BDRATE,
    )
    bdrate_.add_argument("test", metavar="TEST", type=usage.path)
    bdrate_.add_argument("anchor", metavar="ANCHOR", type=usage.path)
    bdrate_.add_argument(
        "--metric", help="psnr-rgb, psnr-y, ms-ssim-db-rgb, ...; the usual one that both have"
    )
    bdrate_.add_argument("--method", choices=("pchip", "akima", "cubic"), default="pchip")
    bdrate_.add_argument(
        "--average",
        choices=("sequences", "curves"),
        help="of several sequences: mean of their BD-rates (default), or BD-rate of mean curves",
    )
    bdrate_.add_argument(
        "--sequences", metavar="PATTERN", help="only these, as SEQUENCE or DATASET/SEQUENCE"
    )
    bdrate_.add_argument(
        "--size", metavar="WxH", type=usage.size, help="picture size, for rates in kbps"
    )
    bdrate_.add_argument(
        "--fps", metavar="F", type=usage.positive, help="frame rate, for rates in kbps"
    )
    bdrate_.add_argument(
        "--force", action="store_true", help="a number even if qualities hardly overlap"
    )
    bdrate_.add_argument("--json", action="store_true", help="as JSON")
    bdrate_.set_defaults(run=bdrate)
    usage.add_global_options(bdrate_)


def bdrate(options: argparse.Namespace) -> None:
    """Print a BD-rate and what it rests on."""
    from kodec.eval import (
        common_metrics,
        compare,
        describe_comparison,
        on_shared_pictures,
        preferred_metric,
        read_curve_sets,
    )

    tests = read_curve_sets(files(options.test), options.size, options.fps)
    anchors = read_curve_sets(files(options.anchor), options.size, options.fps)
    tests, anchors = on_shared_pictures(tests, anchors)
    metric = options.metric
    if metric is None:
        metric = preferred_metric(common_metrics([*tests, *anchors]))
    if metric is None:
        ours, theirs = (", ".join(common_metrics(side)) or "none" for side in (tests, anchors))
        raise InvalidInputError(f"no metric that both have: TEST has {ours}; ANCHOR has {theirs}")
    comparison = compare(
        _chosen([one.curve(metric) for one in tests], options.sequences, "TEST"),
        _chosen([one.curve(metric) for one in anchors], options.sequences, "ANCHOR"),
        options.method,
        options.average,
        options.force,
    )
    if options.json:
        print(json.dumps(_facts(comparison), indent=2, allow_nan=False))
    else:
        print(describe_comparison(comparison))


def files(argument: Path) -> list[Path]:
    """What an argument names: a file, a folder, or a pattern or a list with commas of either.

    Raises InvalidInputError for a pattern that nothing matches.
    """
    if argument.exists():
        return [argument]
    found: list[Path] = []
    for part in map(str.strip, str(argument).split(",")):
        if not has_magic(part) or Path(part).exists():
            found.append(Path(part))
            continue
        matches = [Path(match) for match in sorted(glob(part, recursive=True))]
        if not matches:
            raise InvalidInputError(f"no file matches {part}")
        found += matches
    return found


def _chosen(curves: "list[Curve]", pattern: str | None, side: str) -> "list[Curve]":
    if pattern is None:
        return curves
    # A curve that names no sequence, of a whole data set, is not one of several to choose from.
    kept = [
        curve
        for curve in curves
        if curve.sequence is None
        or fnmatchcase(curve.sequence.lower(), pattern.lower())
        or fnmatchcase(f"{curve.dataset}/{curve.sequence}".lower(), pattern.lower())
    ]
    if not kept:
        known = ", ".join(
            f"{c.dataset}/{c.sequence}" if c.dataset else f"{c.sequence}" for c in curves[:5]
        )
        raise InvalidInputError(f"no sequence of {side} matches {pattern}; it has {known}, ...")
    return kept


def _facts(comparison: "Comparison") -> dict[str, Any]:
    """A comparison for JSON: the one pair's facts, or the mean and each sequence's."""
    first = comparison.results[0]
    single = len(comparison.results) == 1
    own = {**asdict(first.rate), "warnings": first.warnings}
    if not single:
        own = {key: own[key] for key in ("metric", "method")}
        own["test_points"] = min(r.rate.test_points for r in comparison.results)
        own["anchor_points"] = min(r.rate.anchor_points for r in comparison.results)
        own["test"], own["anchor"] = _names(comparison.test), _names(comparison.anchor)
        own["warnings"] = [w for r in comparison.results for w in r.warnings]
    return {
        **own,
        "value_percent": comparison.value_percent,
        "average": comparison.average,
        "quality_difference": comparison.quality_difference,
        "interval": None if comparison.interval is None else asdict(comparison.interval),
        "sequences": [
            {
                "sequence": result.sequence,
                "value_percent": result.rate.value_percent,
                "quality_difference": None if result.quality is None else result.quality.value,
                "overlap": result.rate.overlap,
                "test_fraction": result.rate.test_fraction,
                "anchor_fraction": result.rate.anchor_fraction,
                "test_points": result.rate.test_points,
                "anchor_points": result.rate.anchor_points,
                "monotonic": result.rate.monotonic,
                "warnings": result.warnings,
            }
            for result in comparison.results
        ],
        "rests_on": {
            side: [
                {
                    "name": curve.name,
                    "rate_unit": curve.rate_unit,
                    "averaging": curve.averaging,
                    "source": curve.source,
                    "settings": curve.settings,
                    "frames": curve.frames,
                    "rates": curve.rates,
                    "values": curve.values,
                }
                for curve in curves
            ]
            for side, curves in (("test", comparison.test), ("anchor", comparison.anchor))
        },
        "notes": comparison.notes,
    }


def _names(curves: "tuple[Curve, ...]") -> str:
    return ", ".join(curve.name for curve in curves)


_BDRATE = (
    "The Bjontegaard delta rate of TEST against ANCHOR, and what the number rests on. Each is a "
    "file, a folder, or a quoted pattern ('logs/*_qp*.log'): results files of kodec, CompressAI or "
    "DCVC, logs of VTM, HM, VVenC or x265, Cool-chic's TSV, or CSV with a header. Negative: TEST "
    "needs fewer bits."
)
