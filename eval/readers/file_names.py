"""What a file's name says of the setting it was made with, and the name without it.

Points of one curve differ in QP (CRF, quality) or target rate alone: `X_qp22.log`, `22/X.log`,
`X_1000k.log`. A number with a word or a unit is a setting by itself; a bare one is where it agrees
with what the files say: the QP or target rate that they state, or else their pictures' QPs.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

_VALUE = r"\d{1,3}(?:\.\d{1,2}(?!\d))?"
_QP = re.compile(
    rf"(?i)(?:(?<![a-z0-9])|(?<=[a-z0-9])(?-i:(?=QP|CRF)))(?P<word>cqp|qp|crf|quality|q)"
    rf"[_\-= :]?\(?(?P<value>{_VALUE})\)?(?![a-z0-9])"
    rf"|(?<![a-z0-9.])(?P<before>{_VALUE})(?P<after>qp|crf)(?![a-z0-9])"
)
_RATE = re.compile(
    r"(?i)(?<![a-z0-9.])(?:(?:bit|target)?_?rate|[cav]br|t?br)?[_\-=]?(?P<value>\d+(?:\.\d+)?)_?"
    r"(?P<unit>k|kb|kbps|kbit|kbits|kbs|m|mb|mbps|mbit|mbits|bps)(?![a-z0-9])"
)
_NUMBER = re.compile(r"\d+(?:\.\d{1,2}(?!\d))?")
_SUFFIX = re.compile(r"(?i)\.(?:qp|crf|q)?\d+(?:k|kbps|m|mbps)?")
NO_NUMBER = "\0"
"""No file's name has it."""
_FIRST_QP_OFF = 4
"""Steps that the first picture's QP may be off the one that was set."""
_RATE_OFF = 4.0
"""Factor by which a rate with a unit may miss the measured one: a picture of `4k` is no rate."""
_BARE_RATE_OFF = 0.25
"""Fraction by which a bare number may miss the measured rate and be its target."""


@dataclass(frozen=True)
class Setting:
    """What tells a point from the others of its curve."""

    kind: str
    """`QP`, `CRF` or `kbps`."""
    value: float

    def __str__(self) -> str:
        number = f"{self.value:g}" if self.value < 1e6 else f"{self.value:.0f}"
        return f"{number} kbps" if self.kind == "kbps" else f"{self.kind} {number}"


@dataclass(frozen=True)
class Hints:
    """What a file's content says that can be found again in its name."""

    stated: Setting | None = None
    first_qp: float | None = None
    kbps: float | None = None
    """As measured."""


@dataclass(frozen=True)
class Name:
    """A file's name taken apart."""

    folder: str
    """Absolute; without the setting, as `stem`."""
    stem: str
    setting: Setting | None
    """As stated by the file, else as named."""
    named: Setting | None
    """As found in the name."""
    pattern: str
    """Folder and name with every number replaced by NO_NUMBER: alike for `run1.log`, `run2.log`."""


def names_of(files: Sequence[tuple[Path, Hints]]) -> list[Name]:
    """The names of files that are read together: which bare number is the setting, all decide."""
    found = [_with_words(path, hints) for path, hints in files]
    alike: dict[str, list[int]] = {}
    for index, one in enumerate(found):
        if one.named is None:
            alike.setdefault(one.pattern, []).append(index)
    for group in alike.values():
        members = [(found[i], files[i][1]) for i in group]
        for index, name in zip(group, _with_bare_numbers(members), strict=True):
            found[index] = name
    return found


def _with_words(path: Path, hints: Hints) -> Name:
    """A name without its number with a word or unit, if there is one."""
    parts = [*path.absolute().parent.parts, _stem(path)]
    rated = hints.stated is not None and hints.stated.kind == "kbps"
    named = None
    for find in (_rate_in, qp_in) if rated else (qp_in, _rate_in):
        # The nearest to the file's own name counts, those of folders go too.
        for index in reversed(range(len(parts))):
            rest, setting = find(parts[index], hints)
            if setting is not None:
                parts[index] = rest
                named = named or setting
        if named is not None:
            break
    return _name(parts, hints.stated or named, named)


def qp_in(text: str, hints: Hints | None = None) -> tuple[str, Setting | None]:
    """A name without the QP that a word marks (`_qp22`, `-q3`), and the QP; `hints` say no more."""
    match = _QP.search(text)
    if match is None:
        return text, None
    word = (match["word"] or match["after"]).lower()
    kind = "CRF" if word == "crf" else "QP"
    return _without(text, match), Setting(kind, float(match["value"] or match["before"]))


