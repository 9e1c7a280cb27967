"""Logs of VTM and HM, old formats and current ones, and what all summaries of that family share.

A log is a line per picture (`POC 0 ... 2096 bits [Y 51.8489 dB ...]`, in coding order) and, once
the encoder has finished, summary blocks: `Total Frames | Bitrate Y-PSNR ...` and a row, marked `a`
for all pictures, `i`, `p`, `b` (and `w`) for those of a kind. Only `a` rows count here. A layered
stream has blocks per layer.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kodec.eval.metrics.metric_names import exact_name
from kodec.eval.text_file import UnknownFormatError

from .curve_set import LOSSLESS
from .encoder_run import EncoderRun, LogError
from .vtm_configuration import encoder_of, setting_of, size_and_rate, source_of, states_encoder

_NUMBER = r"-?(?:\d+(?:\.\d*)?(?:e[+-]?\d+)?|inf|nan)"
_PICTURE = re.compile(
    r"POC\s+(?P<poc>\d+)(?:\s+LId:\s*(?P<layer>\d+))?\s+TId:\s*\d+\s*\(\s*(?:\w+,\s*)?"
    r"[A-Za-z]-SLICE,(?:\s*nQP\s*-?\d+)?\s*QP\s*(?P<qp>-?\d+)(?:,\s*TF\s*\d+)?[^)]*\)\s*"
    rf"(?P<bits>\d+) bits\s*\[Y\s*(?P<y>{_NUMBER}) dB"
    rf"(?:\s+U\s*(?P<u>{_NUMBER}) dB\s+V\s*(?P<v>{_NUMBER}) dB)?"
)
_ANY_PICTURE = re.compile(r"POC\s+\d+\s.*-SLICE")
_DECODED = re.compile(r"POC\s+\d+\s.*-SLICE[^\[]*\[DT")
_HEADER = re.compile(r"Total Frames\s*\|(?P<columns>\s*Bitrate\b.*)")
# Whatever ran the encoder may have put words before each line: a rank, a time, a container's name.
_ROW = re.compile(
    r"(?P<kind>Average:|From MSE:)?\s*(?<![\w.,:\-/])(?P<frames>\d+)\s+(?P<tag>[a-z])\s+"
    r"(?P<numbers>[-+]?(?:[\d.]|(?i:inf|nan))\S*(?:\s.*)?)$"
)
_COLUMN = re.compile(r"Bitrate|xPSNR|x?[YUV]+-(?:MS-SSIM|C_SPSNR_NN|[A-Z0-9_]*PSNR\w*|MSE)|\S+")
_LAYER = re.compile(r"\bLayerId\s+(\d+)\s*$")
_WRITTEN = re.compile(r"Bytes written to file:\s*(\d+)")
_MEAN_OF_DECIBELS = "mean over frames"
_MEAN_OF_ERRORS = "from the mean MSE over frames"
_WEIGHTS = {"411": (4, 1, 1), "211": (2, 1, 1), "111": (1, 1, 1)}


@dataclass(frozen=True)
class Picture:
    """A picture's line."""

    layer: int
    qp: int
    bits: int
    planes: tuple[float, ...]
    """PSNR of Y, or of Y, U and V."""


@dataclass(frozen=True)
class Summary:
    """An `a` row."""

    layer: int
    frames: int
    columns: dict[str, float]
    """By the log's own names, `Bitrate` first."""
    unread: tuple[str, ...]


def recognises(text: str) -> bool:
    """Whether a text is a log of VTM or HM, finished or not."""
    return bool(_ANY_PICTURE.search(text) or _HEADER.search(text) or states_encoder(text))


