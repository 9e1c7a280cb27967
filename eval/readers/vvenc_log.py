"""Logs of VVenC (vvencFFapp, vvencapp): VTM's summary, each line with a prefix."""

import re
from dataclasses import replace
from pathlib import Path

from . import vtm_log
from .encoder_run import EncoderRun, LogError

_VERSION = re.compile(r"VVenC[^\n]*?version\s+([\w.\-]+)")
_QP = re.compile(r"vvenc \[info\]:\s*Rate control\s*:\s*QP\s+(\d+)")
_PROGRESS = re.compile(r"frame=\s*(\d+)/\s*(\d+)")


def recognises(text: str) -> bool:
    """Whether a text is a log of VVenC, finished or not."""
    return re.search(r"vvenc(FFapp|app)?\s*(\[info\]|: VVenC)", text) is not None


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
    version = _VERSION.search(text)
    qp = _QP.search(text)
    summary = summaries[0]
    run = vtm_log.run_of(path, summary, (), f"VVenC-{version[1]}" if version else "VVenC")
    if progress and progress[-1][1] != summary.frames:
        run.notes.append(
            f"{path.name}: {summary.frames} frames coded of {progress[-1][1]} announced"
        )
    size, fps = vtm_log.size_and_rate(text)
    return [replace(run, size=size, fps=fps, qp=int(qp[1]) if qp else None)]
