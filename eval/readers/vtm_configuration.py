"""What VTM, HM and VVenC state before they code: themselves, the video, the QP or target rate."""

import re
from pathlib import PureWindowsPath

from .file_names import Setting

_ENCODER = re.compile(
    r"(?P<product>\b[\w\-]{0,20}?)\s?[Ss]oftware\s*:\s*(?:(?P<family>[A-Za-z][\w\-]{0,20})\s+)?Encoder\s+Version"
    r"\s*\[?(?P<version>[\w.+\-]+)"
)
_FORMAT = re.compile(r"Real\s+Format\s*:\s*(\d+)x(\d+)\b[^\n]*?\s([\d.]+(?:/\d+)?)\s*Hz")
# Not the end of a longer label; what may stand before a line ends in a mark, digit or capital.
_QP = re.compile(r"(?<![^\W\d_A-Z] )\bQP[ \t]*:[ \t]*(\d+(?:\.\d+)?)[ \t]*$", re.MULTILINE)
_TARGET = re.compile(
    r"(?i)\btarget\s*bit-?rate\s*[:=]?\s*(?P<value>\d+(?:\.\d+)?)\s*(?P<unit>[kM]?)(?:b(?:it)?p?/?s)?\b"
)
_SOURCE = re.compile(r"\bInput\s+File\s*:\s*(\S.*?)\s*$", re.MULTILINE)


def states_encoder(text: str) -> bool:
    """Whether a text has the first line of VTM, HM or one made from them."""
    return _ENCODER.search(text) is not None


def encoder_of(text: str) -> str:
    """Family and version, as `VTM-17.0`, `HM-16.20` or `JEM-7.2`."""
    named = _ENCODER.search(text)
    if named is None:
        return "VTM or HM"
    family = named["family"] or named["product"]
    family = "VTM" if family in ("", "VVC", "Next") else family
    return f"{family}-{named['version'].removeprefix(f'{family}-')}"


def setting_of(text: str) -> Setting | None:
    """The target rate or QP that a log's configuration states; a rate's QP is its start only."""
    target, qp = _TARGET.search(text), _QP.search(text)
    if target is not None and float(target["value"]) > 0:
        factor = {"k": 1.0, "m": 1000.0}.get(target["unit"].lower(), 0.001)
        return Setting("kbps", round(float(target["value"]) * factor, 3))
    return Setting("QP", float(qp[1])) if qp else None


def source_of(text: str) -> str | None:
    """The name of the coded video, as a log's `Input File` line has it, without its suffix."""
    found = _SOURCE.search(text)
    # The encoder may have run under Windows, whose separators the name then has.
    return PureWindowsPath(found[1]).stem if found else None


def size_and_rate(text: str) -> tuple[tuple[int, int] | None, float | None]:
    """Width, height and frames a second as a log's `Real Format` line has them."""
    stated = _FORMAT.search(text)
    if stated is None:
        return None, None
    rate, _, divisor = stated[3].partition("/")
    size, fps = (int(stated[1]), int(stated[2])), float(rate) / float(divisor or 1)
    return size if min(size) > 0 else None, fps if fps > 0 else None
