"""A report as a LaTeX table of BD-rates (booktabs)."""

from kodec.native import InvalidInputError

from .metric_scale import metric_digits, metric_title, metric_unit
from .report import Comparison, Report

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
    titles = [metric_title(metric).removesuffix(" (dB)") for metric in report.metrics]
    cells: dict[str, dict[str, Comparison]] = {}
    for comparison in report.comparisons:
        cells.setdefault(comparison.entry.name, {})[comparison.metric] = comparison
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


def _number(comparison: Comparison) -> str:
    # In mathematics mode, where a hyphen is a minus sign.
    return "--" if comparison.result is None else f"${comparison.result.value_percent:+.2f}$"


def _basis(comparison: Comparison) -> str:
    result = comparison.result
    head = f"{comparison.entry.name}, {comparison.metric}: "
    if result is None:
        return f"{head}no BD-rate: {comparison.reason}"
    low, high = (f"{value:.{metric_digits(result.metric)}f}" for value in result.overlap)
    unit = metric_unit(result.metric)
    parts = [
        f"{result.test_points} against {result.anchor_points} points",
        f"overlap {low}..{high}{' ' + unit if unit else ''}",
        f"{100 * result.test_fraction:.0f} % of its range",
        comparison.entry.averaging,
        *comparison.remarks,
    ]
    return head + "; ".join(parts)


def _comment(text: str) -> str:
    return " ".join(text.split())
