"""Logs of VVenC (vvencFFapp, vvencapp): VTM's summary, since 1.8 each line with a prefix."""

import re
from dataclasses import replace
from pathlib import Path

from . import vtm_log
from .encoder_run import EncoderRun, LogError
from .file_names import Setting
from .vtm_configuration import setting_of, size_and_rate, source_of

# Up to 1.7 `Fraunhofer VVC Encoder ver. 1.6.1`, then `VVenC, the Fraunhofer H.266/VVC Encoder,
# version 1.12.0`.
_BANNER = re.compile(
    r"(?:VVenC|Fraunhofer)\b[^\n]*?\bEncoder\b[^\n]*?\bver(?:sion|\.)?\s*v?(\d[\w.\-]*)"
)
_LINE = re.compile(r"\bvvenc(?:FFapp|app)?\s*(?:\[\w+\]|: (?:VVenC|Fraunhofer))")
_QP = re.compile(r"Rate control\s*:\s*QP\s+(\d+)")
_PROGRESS = re.compile(r"frame=\s*(\d+)/\s*(\d+)")


def recognises(text: str) -> bool:
    """Whether a text is a log of VVenC, finished or not."""
    return _LINE.search(text) is not None or _BANNER.search(text) is not None


def read(path: Path, text: str) -> list[EncoderRun]:
    """The run that a log tells of.

    Raises LogError when there is no summary with PSNR, or its frames are fewer than were to be
    coded.
    """
    progress = [(int(done), int(total)) for done, total in _PROGRESS.findall(text)]
    summaries = vtm_log.summary_rows(path, text)
    if not summaries:
        if progress and progress[-1][0] < progress[-1][1]:
            done, total = progress[-1]
            raise LogError(
                f"{path}: the encoder stopped after {done} of {total} frames: run it again"
            )
        raise LogError(
            f"{path}: no summary with PSNR: the encoder has not finished, or ran with too low a "
            "verbosity or without PSNR"
        )
    version = _BANNER.search(text)
    qp = _QP.search(text)
    setting = Setting("QP", float(qp[1])) if qp else setting_of(text)
    summary = summaries[0]
    run = vtm_log.run_of(path, summary, (), f"VVenC-{version[1]}" if version else "VVenC")
    if progress and progress[-1][1] != summary.frames:
        run.notes.append(
            f"{path.name}: {summary.frames} frames coded of {progress[-1][1]} announced"
        )
    size, fps = size_and_rate(text)
    source = source_of(text)
    return [replace(run, size=size, fps=fps, setting=setting, source=source)]
