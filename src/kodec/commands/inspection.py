"""`kodec info` and `kodec models`: what files and embedded models are."""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kodec.codecs.fitted_families import families
from kodec.native import BitstreamError, InvalidInputError

from . import fitted_coding, usage
from .video_coding import is_coded_video

if TYPE_CHECKING:
    from kodec.codecs import Objective, PictureHeader, SequenceHeader
    from kodec.codecs.container import Container


def add_to(commands: "argparse._SubParsersAction[usage.Parser]") -> None:
    """Add the commands' parsers."""
    info_ = commands.add_parser(
        "info",
        help="what a .kdc file or a model file holds",
        description="Say what a .kdc file or a model file holds, without decoding it.",
    )
    info_.add_argument("file", metavar="FILE", type=usage.path)
    info_.add_argument("--json", action="store_true", help="as JSON")
    info_.add_argument(
        "--trust",
        metavar="PACKAGE",
        action="append",
        default=[],
        type=usage.package,
        help="of a model file: load it too, with the classes of this package of your own",
    )
    info_.set_defaults(run=info)
    models_ = commands.add_parser(
        "models",
        help="the embedded models and their measured numbers",
        description="List the models that come with kodec, and what was measured of them.",
    )
    models_.set_defaults(run=models)
    for parser in (info_, models_):
        usage.add_global_options(parser)


def info(options: argparse.Namespace) -> None:
    """Describe a file."""
    from kodec.codecs.container import MAGIC
    from kodec.codecs.file_kind import SNIFF_BYTES, identify_file

    path: Path = options.file
    if path.is_dir():
        raise InvalidInputError(f"{path} is a folder; name a file in it")
    with path.open("rb") as file:
        head = file.read(SNIFF_BYTES)
    kind = identify_file(head)
    if head.startswith(MAGIC):
        if fitted_coding.is_fitted(path):
            facts = fitted_coding.facts_of(path)
        else:
            facts = _video_facts(path) if is_coded_video(path) else _picture_facts(path)
    elif kind is not None and kind.title.startswith("a safetensors file"):
        facts = _model_facts(path, options.trust)
    else:
        looks = f" (it looks like {kind.title})" if kind else ""
        raise BitstreamError(f"{path} is neither a .kdc file nor a model file{looks}")
    if options.json:
        print(json.dumps(facts, indent=2))
    else:
        print("\n".join(_lines(facts)))


def models(options: argparse.Namespace) -> None:
    """List the embedded models."""
    from kodec.codecs import embedded_models

    entries = embedded_models()
    if not entries:
        print("no model is embedded in this build of kodec; train one with `kodec train`")
    if kinds := families():
        print(f"fitted to each input: {', '.join(family.name for family in kinds)}")
    for entry in entries:
        size = entry.path.stat().st_size
        print(f"{entry.name}: {entry.summary}")
        facts = {"model_id": entry.model_id.hex(), "bytes": size, "measured": entry.measured}
        print("\n".join(_lines(facts, indent=1)))


def _facts_of_model(header: "PictureHeader | SequenceHeader") -> dict[str, Any]:
    """What pictures and videos say alike of the model that wrote them."""
    from kodec.codecs import embedded_models

    names = {entry.model_id: entry.name for entry in embedded_models()}
    return {
        "quality": header.quality,
        "embedded_model": names.get(header.model_id),
        "model_id": header.model_id.hex(),
        "portability": header.portability,
    }


def _video_facts(path: Path) -> dict[str, Any]:
    """Of all packets, none of which is decoded; in memory that does not grow."""
    from kodec.codecs.container import FORMAT_VERSION, ChunkReader, Packet, SequenceHeader

    from .coded_file import naming

    with path.open("rb") as file, naming(path):
        reader = ChunkReader(file)
        header = reader.header
        assert isinstance(header, SequenceHeader)
        frames = packets = refreshes = coded = 0
        for packet in reader:
            assert isinstance(packet, Packet)
            packets += 1
            refreshes += packet.steps[0].refresh
            frames += sum(step.frames for step in packet.steps)
            coded += len(packet.data)
    size = path.stat().st_size
    seconds = frames / header.rate
    colour = header.colour
    return {
        "file": str(path),
        "kind": "video",
        "format_version": FORMAT_VERSION,
        "width": header.width,
        "height": header.height,
        "components": header.components,
        "bit_depth": header.bit_depth,
        "chroma": header.chroma,
        "primaries, transfer, matrix": [colour.primaries, colour.transfer, colour.matrix],
        "full_range": colour.full_range,
        "frames_per_second": str(header.rate),
        "frames": frames,
        "refreshes": refreshes,
        **_facts_of_model(header),
        "bytes": size,
        "bytes_per_part": {"header, framing, index": size - coded, "coded": coded},
        "bytes_per_frame_beside_coded": round((size - coded) / frames, 2) if frames else None,
        "bits_per_second": round(float(8 * size / seconds)) if frames else None,
    }