def _rate_in(text: str, hints: Hints) -> tuple[str, Setting | None]:
    for match in _RATE.finditer(text):
        unit = match["unit"].lower()
        kbps = float(match["value"]) * {"m": 1000, "b": 0.001}.get(unit[0], 1)
        stated = hints.stated.value if hints.stated and hints.stated.kind == "kbps" else None
        near = stated or hints.kbps
        if near is not None and kbps > 0 and 1 / _RATE_OFF <= kbps / near <= _RATE_OFF:
            return _without(text, match), Setting("kbps", kbps)
    return text, None


def _with_bare_numbers(members: Sequence[tuple[Name, Hints]]) -> list[Name]:
    """Names that are alike but for bare numbers, without the one that is the setting.

    It is at the same place in all, the last one for choice; where none is the setting in all, each
    name's last number may be its own.
    """
    hints = [hint for _, hint in members]
    split = [[*name.folder.split("/"), name.stem] for name, _ in members]
    numbers = [
        [(part, match) for part, text in enumerate(parts) for match in _NUMBER.finditer(text)]
        for parts in split
    ]
    candidates: list[tuple[bool, int, list[Setting | None]]] = []
    for place, (part, match) in enumerate(numbers[0]):
        values = [float(own[place][1][0]) for own in numbers]
        differ = len(set(values)) > 1
        settings = [_meant(v, hint, differ) for v, hint in zip(values, hints, strict=True)]
        last = part == len(split[0]) - 1 and match.end() == len(split[0][part])
        # `kodim23` is a picture's name, unless all numbers there are the settings.
        last = last and not split[0][part][: match.start()][-1:].isalpha()
        alone = match[0] == split[0][part] and hints[0].stated is not None
        if _ordered(settings, hints) and (last or None not in settings and (differ or alone)):
            candidates.append((differ, place, settings))
    whole = [one for one in candidates if None not in one[2]] or candidates
    if not whole:
        return [name for name, _ in members]
    _, place, chosen = max(whole, key=lambda one: one[:2])
    found = []
    for (name, hint), parts, own, setting in zip(members, split, numbers, chosen, strict=True):
        if setting is not None:
            part, match = own[place]
            parts[part] = _without(parts[part], match)
            name = _name(parts, hint.stated or setting, setting, name.pattern)
        found.append(name)
    return found


def _ordered(settings: Sequence[Setting | None], hints: Sequence[Hints]) -> bool:
    """Whether QPs rise as the pictures' QPs do: `img_22.log` and `img_23.log` of one QP don't."""
    pairs = sorted(
        (setting.value, hint.first_qp)
        for setting, hint in zip(settings, hints, strict=True)
        if setting is not None and hint.stated is None and hint.first_qp is not None
    )
    return all(a[0] == b[0] or a[1] < b[1] for a, b in pairwise(pairs))


def _meant(value: float, hints: Hints, differ: bool) -> Setting | None:
    """The setting that a bare number is, by what its file says."""
    stated = hints.stated
    if stated is not None:
        scales = (1, 1000, 0.001) if stated.kind == "kbps" else (1,)
        return stated if any(value * scale == stated.value for scale in scales) else None
    if hints.first_qp is not None and abs(value - hints.first_qp) <= _FIRST_QP_OFF:
        return Setting("QP", value)
    for kbps in (value, value / 1000):
        if differ and hints.kbps and abs(kbps / hints.kbps - 1) <= _BARE_RATE_OFF:
            return Setting("kbps", kbps)
    return None


def _name(
    parts: Sequence[str], setting: Setting | None, named: Setting | None, pattern: str | None = None
) -> Name:
    *folders, stem = parts
    stem = stem or next((part for part in reversed(folders) if part.strip("/")), "log")
    folder = "/".join(part.strip("/") for part in folders)
    return Name(folder, stem, setting, named, pattern or _NUMBER.sub(NO_NUMBER, f"{folder}/{stem}"))


def _stem(path: Path) -> str:
    """The name without a suffix; `.22` and `.qp22` are none."""
    return path.name if _SUFFIX.fullmatch(path.suffix) else path.stem


def _without(text: str, match: re.Match[str]) -> str:
    rest = re.sub(r"\(\)|\[\]|\{\}", "", text[: match.start()] + text[match.end() :])
    return re.sub(r"([_\-. ])[_\-. ]+", r"\1", rest).strip("_-. ,")