def read(path: Path, text: str) -> list[EncoderRun]:
    """The run that a log tells of, or one per layer.

    Raises LogError when there is no summary (the encoder was killed), there are several of a layer,
    it is a decoder's, or its numbers can't be.
    """
    pictures = list(_pictures(text))
    summaries = summary_rows(path, text)
    if not summaries:
        if _DECODED.search(text):
            raise UnknownFormatError(f"{path}: a decoder's log; rate and PSNR are in the encoder's")
        raise LogError(
            f"{path}: no summary: the encoder has not finished ({len(pictures)} pictures logged); "
            "run it to its end"
        )
    layers = sorted({summary.layer for summary in summaries})
    encoder = encoder_of(text)
    size, fps = size_and_rate(text)
    setting, source = setting_of(text), source_of(text)
    runs = []
    for summary in summaries:
        own = [p for p in pictures if len(layers) == 1 or p.layer == summary.layer]
        run = run_of(path, summary, own, encoder)
        written = _WRITTEN.search(text)
        if written is not None and run.bits:
            extra = 8 * int(written[1]) - sum(p.bits for p in pictures)
            if extra:
                run.notes.append(
                    f"{path.name}: the bitrate counts the pictures; the file has {extra / 8:+.0f} "
                    f"bytes beside them ({100 * extra / run.bits:+.2f} %)"
                )
        if len(layers) > 1:
            run.notes.append(
                f"{path.name}: layer {summary.layer} of {len(layers)}: rate and quality of this "
                "layer alone"
            )
        runs.append(
            replace(
                run,
                size=size,
                fps=_frame_rate(run, fps),
                setting=setting,
                source=source,
                layer=summary.layer if len(layers) > 1 else None,
            )
        )
    return runs


def _frame_rate(run: EncoderRun, stated: float | None) -> float | None:
    """The frame rate of a bitrate, by the pictures' bits or as stated.

    Some versions state it rounded down, as 3 Hz for every eighth frame of 30 Hz.
    """
    if run.fps is None:
        return stated
    usual = usual_rate(run.fps)
    by_bits = f"{run.path.name}: bits and bitrate make {run.fps:.6g} frames a second"
    if stated is None:
        if usual is None:
            run.notes.append(f"{by_bits}, which is unusual: not used, look at the log")
        return usual
    if abs(run.fps / stated - 1) < 2e-3:
        return stated
    if usual is not None and stated <= usual < stated + 1:
        run.notes.append(f"{by_bits}, {stated:g} stated: rounded down, not used")
        return usual
    run.notes.append(f"{by_bits}, {stated:g} stated: that is used, but look at the log")
    return stated


def summary_rows(path: Path, text: str) -> list[Summary]:
    """The `a` rows of a log's summaries, one per layer, in the log's order.

    Raises LogError for two of one layer: several runs in one file.
    """
    found: dict[int, Summary] = {}
    lines = text.splitlines()
    layer = 0
    for number, line in enumerate(lines):
        marked = _LAYER.match(line)
        if marked:
            layer = int(marked[1])
        header = _HEADER.search(line)
        if header is None:
            continue
        # Other programs' lines may have got between a header and its row.
        for candidate in lines[number + 1 : number + 6]:
            row = _ROW.search(candidate)
            if _HEADER.search(candidate):
                raise LogError(
                    f"{path}: a second summary begins before the first has its row: the lines of "
                    "several runs are mixed; write one log per run"
                )
            if row is None or row["kind"] == "From MSE:":
                continue
            if row["tag"] == "a":
                if layer in found:
                    raise LogError(
                        f"{path}: two summaries of all frames of one layer: several runs in one "
                        "log; split it"
                    )
                found[layer] = _summary(path, layer, header["columns"], row)
            break
        else:
            raise LogError(_without_row(path, lines[number + 1 : number + 6]))
    return list(found.values())


def _without_row(path: Path, lines: Sequence[str]) -> str:
    """What is wrong with a summary's header that none of these lines is the row of."""
    after = [line.strip() for line in lines if line.strip()]
    if not after:
        return f"{path}: cut off within its summary; run the encoder again"
    shown = after[0] if len(after[0]) <= 60 else f"{after[0][:60]}..."
    if re.search(r"\d\s*a?\s*$", shown) and len(after) == 1:
        return f"{path}: cut off within its summary: {shown!r}; run the encoder again"
    return f"{path}: no row of all frames (`a`) under its summary's header, but {shown!r}"


