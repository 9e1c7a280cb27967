"""Logs of x265 (its command line or ffmpeg's libx265), as printed on stderr with --psnr.

`Global PSNR` is (6 Y + U + V) / 8 of the mean decibels. The planes' means are printed per slice
type, and come back here as means over all frames.
"""

import math
import re
from pathlib import Path

from .curve_set import LOSSLESS
from .encoder_run import EncoderRun, LogError
from .file_names import Setting

_NUMBER = r"-?(?:\d+(?:\.\d+)?|inf|nan)"
# With the decimals it is printed with, so that a number cut off is none.
_PSNR = r"(?:-?\d+\.\d{3}(?!\d)|inf|nan)"
_END = re.compile(
    rf"encoded (?P<frames>\d+) frames in [^,]*,\s*(?P<kbps>{_NUMBER}) kb/s"
    rf"(?:,\s*Avg QP:\s*{_NUMBER})?(?:,\s*Global PSNR:\s*(?P<psnr>{_PSNR}))?"
    rf"(?:,\s*SSIM Mean Y:\s*(?P<ssim>\d\.\d{{7}}))?"
)
_SLICES = re.compile(
    r"frame (?P<kind>[IPB]):\s*(?P<count>\d+),\s*Avg QP:\s*(?P<qp>-?[\d.]+)\s+kb/s:\s*\S+"
    rf"\s+PSNR Mean:\s*Y:\s*(?P<y>{_PSNR})\s+U:\s*(?P<u>{_PSNR})\s+V:\s*(?P<v>{_PSNR})"
)
_FORMAT = re.compile(r"\[info\]:\s*(\d+)x(\d+)\s+fps\s+(\d+(?:\.\d+)?)(?:/(\d+))?")
_VERSION = re.compile(r"HEVC encoder version\s+([\w.+\-]+)")
_FIRST_QP = re.compile(r"frame I:\s*\d+,\s*Avg QP:\s*([\d.]+)")
_RATE_CONTROL = re.compile(r"Rate Control[^\n:]*:\s*(?P<kind>CRF|CQP|ABR)-(?P<value>\d+(?:\.\d+)?)")
_KINDS = {"CRF": "CRF", "CQP": "QP", "ABR": "kbps"}
_PLANES = ("y", "u", "v")


def recognises(text: str) -> bool:
    """Whether a text is a log of x265, finished or not."""
    return "x265 [" in text or bool(_VERSION.search(text) or _END.search(text))


def read(path: Path, text: str) -> list[EncoderRun]:
    """The run that a log tells of.

    Raises LogError when the encoder did not finish, printed no PSNR, or several runs share the log.
    """
    ends = list(_END.finditer(text))
    if not ends:
        raise LogError(f"{path}: no `encoded ... frames` line: x265 has not finished; run it again")
    if len(ends) > 1:
        raise LogError(f"{path}: {len(ends)} runs of x265 in one log; split it")
    end = ends[0]
    frames, kbps = int(end["frames"]), float(end["kbps"])
    if frames < 1 or not (math.isfinite(kbps) and kbps > 0):
        raise LogError(f"{path}: {frames} frames at {kbps} kbps: nothing was coded")
    metrics: dict[str, float] = {}
    notes: list[str] = []
    if end["psnr"] is not None:
        metrics["psnr-yuv-611"] = float(end["psnr"])
    planes = _planes(path, text, frames, notes)
    if planes and metrics:
        combined = (6 * planes["psnr-y"] + planes["psnr-u"] + planes["psnr-v"]) / 8
        if abs(combined - metrics["psnr-yuv-611"]) > 0.005:
            planes = {}
            notes.append(
                f"{path.name}: psnr-y, -u and -v left out: by slice type they make "
                f"{combined:.3f} dB, Global PSNR is {metrics['psnr-yuv-611']} dB"
            )
    metrics |= planes
    for name, value in list(metrics.items()):
        if math.isnan(value):
            raise LogError(f"{path}: {name} is {value}, which no coded sequence has")
        # x265 has no mark for lossless frames; a mean above any lossy frame's gives them away.
        if value > 124 or value >= LOSSLESS:
            metrics[name] = math.inf
    if end["ssim"] is not None:
        metrics["ssim-y"] = float(end["ssim"])
    if not any(name.startswith("psnr") for name in metrics):
        raise LogError(f"{path}: x265 printed no PSNR: run it with --psnr")
    form, control = _FORMAT.search(text), _RATE_CONTROL.search(text)
    version, first = _VERSION.search(text), _FIRST_QP.search(text)
    return [
        EncoderRun(
            path=path,
            encoder=f"x265-{version[1]}" if version else "x265",
            frames=frames,
            kbps=kbps,
            metrics=metrics,
            averaging=dict.fromkeys(metrics, "mean over frames"),
            size=(int(form[1]), int(form[2])) if form else None,
            fps=float(form[3]) / float(form[4] or 1) if form else None,
            setting=Setting(_KINDS[control["kind"]], float(control["value"])) if control else None,
            first_qp=float(first[1]) if first else None,
            notes=notes,
        )
    ]


def _planes(path: Path, text: str, frames: int, notes: list[str]) -> dict[str, float]:
    """Each plane's mean over all frames, from the means per slice type."""
    slices = {match["kind"]: match for match in _SLICES.finditer(text)}
    counts = {kind: int(match["count"]) for kind, match in slices.items() if int(match["count"])}
    if not counts:
        return {}
    if sum(counts.values()) != frames:
        notes.append(
            f"{path.name}: psnr-y, -u and -v left out: {sum(counts.values())} frames by slice "
            f"type, {frames} in all"
        )
        return {}
    return {
        f"psnr-{plane}": math.fsum(n * float(slices[kind][plane]) for kind, n in counts.items())
        / frames
        for plane in _PLANES
    }
