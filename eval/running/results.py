"""Results files (CompressAI's JSON schema) and the rate-distortion curves in them."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kodec.codecs.atomic_file import write_atomically
from kodec.eval.curves.curve import Curve
from kodec.eval.metrics.picture_metrics import ms_ssim_db
from kodec.eval.text_file import read_text
from kodec.native import InvalidInputError, KodecError

_SPELLINGS = {"psnr": "psnr-rgb", "ms-ssim": "ms-ssim-rgb", "ms-ssim-db": "ms-ssim-db-rgb"}


@dataclass(frozen=True)
class ImageRow:
    """What one picture took at one quality."""

    image: str
    quality: int | None
    width: int
    height: int
    bytes: int
    """Size of the whole file, headers included."""
    bpp: float
    """8 * bytes / (width * height)."""
    metrics: dict[str, float]
    encoding_time: float | None
    """Seconds; None where the file was there already."""
    decoding_time: float | None
    """Seconds; None where nothing was decoded, the encoder having written its reconstruction."""
    frames: int = 1
    """Of a sequence; `bpp` is then 8 * bytes / (width * height * frames)."""
    fps: float | None = None
    """Frame rate of a sequence, in Hz."""
    colour_format: str = ""
    """What was coded and compared: `rgb24`, `gray`, or a sequence's pixel format."""
    peak_memory: int | None = None
    """Bytes: the largest resident set of the measuring process during this row."""
    encoding_fps: float | None = None
    """Frames a second of a sequence's encoding."""
    decoding_fps: float | None = None
    per_frame: dict[str, list[float]] = field(default_factory=dict)
    """Of a sequence, in display order: `bits` of each frame where its encoder says them, without
    what the file has beside its frames, and the metrics that frames have."""
    bytes_by_part: dict[str, float] = field(default_factory=dict)
    """All bytes of the file, where its codec tells them apart."""
    macs_per_pixel: float | None = None
    """Multiplications of decoding, a pixel of a frame, where the codec knows them."""


@dataclass(frozen=True)
class Results:
    """A results file: per point the means over the pictures, and the pictures behind them.

    Raises InvalidInputError when the lists of `results` differ in length or `bpp` is missing.
    """

    name: str
    description: str
    results: dict[str, list[float]]
    """`bpp`, the metrics, `encoding_time` and `decoding_time` (seconds) and, where it is known,
    `macs_per_pixel`, one entry per point."""
    quality: list[int | None] = field(default_factory=list)
    per_image: list[ImageRow] = field(default_factory=list)
    settings: dict[str, str | int | bool] = field(default_factory=dict)
    """The codec's: what bytes and pixels depend on besides the quality."""
    averaging: str = ""
    """How the numbers of a point come from its rows."""
    timing: str = ""
    """What the seconds are of."""
    peak_memory: int | None = None
    """Bytes: the largest resident set of a measuring process."""
    versions: dict[str, str] = field(default_factory=dict)
    machine: dict[str, str | int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    left_out: list[dict[str, str]] = field(default_factory=list)
    """Files that could not be measured, which no number is of: `file` and `reason` of each."""

    def __post_init__(self) -> None:
        if "bpp" not in self.results:
            raise InvalidInputError(f"results of {self.name} hold no rates: `bpp` is missing")
        points = len(self.results["bpp"])
        for key, numbers in self.results.items():
            if len(numbers) != points:
                raise InvalidInputError(
                    f"results of {self.name}: {len(numbers)} numbers of {key} for {points} of bpp"
                )

    @property
    def metrics(self) -> list[str]:
        """Names of the quality metrics at hand."""
        return [key for key in self.results if key.startswith(("psnr", "ms-ssim", "vmaf", "lpips"))]

    def curve(self, metric: str = "psnr-rgb") -> Curve:
        """The curve of one metric (either spelling; MS-SSIM in dB is derived when not given).

        Raises InvalidInputError when the metric is missing or its points make no curve.
        """
        metric = _SPELLINGS.get(metric, metric)
        values = self.results.get(metric)
        linear = self.results.get("ms-ssim-rgb")
        if values is None and metric == "ms-ssim-db-rgb" and linear is not None:
            values = [ms_ssim_db(value) for value in linear]
        if values is None:
            known = ", ".join(self.metrics) or "no metric"
            raise InvalidInputError(f"results of {self.name} hold no {metric}, only {known}")
        return Curve(self.name, tuple(self.results["bpp"]), tuple(values), metric)


def join_results(parts: Sequence[Results], name: str, description: str = "") -> Results:
    """One curve out of several fixed-rate models' results, in order of rate.

    Keeps the numbers that every part has. Raises InvalidInputError without parts.
    """
    if not parts:
        raise InvalidInputError("there are no results to join")
    keys = [key for key in parts[0].results if all(key in part.results for part in parts)]
    columns = {key: [number for part in parts for number in part.results[key]] for key in keys}
    order = sorted(range(len(columns["bpp"])), key=columns["bpp"].__getitem__)
    qualities = [
        quality for part in parts for quality in part.quality or [None] * len(part.results["bpp"])
    ]
    return Results(
        name=name,
        description=description,
        results={key: [numbers[i] for i in order] for key, numbers in columns.items()},
        quality=[qualities[i] for i in order],
        per_image=[row for part in parts for row in part.per_image],
        settings=_joined_settings(parts),
        averaging=parts[0].averaging,
        timing=parts[0].timing,
        peak_memory=max((part.peak_memory for part in parts if part.peak_memory), default=None),
        versions=parts[0].versions,
        machine=parts[0].machine,
        notes=list(dict.fromkeys(note for part in parts for note in part.notes)),
        left_out=parts[0].left_out,
    )


def _joined_settings(parts: Sequence[Results]) -> dict[str, str | int | bool]:
    """A setting that the parts have in common once, another with the part's name before it."""
    shared = {
        key: value
        for key, value in parts[0].settings.items()
        if all(part.settings.get(key) == value for part in parts)
    }
    own = {
        f"{part.name}: {key}": value
        for part in parts
        for key, value in part.settings.items()
        if key not in shared
    }
    return {**shared, **own}


def write_results(results: Results, path: Path) -> None:
    """Write a results file, whole or not at all.

    JSON has no infinity: the PSNR of pictures that came back identical is written as null. Raises
    InvalidInputError for NaN, any other infinite number and a `path` that no file can have;
    KodecError when the system refuses to write.
    """
    text = json.dumps(portable(asdict(results), results.name), indent=2, allow_nan=False) + "\n"
    try:
        write_atomically(path, text.encode())
    except OSError as error:
        raise KodecError(f"cannot write {path}: {error.strerror}") from error


def read_results(path: Path) -> Results:
    """Read a results file, CompressAI's or kodec's; `psnr` and `psnr-rgb` mean the same.

    A file that holds the lists alone, without a name around them, takes the file's name. Raises
    InvalidInputError when there is no such file or it holds no results.
    """
    try:
        document = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"{path} is not a results file: not JSON ({error})") from error
    return results_in(path, document)