def _picture_facts(path: Path) -> dict[str, Any]:
    from kodec.codecs.container import FORMAT_VERSION
    from kodec.codecs.pictures.alpha import way_of

    from .coded_file import naming, read_coded

    data, container = read_coded(path)
    header = container.header
    parts = {name: len(block) for name, block in container.metadata.items()}
    colours = container.packets[:: header.planes]
    parts["coded"] = sum(map(len, colours))
    alpha = {}
    if header.planes > 1:
        packets = container.packets[1 :: header.planes]
        parts["alpha"] = sum(map(len, packets))
        with naming(path):
            alpha = {"alpha": way_of(packets)}
    # What frames the parts: the head, lengths and checksums.
    parts = {"header": len(data) - sum(parts.values()), **parts}
    return {
        "file": str(path),
        "kind": "picture",
        "format_version": FORMAT_VERSION,
        "width": header.width,
        "height": header.height,
        "components": header.components,
        "bit_depth": header.bit_depth,
        **alpha,
        **_tile_facts(container),
        **_facts_of_model(header),
        "bytes": len(data),
        "bytes_per_part": parts,
        "bpp": round(8 * len(data) / (header.width * header.height), 6),
    }


def _tile_facts(container: "Container") -> dict[str, Any]:
    """Of a picture in tiles: how it is cut, and what its tiles take, all planes of each."""
    from kodec.codecs.pictures.coded_picture import grid_of

    header = container.header
    if header.tile is None:
        return {}
    grid = grid_of(header)
    sizes = list(map(len, container.packets))
    tiles = [sum(sizes[at : at + header.planes]) for at in range(0, len(sizes), header.planes)]
    return {
        "tiles": {
            "size": "{}x{}".format(*header.tile),
            "columns": grid.columns,
            "rows": grid.rows,
            "bytes_of_smallest": min(tiles),
            "bytes_of_largest": max(tiles),
        }
    }


def _model_facts(path: Path, trusted: Sequence[str]) -> dict[str, Any]:
    from kodec.codecs import class_paths, load_model, packages_of, read_model_info

    # Nothing of a model is built to be described, unless its classes were said to be trusted.
    model = load_model(path, trusted)[1] if trusted else read_model_info(path)
    facts = {
        "file": str(path),
        "kind": "model",
        "name": model.name,
        "model_id": model.model_id.hex(),
        "classes": class_paths(model.config),
        "needs_trust": packages_of(model.config),
        "portability": model.portability,
        "objective": _objective_facts(model.objective),
        "notes": dict(model.notes),
        "bytes": path.stat().st_size,
    }
    # What older files do not say.
    return {key: value for key, value in facts.items() if value is not None}


def _objective_facts(objective: "Objective | None") -> dict[str, Any] | None:
    if objective is None:
        return None
    low, high = objective.lambda_low, objective.lambda_high
    by_quality = {"lambda_at_quality_0": low, "lambda_at_quality_63": high}
    return {"distortion": objective.distortion, **(by_quality if low < high else {"lambda": low})}


def _lines(facts: Mapping[str, Any], indent: int = 0) -> list[str]:
    """Facts as aligned lines; a section's own facts stand below it, indented."""
    margin, width = "  " * indent, max((len(key) for key in facts), default=0)
    lines = []
    for key, value in facts.items():
        title = key.replace("_", " ")
        if isinstance(value, Mapping) and value:
            lines += [f"{margin}{title}", *_lines(value, indent + 1)]
        else:
            lines.append(f"{margin}{title:<{width}}  {_in_words(value)}")
    return lines


def _in_words(value: Any) -> str:
    if value is None or value in ({}, []):
        return "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(_in_words, value))
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return " ".join(str(value).split())
