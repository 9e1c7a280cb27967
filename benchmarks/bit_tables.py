"""Tables of what `where_bits_go.py` measured: bits, ideals, errors beside AVIF's."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kodec.eval import Curve, bd_rate
from kodec.native import InvalidInputError

Floats = NDArray[np.float64]
# Bands by the larger of both frequencies, in half cycles per 16 pixels.
GROUPS = ((0, 0), (1, 1), (2, 2), (3, 3), (4, 5), (6, 8), (9, 12), (13, 15))
# Scales up to which symbols beyond those counted apart are too rare to matter.
LARGEST_SCALE = 5.0


def print_table(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print as Markdown, a line of text above it."""
    print(f"\n{title}\n\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for row in rows:
        print(f"| {' | '.join(row)} |")


def entropy(counts: Floats) -> Floats:
    """Bits of all symbols under their own frequencies, for each row (..., symbols)."""
    total = counts.sum(-1)
    p = counts / np.maximum(total, 1)[..., None]
    each = -(p * np.log2(np.maximum(p, 1e-300))).sum(-1)
    # What a table fitted to so few symbols seems to save (Miller and Madow, 1955).
    used = np.maximum((counts > 0).sum(-1) - 1, 0)
    found: Floats = each * total + used / (2 * np.log(2))
    return found


def folded(counts: Floats) -> Floats:
    """Counts of v and -v together, as a symmetric density has them: half of each to both."""
    found: Floats = (counts + counts[..., ::-1]) / 2
    return found


def spans(sums: dict[str, Any]) -> list[slice]:
    """Channels of each slice."""
    starts = sums["starts"]
    return [slice(int(a), int(b)) for a, b in zip(starts[:-1], starts[1:], strict=True)]


def total_bits(sums: dict[str, Any]) -> float:
    """All bits at one quality."""
    return float(sums["side_bits"] + sums["sums"]["bits"].sum())


def percent(part: float, whole: float) -> str:
    """One decimal."""
    return f"{100 * part / whole:.1f}"


def by_slice(content: dict[str, Any]) -> None:
    """Bits by slice and quality."""
    rows = []
    for q, sums in content["sums"].items():
        total = total_bits(sums)
        parts = [float(sums["sums"]["bits"][span].sum()) for span in spans(sums)]
        cells = [percent(part, total) for part in (sums["side_bits"], *parts)]
        rows.append([str(q), f"{total / content['pixels']:.4f}", *cells])
    first = next(iter(content["sums"].values()))
    heads = ["quality", "bpp", "z, %", *(f"{s.start} to {s.stop - 1}, %" for s in spans(first))]
    print_table("Bits by slice of channels.", heads, rows)


def by_phase(content: dict[str, Any]) -> None:
    """Bits of a position by phase, and what earlier phases cost more than the last."""
    rows = []
    for q, sums in content["sums"].items():
        total, above = total_bits(sums), 0.0
        for number, phases in enumerate(content["phases"]):
            found = [sums["by_phase"][number, phase] for phase in range(phases)]
            each = [bits / count for bits, count in found]
            more = sum(bits - count * each[-1] for bits, count in found)
            above += more
            cells = ", ".join(f"{value:.2f}" for value in each)
            rows.append([str(q), str(number), cells, percent(more, total)])
        rows.append([str(q), "all", "", percent(above, total)])
    heads = ["quality", "slice", "bits a position, by phase", "above the last, % of all bits"]
    print_table("Bits by phase.", heads, rows)


def ideals(content: dict[str, Any]) -> None:
    """What better scales and densities would save, in percent of all bits."""
    offsets = content["offsets"]
    scales = np.exp(content["log_smallest"] + content["log_step"] * np.arange(-1, 10**3))
    rows = []
    for q, sums in content["sums"].items():
        total, own = total_bits(sums), sums["sums"]
        table = own["table"].sum() - own["bits"].sum()
        by_channel = own["bits"].sum() - np.minimum(sums["at_offset"], own["bits"]).min(0).sum()
        by_slice_ = sum(
            own["bits"][span].sum() - sums["at_offset"][:, span].sum(1).min()
            for span in spans(sums)
        )
        counts, bits = sums["by_table"], sums["table_bits"]
        few = scales[: counts.shape[1]] <= LARGEST_SCALE
        taken = bits[:, few].sum()
        symmetric = entropy(folded(counts[:, few]))
        # Folded tables have half of their entries to fit.
        any_shape = entropy(counts[:, few])
        rows.append(
            [
                str(q),
                percent(table, total),
                percent(by_slice_, total),
                percent(by_channel, total),
                percent(taken, total),
                percent(taken - symmetric.sum(), total),
                percent(taken - any_shape.sum(), total),
            ]
        )
    heads = [
        "quality",
        "scale to its table's",
        "best factor per slice",
        "best factor per channel",
        f"bits at scales up to {LARGEST_SCALE:g}",
        "their best symmetric density per slice and table",
        "their best density per slice and table",
    ]
    print_table("Ideal scales and densities, in % of all bits.", heads, rows)
    rows = []
    for q, sums in content["sums"].items():
        cells = []
        for span in spans(sums):
            used = sums["sums"]["bits"][span] > 0
            best = offsets[sums["at_offset"][:, span].argmin(0)][used]
            weight = sums["sums"]["bits"][span][used]
            cells.append(f"{np.average(np.abs(best), weights=weight):.2f}")
        rows.append([str(q), *cells])
    heads = ["quality", *(f"slice {n}" for n in range(len(rows[0]) - 1))]
    title = (
        "Distance of the predicted scale from the channel's best common factor on it, natural log, "
        f"in steps of {offsets[1] - offsets[0]:.1f}, weighted by bits."
    )
    print_table(title, heads, rows)


def predictions(content: dict[str, Any]) -> None:
    """What predicted means and scales bring, by slice."""
    rows = []
    for q, sums in content["sums"].items():
        own, total = sums["sums"], total_bits(sums)
        for number, span in enumerate(spans(sums)):
            gain = 10 * np.log10(own["energy"][span].sum() / own["left"][span].sum())
            # Of channels whose symbols all were counted apart.
            whole = sums["without_mean"][span][:, [0, -1]].sum(1) == 0
            static = entropy(sums["symbols"][span])[whole].sum()
            without = entropy(sums["without_mean"][span])[whole].sum()
            bits = own["bits"][span][whole].sum()
            cells = [percent(bits, total), percent(static, total), percent(without, total)]
            rows.append([str(q), str(number), f"{gain:.2f}", f"{whole.sum()}", *cells])
    heads = [
        "quality",
        "slice",
        "mean's gain, dB",
        "channels taken",
        "their bits, %",
        "with one density per channel",
        "and without a mean",
    ]
    print_table("What prediction brings, in % of all bits.", heads, rows)


def quantisation(content: dict[str, Any]) -> None:
    """What optimised quantisation does."""
    rows = []
    for q, sums in content["sums"].items():
        own = {name: float(value.sum()) for name, value in sums["sums"].items()}
        rows.append(
            [
                str(q),
                percent(own["zeros"], own["count"]),
                percent(own["changed"], own["count"]),
                percent(own["plain_bits"] - own["bits"], own["plain_bits"]),
                percent(own["error"] - own["plain_error"], own["plain_error"]),
            ]
        )
    heads = ["quality", "zeros, %", "symbols lowered, %", "bits saved, %", "squared error added, %"]
    print_table("Optimised quantisation against rounding, in latents.", heads, rows)


def at_payload(points: Sequence[dict[str, Any]], bits: float, value: Any) -> Any:
    """A positive figure of AVIF's at so many bits, log over log; None beyond its points."""
    rates = np.log([p["bits"] for p in points])
    if not rates[0] <= np.log(bits) <= rates[-1]:
        return None
    values = np.log(np.maximum([value(p) for p in points], 1e-9))
    flat_ = values.reshape(len(points), -1)
    found = [np.interp(np.log(bits), rates, column) for column in flat_.T]
    return np.exp(np.array(found)).reshape(values.shape[1:])


def grouped(bands: Floats) -> Floats:
    """Energy by component and group of frequencies, (3, groups)."""
    larger = np.maximum.outer(np.arange(16), np.arange(16))
    return np.stack([bands[:, (larger >= a) & (larger <= b)].sum(1) for a, b in GROUPS], 1)


def pairs(content: dict[str, Any], at: int, value: Any) -> tuple[Any, Any, list[dict[str, Any]]]:
    """Sums over pictures of a figure at one quality, ours and AVIF's; and the pictures taken."""
    ours, theirs, rows = [], [], []
    for row in content["rows"]:
        own = row["model"][at]
        found = at_payload(row["avif"], own["bits"], value)
        if found is not None:
            ours.append(value(own))
            theirs.append(found)
            rows.append(row)
    return np.sum(ours, 0), np.sum(theirs, 0), rows


def decibels(ours: Floats, theirs: Floats) -> list[str]:
    """By how much our error is the larger, dB; negative: the smaller."""
    return [f"{value:+.2f}" for value in 10 * np.log10(ours / theirs)]


def by_place(content: dict[str, Any]) -> None:
    """Errors by kind of place."""
    rows = []
    for at, q in enumerate(content["sums"]):
        ours, theirs, taken = pairs(content, at, lambda p: np.asarray(p["places"]))
        kinds = np.sum([row["kinds"] for row in taken], 0)
        for number, (place, more) in enumerate(
            zip(content["places"], decibels(ours, theirs), strict=True)
        ):
            cells = [percent(kinds[number], kinds.sum()), percent(ours[number], ours.sum())]
            excess = percent(ours[number] - theirs[number], ours.sum())
            rows.append([str(q), place, *cells, more, excess])
        more = decibels(ours.sum(keepdims=True), theirs.sum(keepdims=True))[0]
        excess = percent(ours.sum() - theirs.sum(), ours.sum())
        rows.append([str(q), f"all, {len(taken)} pictures", "100", "100", more, excess])
    heads = ["quality", "place", "pixels, %", "error, %", "against AVIF, dB", "excess, % of error"]
    print_table("Errors by kind of place; AVIF at the same payload.", heads, rows)


def slopes(content: dict[str, Any]) -> Floats:
    """Percent of rate that a percent of error is worth, by quality: -d ln bits / d ln error."""
    points = [[row["model"][at] for row in content["rows"]] for at in range(len(content["sums"]))]
    bits = np.log([sum(p["bits"] for p in point) for point in points])
    error = np.log([sum(p["error"] for p in point) for point in points])
    found: Floats = -np.gradient(bits) / np.gradient(error)
    return found


def worth(content: dict[str, Any]) -> None:
    """What it would save to have AVIF's errors at edges and beside them."""
    rows = []
    for at, (q, slope) in enumerate(zip(content["sums"], slopes(content), strict=True)):
        ours, theirs, _ = pairs(content, at, lambda p: np.asarray(p["places"]))
        cells = []
        for kinds in ([1], [3], [1, 3]):
            excess = (ours[kinds] - theirs[kinds]).sum() / ours.sum()
            cells.append(f"{100 * (1 - (1 - excess) ** slope):.1f}")
        rows.append([str(q), f"{slope:.2f}", *cells])
    heads = ["quality", "% of rate a % of error", "beside edges, %", "at edges, %", "both, %"]
    print_table(
        "What AVIF's errors there, the others being ours, would save of the rate.", heads, rows
    )


def by_band(content: dict[str, Any]) -> None:
    """Errors by frequency."""
    rows = []
    for at, q in enumerate(content["sums"]):
        ours, theirs, taken = pairs(content, at, lambda p: grouped(p["bands"]))
        source = np.sum([grouped(row["source"]) for row in taken], 0)
        for name, part in (("luma", slice(0, 1)), ("chroma", slice(1, 3))):
            own, other, given = (x[part].sum(0) for x in (ours, theirs, source))
            shares = [percent(value, ours.sum()) for value in own]
            lost = [percent(a, b) for a, b in zip(own, given, strict=True)]
            for what, cells in (
                ("share of error, %", shares),
                ("error of source, %", lost),
                ("against AVIF, dB", decibels(own, other)),
            ):
                rows.append([str(q), name, what, *cells])
    names = [f"{a}" if a == b else f"{a} to {b}" for a, b in GROUPS]
    title = "Errors by frequency, the larger of both in 16x16 blocks; AVIF at the same payload."
    print_table(title, ["quality", "", "", *names], rows)


def curve_of(name: str, points: Sequence[dict[str, Any]], pixels: int) -> Curve:
    """Bits per pixel against PSNR-RGB."""
    psnr = [10 * np.log10(255**2 * 3 * pixels / p["error"]) for p in points]
    return Curve(name, tuple(p["bits"] / pixels for p in points), tuple(psnr), "psnr-rgb")


def by_picture(content: dict[str, Any], each: int = 8) -> None:
    """Pictures where the model is the worst and the best beside AVIF, and what they are like."""
    found = []
    pixels = content["pixels"] // len(content["rows"])
    for row in content["rows"]:
        try:
            result = bd_rate(
                curve_of("model", row["model"], pixels), curve_of("AVIF", row["avif"], pixels)
            )
        except InvalidInputError:
            continue
        found.append((result.value_percent, row))
    found.sort(key=lambda pair: -pair[0])
    rates = np.array([rate for rate, _ in found])

    def features(row: dict[str, Any]) -> Floats:
        kinds = row["kinds"] / row["kinds"].sum()
        luma = row["source"][0]
        larger = np.maximum.outer(np.arange(16), np.arange(16))
        fine = luma[larger >= 6].sum() / luma[larger >= 1].sum()
        bpp = row["model"][2]["bits"] / pixels
        return np.array([*(100 * kinds), 100 * fine, bpp])

    table = np.array([features(row) for _, row in found])
    heads = ["picture", "rate against AVIF, %", *content["places"], "fine detail, %", "bpp"]
    rows = [
        [row["name"], f"{rate:+.1f}", *(f"{v:.1f}" for v in values[:-1]), f"{values[-1]:.2f}"]
        for (rate, row), values in zip(found, table, strict=True)
    ]
    shown = rows if len(rows) <= 2 * each else [*rows[:each], *rows[-each:]]
    title = (
        f"Pictures, BD-rate against AVIF's payload: mean {rates.mean():+.1f} %, of {len(rows)}. "
        "Places in % of pixels; fine detail: luma's energy at frequencies 6 and up, of all but "
        "0; bpp at the middle quality."
    )
    print_table(title, heads, shown)
    ranks = np.argsort(np.argsort(table, 0), 0)
    order = np.argsort(np.argsort(rates))
    cells = [f"{np.corrcoef(order, column)[0, 1]:+.2f}" for column in ranks.T]
    print_table("Rank correlation of the rate with these.", heads[2:], [cells])


def print_tables(content: dict[str, Any]) -> None:
    """All of them, as Markdown."""
    print(f"model {content['model']}, {len(content['rows'])} crops, qualities and bits of all")
    for table in (by_slice, by_phase, ideals, predictions, quantisation, by_place, worth, by_band):
        table(content)
    by_picture(content)
