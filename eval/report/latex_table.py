"""A report as a LaTeX table of BD-rates (booktabs)."""

from kodec.eval.metrics.metric_names import find_metric
from kodec.native import InvalidInputError

from .report import AgainstAnchor, Report

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def report_latex(report: Report) -> str:
    """A `tabular` with one row a codec and one column a metric; comments say what each number rests
    on. Needs the package booktabs. Raises InvalidInputError without an anchor."""
    if report.anchor is None:
        raise InvalidInputError("a LaTeX table lists BD-rates, which need an --anchor")
    titles = [find_metric(metric).label for metric in report.metrics]
    cells: dict[str, dict[str, AgainstAnchor]] = {}
    for against in report.comparisons:
        cells.setdefault(against.entry.name, {})[against.metric] = against
    lines = [
        f"% BD-rate in percent against {_comment(report.anchor.name)} ({report.method}); "
        "negative: fewer bits at equal quality.",
        *(f"% {_comment(line)}" for line in map(_basis, report.comparisons)),
        r"\begin{tabular}{l" + "r" * len(report.metrics) + "}",
        r"  \toprule",
        "  " + " & ".join(["Codec", *map(escape_latex, titles)]) + r" \\",
        r"  \midrule",
    ]
    for name, by_metric in cells.items():
        numbers = [_number(by_metric[metric]) for metric in report.metrics]
        lines.append("  " + " & ".join([escape_latex(name), *numbers]) + r" \\")
    anchor = ["$0.00$" if metric in report.anchor.curves else "--" for metric in report.metrics]
    lines += [
        "  " + " & ".join([f"{escape_latex(report.anchor.name)} (anchor)", *anchor]) + r" \\",
        r"  \bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def escape_latex(text: str) -> str:
    """Text that LaTeX prints as it is."""
    return "".join(_SPECIAL.get(character, character) for character in " ".join(text.split()))


def _number(against: AgainstAnchor) -> str:
    # In mathematics mode, where a hyphen is a minus sign.
    return "--" if against.comparison is None else f"${against.comparison.value_percent:+.2f}$"


def _basis(against: AgainstAnchor) -> str:
    head = f"{against.entry.name}, {against.metric}: "
    found = against.comparison
    if found is None:
        return f"{head}no BD-rate: {against.reason}"
    parts = []
    if len(found.results) > 1:
        parts.append(f"mean of {len(found.results)} sequences' BD-rates")
    else:
        result = found.results[0].rate
        parts += [
            f"{result.test_points} against {result.anchor_points} points",
            f"overlap {find_metric(result.metric).show_range(*result.overlap)}",
            f"{100 * result.test_fraction:.0f} % of its range",
            against.entry.averaging(against.metric),
        ]
    return head + "; ".join([*parts, *against.remarks])


def _comment(text: str) -> str:
    return " ".join(text.split())
