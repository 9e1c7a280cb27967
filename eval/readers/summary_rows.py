"""Rows that summarise others: `Average`, `Overall`, `Class B`, `ClassB avg`, `Geo mean`.

A name is a summary's if all its words are statistics or say what they are over, so that sequences
such as `MeanStreet` or `All Stars` are none.
"""

import re
from collections.abc import Sequence

_STATISTICS = frozenset(
    "average averages averaged avg avgs ave aver mean means overall total totals sum summary all "
    "geomean gmean median std stdev stddev min max minimum maximum variance mittelwert "
    "durchschnitt gesamt moyenne promedio media 平均".split()
)
_OVER = frozenset(
    "class classes of the over per for on and sequence sequences seq seqs video videos clip clips "
    "image images img imgs picture pictures pic pics frame frames point points dataset datasets "
    "data set sets test grand sub geo geometric arithmetic harmonic weighted "
    "uvg mcl jcv hevc vvc jvet jct vc ctc kodak clic tecnick".split()
)
_CLASS = re.compile(r"class(es)?[\s_\-]*[a-i]\d?|class[a-i]\d?")


def is_summary(name: str | None) -> bool:
    """Whether a name is that of a statistic over other rows."""
    words = _words(name)
    return any(word in _STATISTICS for word in words) and all(map(_is_plain, words))


def is_class(name: str | None) -> bool:
    """Whether a name is that of a class of sequences (`Class B`): a summary beside sequences."""
    return name is not None and _CLASS.fullmatch(name.strip().lower()) is not None


def names_statistic(name: str | None) -> bool:
    """Whether a statistic is one of a name's words: a summary, or what sounds like one."""
    return any(word in _STATISTICS for word in _words(name))


def kept_rows(
    names: Sequence[Sequence[str]], datasets: Sequence[str | None] | None = None
) -> list[int]:
    """Which rows are no summaries of others, by the names in each and, where known, its data set.

    All of them where none is left: a table of averages alone is one of its own.
    """
    rows = list(range(len(names)))
    if datasets is not None:
        rows = [row for row in rows if not is_summary(datasets[row])] or rows
    for test in (is_summary, is_class):
        kept = [row for row in rows if not any(test(name) for name in names[row])]
        rows = kept or rows
    return rows


def _words(name: str | None) -> list[str]:
    text = re.sub(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name or "")
    return re.findall(r"[^\W\d_]+|\d+", text.lower())


def _is_plain(word: str) -> bool:
    known = word in _STATISTICS or word in _OVER or word.isdigit()
    return known or len(word) == 1 or _CLASS.fullmatch(word) is not None
