"""Reports of benchmarks as lines."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kodec.eval import (
        CoderReport,
        LayersReport,
        Measured,
        PictureReport,
        Ratio,
        ShortStreams,
        SystemsReport,
        VideoReport,
    )


def describe_pictures(report: "PictureReport") -> list[str]:
    """The machine, a line for each codec, picture and quality, and stages and memory of ours."""
    lines = [
        f"{report.model} ({report.model_id}); {_machine(report.machine)}",
        f"Seconds, {_how(report.settings)}",
        f"{'picture':<20} {'size':>10} {'codec':<32} {'quality':>7} {'bytes':>10} {'bpp':>7} "
        + _time_titles("peer"),
    ]
    for row in report.rows:
        quality = "-" if row.quality is None else row.quality
        lines.append(
            f"{row.picture:<20} {f'{row.width}x{row.height}':>10} {row.codec:<32} {quality:>7} "
            f"{row.bytes:>10,} {row.bpp:>7.3f} {_times(row)}"
        )
    titles = "".join(f"{stage:>11}" for stage in report.rows[0].stages["encode"])
    lines += [
        "",
        "Where kodec's time goes, ms (runs of their own), and the process's peak memory",
        f"{'picture':<20} {'quality':>7} {'':<7}{titles} {'MiB':>8}",
    ]
    for row in report.rows:
        quality = "-" if row.quality is None else row.quality
        for verb, parts in row.stages.items():
            cells = "".join(f"{1e3 * seconds:>11.1f}" for seconds in parts.values())
            memory = row.peak_memory[verb] / 2**20
            lines.append(f"{row.picture:<20} {quality:>7} {verb:<7}{cells} {memory:>8.0f}")
    return lines


def describe_video(report: "VideoReport") -> list[str]:
    """The machine, a line for each quality and direction, and frames a second by stage."""
    settings = report.settings
    size = f"{settings['width']}x{settings['height']} {settings['pixels']}"
    lines = [
        f"{report.model} ({report.model_id}), {settings['structure']}; {_machine(report.machine)}",
        f"{report.video}, {report.rows[0].frames} frames of {size}",
        f"Frames a second, {_how(settings).removesuffix('; ratios with quartiles')}",
        f"{'quality':>7} {'bytes':>10} {'bpp':>7} {'encode':>8} {'range':>15} {'decode':>8} "
        f"{'range':>15}",
    ]
    for row in report.rows:
        quality = "-" if row.quality is None else row.quality
        cells = ""
        for spread in (row.encode, row.decode):
            cells += f" {spread.median:>8.2f} {f'{spread.least:.2f}..{spread.most:.2f}':>15}"
        lines.append(f"{quality:>7} {row.bytes:>10,} {row.bpp:>7.3f}{cells}")
    titles = "".join(f"{stage:>10}" for stage in report.rows[0].stages["encode"])
    lines += [
        "",
        "Frames a second of each stage, and below them its ms a frame (runs of their own)",
        f"{'quality':>7} {'':<7}{titles}",
    ]
    for row in report.rows:
        quality = "-" if row.quality is None else row.quality
        for verb, parts in row.stages.items():
            speeds = [f"{row.frames / s:,.1f}" if s > 0 else "-" for s in parts.values()]
            lines.append(f"{quality:>7} {verb:<7}" + "".join(f"{cell:>10}" for cell in speeds))
            each = [f"{1e3 * s / row.frames:.2f}" for s in parts.values()]
            lines.append(f"{'':>7} {'':<7}" + "".join(f"{cell:>10}" for cell in each))
    return lines


def describe_systems(report: "SystemsReport") -> list[str]:
    """The machine, and a line for each system and coder."""
    settings = report.settings
    lines = [
        _machine(report.machine),
        f"Seconds for {settings['picture']}, {settings['width']}x{settings['height']}, random "
        f"weights, {_how(settings)}",
        f"{'system':<24} {'coder':<10} {'parameters':>11} {'bytes':>10} "
        + _time_titles("CompressAI"),
    ]
    for row in report.rows:
        lines.append(
            f"{row.system:<24} {row.coder:<10} {row.parameters:>11,} {row.bytes:>10,} {_times(row)}"
        )
    return lines


def describe_layers(report: "LayersReport") -> list[str]:
    """The machine, and a line for each layer and way."""
    lines = [
        _machine(report.machine),
        f"Milliseconds, {_how(report.settings)}",
        f"{'layer':<32} {'input':>8} {'way':<10} {'':<6} {'median':>9} {'range':>17} "
        f"{'kodec is x as fast':>20}",
    ]
    if not report.settings["core"]:
        lines.insert(1, "On this processor PyTorch's layers are taken, not the core's.")
    for row in report.rows:
        for step, spread in row.seconds.items():
            named, ratio = "" if step == "run" else step, _factor(row.ratios[step])
            between = f"{1e3 * spread.least:.1f}..{1e3 * spread.most:.1f}"
            lines.append(
                f"{row.layer:<32} {row.input:>8} {row.way:<10} {named:<6} "
                f"{1e3 * spread.median:>9.1f} {between:>17} {ratio:>20}".rstrip()
            )
    return lines


def describe_coder(report: "CoderReport") -> list[str]:
    """A report as lines: the machine, a table for each workload and picture, short streams."""
    machine, settings = report.machine, report.settings
    versions = ("kodec", "torch", "numpy", "compressai", "constriction", "torchac")
    threads = settings["threads"]
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores; {machine['simd']} of "
        f"{', '.join(machine['simd_available'])}; Python {machine['python']}, "
        + ", ".join(f"{name} {machine[name]}" for name in versions if name in machine),
        f"Million symbols a second, {'one thread' if threads == 1 else f'{threads} threads'}, "
        f"{settings['clock']}; medians of {settings['repeats']} runs of all coders in turn, and "
        f"their range. Other coders take {settings['most_symbols_of_other_coders']:,} symbols at "
        "most.",
    ]
    for measured in (*report.workloads, *report.pictures):
        lines += ["", *_table(measured)]
    if report.short_streams:
        lines += ["", *_short(report.short_streams)]
    return [*lines, *(f"note: {note}" for note in report.notes)]


def _table(measured: "Measured") -> list[str]:
    """One workload or picture: a heading, and a line for each coder."""
    compared = any(row.encode_ratio is not None for row in measured.rows)
    lines = [
        f"{measured.name}: {measured.symbols:,} symbols, {measured.description}; "
        f"{measured.zeros_percent:.0f} % zeros",
        f"ideal {measured.ideal_bits_per_symbol:.3f} bit/symbol: {measured.ideal}",
        f"{'coder':<28} {'symbols':>9} {'blocks':>6} {'encode':>7} {'range':>13} {'decode':>7} "
        f"{'range':>13} {'bytes':>10} {'vs ideal':>9}"
        + (f"  {'x CompressAI, encode':>22} {'decode':>20}" if compared else ""),
    ]
    for row in measured.rows:
        name = " ".join(part for part in (row.coder, row.simd, row.types) if part)
        line = f"{name:<28} {row.symbols:>9,} {row.blocks:>6}"
        for speed in (row.encode, row.decode):
            digits = 1 if speed.median < 100 else 0
            between = f"{speed.least:.{digits}f}..{speed.most:.{digits}f}"
            line += f" {speed.median:>7.{digits}f} {between:>13}"
        line += f" {row.bytes:>10,} {row.excess_percent:>+7.3f} %"
        if row.encode_ratio is not None and row.decode_ratio is not None:
            line += f"  {_factor(row.encode_ratio):>22} {_factor(row.decode_ratio):>20}"
        lines.append(line)
    return lines


def _short(streams: "tuple[ShortStreams, ...]") -> list[str]:
    """Short streams, the workloads beside each other."""
    workloads = list(dict.fromkeys(one.workload for one in streams))
    lines = [
        "Short streams: bytes beyond the ideal, mean and most",
        f"{'symbols':>7} {'streams':>7}"
        + "".join(f"  {f'{name} ideal':>9} {'beyond':>7} {'most':>6}" for name in workloads),
    ]
    for size in dict.fromkeys(one.symbols for one in streams):
        same = [one for one in streams if one.symbols == size]
        lines.append(
            f"{size:>7,} {same[0].streams:>7}"
            + "".join(
                f"  {one.ideal_bytes:>9.1f} {one.overhead_bytes:>7.1f} "
                f"{one.most_overhead_bytes:>6.1f}"
                for one in same
            )
        )
    return lines


def _machine(machine: "dict[str, Any]") -> str:
    return (
        f"{machine['cpu']}, {machine['cores']} cores, {machine['cpu_capability']}; "
        f"Python {machine['python']}, torch {machine['torch']}"
    )


def _how(settings: "dict[str, Any]") -> str:
    threads = settings["threads"]
    return (
        f"{'one thread' if threads == 1 else f'{threads} threads'}, {settings['clock']}; medians "
        f"of {settings['repeats']} runs of all in turn, and their range; ratios with quartiles"
    )


def _time_titles(peer: str) -> str:
    return (
        f"{'encode':>8} {'range':>15} {'decode':>8} {'range':>15}  "
        f"{f'x {peer}, encode':>20} {'decode':>20}"
    )


def _times(row: Any) -> str:
    """Both directions of a row, and how many times as fast as the peer."""
    cells = ""
    for spread in (row.encode, row.decode):
        cells += f"{spread.median:>8.3f} {f'{spread.least:.3f}..{spread.most:.3f}':>15} "
    ratios = (row.encode_ratio, row.decode_ratio)
    return f"{cells} {' '.join(f'{_factor(ratio):>20}' for ratio in ratios)}".rstrip()


def _factor(ratio: "Ratio | None") -> str:
    """1.23x (1.20..1.25)."""
    if ratio is None:
        return ""
    digits = 2 if ratio.median < 10 else 1
    return f"{ratio.median:.{digits}f}x ({ratio.low:.{digits}f}..{ratio.high:.{digits}f})"