def results_in(path: Path, document: Any) -> Results:
    """As `read_results`, of a file's JSON: a pipe can't be read a second time."""
    lists = document.get("results", document) if isinstance(document, dict) else None
    if not isinstance(lists, dict) or "bpp" not in lists:
        raise InvalidInputError(
            f'{path} is not a results file: expected {{"results": {{"bpp": [...], ...}}}}'
        )
    try:
        return Results(
            name=str(document.get("name", path.stem)),
            description=str(document.get("description", "")),
            results=_columns(lists, path),
            quality=list(document.get("quality", [])),
            per_image=[row_from(row) for row in document.get("per_image", [])],
            settings=dict(document.get("settings", {})),
            averaging=str(document.get("averaging", "")),
            timing=str(document.get("timing", "")),
            peak_memory=document.get("peak_memory"),
            versions=dict(document.get("versions", {})),
            machine=dict(document.get("machine", {})),
            notes=[str(note) for note in document.get("notes", [])],
            left_out=[dict(file) for file in document.get("left_out", [])],
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise InvalidInputError(f"{path} is not a results file: {error}") from error


def _columns(lists: Mapping[str, Any], path: Path) -> dict[str, list[float]]:
    columns: dict[str, list[float]] = {}
    for key, numbers in lists.items():
        if not isinstance(numbers, list):
            raise InvalidInputError(f"{path}: {key} is not a list of numbers")
        name = _SPELLINGS.get(key, key)
        if name != key and name in lists:
            raise InvalidInputError(f"{path} holds both {key} and {name}: keep one of them")
        columns[name] = [_number(number, name, path) for number in numbers]
    return columns


def _number(value: Any, key: str, where: object) -> float:
    if value is None and key.startswith("psnr"):
        return math.inf
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInputError(f"{where}: {key} holds {value!r} where a number should be")
    return float(value)


def row_from(row: Mapping[str, Any]) -> ImageRow:
    """A row of a results file. Raises TypeError or KeyError where it is none."""
    metrics = {key: _number(value, key, row["image"]) for key, value in row["metrics"].items()}
    frames = {
        key: [_number(value, key, row["image"]) for value in values]
        for key, values in row.get("per_frame", {}).items()
    }
    return ImageRow(**{**row, "metrics": metrics, "per_frame": frames})


def portable(value: Any, where: str, key: str = "") -> Any:
    """`value` with the infinite PSNRs, which are listed under `key`, as None.

    Raises InvalidInputError, naming `where`, for another number that JSON cannot carry.
    """
    if isinstance(value, dict):
        return {name: portable(item, where, name) for name, item in value.items()}
    if isinstance(value, list):
        return [portable(item, where, key) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        if value == math.inf and key.startswith("psnr"):
            return None
        raise InvalidInputError(f"results of {where}: {key} is {value}, which JSON cannot carry")
    return value