def run_of(path: Path, summary: Summary, pictures: Sequence[Picture], encoder: str) -> EncoderRun:
    """The point that a summary makes, checked against the pictures' lines where they are all there.

    Raises LogError when frames, bitrate or PSNR can't be a coded sequence's, or contradict the
    pictures' lines.
    """
    columns = summary.columns
    kbps = columns.get("Bitrate", math.nan)
    if summary.frames < 1 or not (math.isfinite(kbps) and kbps > 0):
        raise LogError(f"{path}: {summary.frames} frames at {kbps} kbps: nothing was coded")
    notes: list[str] = []
    metrics: dict[str, float] = {}
    averaging: dict[str, str] = {}
    lossless = _lossless_planes(summary, pictures)
    for column, value in columns.items():
        name = exact_name(column)
        if column in ("Bitrate", "YUV-PSNR") or name is None:
            continue
        if math.isnan(value) or value == -math.inf:
            if column == "Y-PSNR":
                raise LogError(f"{path}: Y-PSNR is {value}, which no coded sequence has")
            notes.append(f"{path.name}: {column} is {value}: left out")
            continue
        metrics[name], averaging[name] = value, _MEAN_OF_DECIBELS
        if name in lossless:
            metrics[name] = math.inf
            notes.append(f"{path.name}: {name}: {lossless[name]}")
    if "psnr-y" not in metrics:
        raise LogError(f"{path}: no Y-PSNR in the summary: run the encoder with PSNR output")
    complete = len(pictures) == summary.frames
    differing = _differing(summary, pictures, lossless) if complete else None
    if differing is not None:
        notes.append(f"{path.name}: {differing}: the summary is used, but look at the log")
    if pictures and not complete:
        notes.append(
            f"{path.name}: {len(pictures)} pictures' lines for {summary.frames} frames (an "
            "excerpt, or lines lost): the summary not checked against them"
        )
    combined = columns.get("YUV-PSNR", math.nan)
    if math.isfinite(combined) and combined < LOSSLESS:
        trusted = pictures if complete and differing is None else ()
        name, certain = _combined_name(columns, combined, trusted)
        metrics[name], averaging[name] = combined, _MEAN_OF_ERRORS
        if trusted and not certain:
            notes.append(f"{path.name}: YUV-PSNR taken as {name}, though its pictures give another")
    elif combined >= LOSSLESS:
        notes.append(f"{path.name}: lossless: YUV-PSNR left out")
    elif "YUV-PSNR" in columns:
        notes.append(f"{path.name}: YUV-PSNR is {combined}: left out")
    if summary.unread:
        notes.append(f"{path.name}: columns not read: {', '.join(summary.unread)}")
    bits = sum(picture.bits for picture in pictures) if complete else None
    fps = 1000 * kbps * summary.frames / bits if bits else None
    return EncoderRun(
        path=path,
        encoder=encoder,
        frames=summary.frames,
        kbps=kbps,
        metrics=metrics,
        averaging=averaging,
        bits=bits,
        fps=fps,
        first_qp=pictures[0].qp if pictures else None,
        notes=notes,
    )


def _pictures(text: str) -> Iterator[Picture]:
    for match in _PICTURE.finditer(text):
        planes = [match["y"]] + ([match["u"], match["v"]] if match["u"] else [])
        yield Picture(
            layer=int(match["layer"] or 0),
            qp=int(match["qp"]),
            bits=int(match["bits"]),
            planes=tuple(float(value) for value in planes),
        )


def _summary(path: Path, layer: int, header: str, row: re.Match[str]) -> Summary:
    names = _COLUMN.findall(header)
    numbers = row["numbers"].split()
    usual = [
        name for name in names if name in ("Bitrate", "Y-PSNR", "U-PSNR", "V-PSNR", "YUV-PSNR")
    ]
    if names[: len(usual)] != usual:
        raise LogError(f"{path}: its summary has other columns than are known: {header.strip()}")
    if len(numbers) < len(usual):
        raise LogError(
            f"{path}: its summary has {len(numbers)} numbers under {len(usual)} columns: "
            f"{row[0].strip()!r}"
        )
    if (
        len(usual) > 1
        and "." in numbers[1]
        and _decimals(numbers[len(usual) - 1]) < _decimals(numbers[1])
    ):
        raise LogError(f"{path}: cut off within its summary: {row[0].strip()!r}")
    aligned = len(names) == len(numbers)
    columns: dict[str, float] = {}
    unread = []
    for index, name in enumerate(names):
        try:
            value = float(numbers[index]) if index < len(usual) or aligned else None
        except ValueError:
            if index < len(usual):
                raise LogError(
                    f"{path}: its summary has {numbers[index]!r} for {name}, not a number"
                ) from None
            value = None
        if value is None or (index >= len(usual) and exact_name(name) is None):
            unread.append(name)
        else:
            columns[name] = value
    return Summary(layer, int(row["frames"]), columns, tuple(dict.fromkeys(unread)))


