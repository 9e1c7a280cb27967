"""Results of the DCVC family: data set, sequence and rate index, each a record of averages.

`ave_all_frame_psnr` of a YUV 4:2:0 test is (6 Y + U + V) / 8 of the planes' decibels, and
`ave_all_frame_msssim` the same of their MS-SSIM; of an RGB test there are no planes. Only averages
over all frames are read: how a record divides frames into I and P depends on the codec.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from kodec.native import InvalidInputError

from .curve_set import CurveSet
from .summary_rows import kept_rows

_KEYS = {"psnr": "psnr", "msssim": "ms-ssim"}


def recognises(document: Any) -> bool:
    """Whether a JSON document has records of averages three levels down."""
    record = document
    for _ in range(3):
        if not isinstance(record, dict) or not record:
            return False
        record = next(iter(record.values()))
    return isinstance(record, dict) and any(str(key).startswith("ave_") for key in record)


def read(path: Path, document: dict[str, Any]) -> list[CurveSet]:
    """One set per sequence.

    Raises InvalidInputError when a record lacks its averages, or the frames of a sequence's points
    differ (an unfinished run).
    """
    found = list(_sequences(path, document))
    kept = kept_rows(
        [(sequence,) for _, sequence, _ in found], [dataset for dataset, _, _ in found]
    )
    left = [", ".join(one[:2]) for row, one in enumerate(found) if row not in kept]
    notes = (f"{path.name}: left out as summaries of others: {'; '.join(left)}",) if left else ()
    sets = [_sequence(path, *found[row]) for row in kept]
    return [replace(one, notes=(*one.notes, *notes)) for one in sets]


def _sequences(
    path: Path, document: dict[str, Any]
) -> Iterator[tuple[str, str, dict[str, dict[str, Any]]]]:
    for dataset, sequences in document.items():
        if not isinstance(sequences, dict):
            raise InvalidInputError(f"{path}: {dataset} holds no sequences")
        for sequence, records in sequences.items():
            if not isinstance(records, dict) or not records:
                raise InvalidInputError(f"{path}: {dataset}, {sequence} holds no records")
            yield dataset, sequence, records


def _sequence(
    path: Path, dataset: str, sequence: str, records: dict[str, dict[str, Any]]
) -> CurveSet:
    where = f"{path}: {dataset}, {sequence}"
    frames = {index: _frames(f"{where}, {index}", record) for index, record in records.items()}
    if len(set(frames.values())) > 1:
        raise InvalidInputError(
            f"{where}: its points have {sorted(set(frames.values()))} frames: an unfinished run"
        )
    points = [_point(f"{where}, {index}", record) for index, record in records.items()]
    notes: list[str] = []
    metrics: dict[str, tuple[float, ...]] = {}
    for key in ("psnr", "ms-ssim"):
        planes = [[p.get(f"{key}-{plane}") for p in points] for plane in "yuv"]
        values = [point[key] for point in points if key in point]
        if len(values) == len(points):
            name = _combined(key, values, planes)
            if name is None:
                notes.append(f"{path.name}: {sequence}: {key} left out: not 6:1:1 of its planes")
            else:
                metrics[name] = tuple(values)
        for plane, column in zip("yuv", planes, strict=True):
            known = [value for value in column if value is not None]
            if len(known) == len(points):
                metrics[f"{key}-{plane}"] = tuple(known)
    first = next(iter(records.values()))
    return CurveSet(
        name=f"{path.stem}, {sequence}",
        rates=tuple(point["bpp"] for point in points),
        metrics=metrics,
        averaging={"": "mean over frames"},
        sequence=PurePath(sequence).stem,
        dataset=dataset,
        source=(str(path),),
        settings=tuple(
            f"QP {record['qp']}" if isinstance(record.get("qp"), int) else index
            for index, record in records.items()
        )
        if isinstance(first.get("qp"), int)
        else tuple(records),
        frames=next(iter(frames.values())),
        notes=tuple(notes),
    )


def _frames(where: str, record: Any) -> int:
    if not isinstance(record, dict):
        raise InvalidInputError(f"{where} is not a record of averages")
    counts = [record.get(key) for key in ("i_frame_num", "p_frame_num")]
    frames = sum(count for count in counts if isinstance(count, int))
    if frames < 1:
        raise InvalidInputError(f"{where} states no frames: the run is not finished")
    return frames


def _point(where: str, record: dict[str, Any]) -> dict[str, float]:
    point = {}
    for key, value in record.items():
        if not key.startswith("ave_all_frame_"):
            continue
        name = key.removeprefix("ave_all_frame_")
        for foreign, ours in _KEYS.items():
            if name == foreign or name.startswith(f"{foreign}_"):
                name = name.replace(foreign, ours, 1).replace("_", "-")
        if value is None and name != "bpp":
            value = math.nan
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidInputError(f"{where}: {key} is {value!r}, not a number")
        point[name] = float(value)
    if "bpp" not in point:
        raise InvalidInputError(f"{where} has no ave_all_frame_bpp: the run is not finished")
    return point


def _combined(
    key: str, values: Sequence[float], planes: Sequence[Sequence[float | None]]
) -> str | None:
    """The exact name of the combined metric: by its planes if there are any, else of RGB."""
    if all(value is None for plane in planes for value in plane):
        return f"{key}-rgb"
    tolerance = 0.002 if key == "psnr" else 2e-5
    for value, y, u, v in zip(values, *planes, strict=True):
        if y is None or u is None or v is None:
            return None
        difference = (6 * y + u + v) / 8 - value
        # Not so where a plane is lossless or was not measured: there is nothing to check.
        if math.isfinite(difference) and abs(difference) > tolerance:
            return None
    return f"{key}-yuv-611"