def _lossless_planes(summary: Summary, pictures: Sequence[Picture]) -> dict[str, str]:
    """Per plane whose mean over frames is meaningless, why."""
    found = {}
    for index, plane in enumerate("yuv"):
        value = summary.columns.get(f"{plane.upper()}-PSNR", math.nan)
        frames = [p.planes[index] for p in pictures if index < len(p.planes)]
        perfect = sum(value >= LOSSLESS for value in frames)
        if perfect and perfect < len(frames):
            found[f"psnr-{plane}"] = (
                f"lossless in {perfect} of {len(frames)} frames, which the mean counts as 999.99 dB"
            )
        # No mean of frames with an error lies above this: 10 log10(255^2 x samples of an 8K frame).
        elif value > 124 or perfect:
            found[f"psnr-{plane}"] = "lossless"
    return found


def _differing(
    summary: Summary, pictures: Sequence[Picture], lossless: dict[str, str]
) -> str | None:
    """Where the pictures' lines have another mean than the summary says."""
    for index, plane in enumerate("YUV"):
        stated = summary.columns.get(f"{plane}-PSNR")
        values = [p.planes[index] for p in pictures if index < len(p.planes)]
        if stated is None or f"psnr-{plane.lower()}" in lossless or len(values) < len(pictures):
            continue
        mean = math.fsum(values) / len(values)
        if abs(mean - stated) > 0.001:
            return f"{plane}-PSNR is {stated} dB by the summary, {mean:.4f} dB by the pictures"
    return None


def _combined_name(
    columns: dict[str, float], stated: float, pictures: Sequence[Picture]
) -> tuple[str, bool]:
    """Which mean of the planes a YUV-PSNR is, and whether that is certain.

    Encoders weight the planes' errors by their samples: 4:1:1 in 4:2:0, but 1:1:1 in 4:4:4. The
    pictures' lines tell which. Without them: decibels of means lie below means of decibels, so what
    lies clearly above the planes' means weighted 4:1:1 has other weights.
    """
    exact = bool(pictures) and all(len(picture.planes) == 3 for picture in pictures)
    planes = [picture.planes for picture in pictures]
    if not exact:
        planes = [tuple(columns.get(f"{plane}-PSNR", math.nan) for plane in "YUV")]
    distances = {name: _combined(planes, w) - stated for name, w in _WEIGHTS.items()}
    if any(not math.isfinite(distance) for distance in distances.values()):
        return _combined_metric("411"), False
    nearest = min(distances, key=lambda name: abs(distances[name]))
    if exact and abs(distances[nearest]) < 0.002:
        return _combined_metric(nearest), True
    if distances["411"] > -0.3:
        return _combined_metric("411"), False
    return _combined_metric(nearest), False


def _combined(planes: Sequence[tuple[float, ...]], weights: tuple[int, int, int]) -> float:
    """Decibels of the mean over pictures of the planes' weighted errors."""
    error = 0.0
    for picture in planes:
        errors = [0.0 if value >= LOSSLESS else 10 ** (-value / 10) for value in picture]
        error += sum(w * e for w, e in zip(weights, errors, strict=True)) / sum(weights)
    return -10 * math.log10(error / len(planes)) if error > 0 else math.inf


def _combined_metric(weights: str) -> str:
    return f"psnr-yuv-mse-{weights}"


def _decimals(text: str) -> int:
    return len(text.partition(".")[2]) if text[-1:].isdigit() or text.endswith(".") else 99


def usual_rate(fps: float) -> float | None:
    """The frame rate that `fps` is within rounding errors: whole, an eighth, or by 1.001."""
    for candidate in (round(fps), round(fps * 8) / 8, round(fps * 1.001) / 1.001):
        if candidate > 0 and abs(fps / candidate - 1) < 5e-4:
            return candidate
    return None
