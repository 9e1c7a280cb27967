"""The codec's own tensors in whatever a training script saved around them."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from kodec.codecs.checkpoint_file import check_tensors, read_checkpoint
from kodec.codecs.tensor_file import read_tensors
from kodec.native import BitstreamError, InvalidInputError

MAX_DEPTH = 6
MAX_INDEX = 16 * 2**20

# What wrappers of modules put into names, anywhere.
_WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
# The analysis, which every family has: of pictures, or of a video's keyframes.
_ANALYSIS = {"g_a", "g_a1", "img_encoder"}
# Averages and teachers are only taken where there is nothing else.
_SECOND = re.compile(r"ema|average|teacher|swa", re.IGNORECASE)
# What belongs to training, and to no codec: losses, their networks, counters of operations.
_TRAINING = re.compile(
    r"(^|\.)(total_ops|total_params)$"
    r"|^(\w*loss\w*|criterion\w*|l?pips\w*|vgg\w*|perceptual\w*|disc\w*|net_?d|metric\w*|\w*metrics?"
    r"|\w*psnr\w*|\w*ssim\w*|teacher\w*|optim\w*|aux_\w*|lmbda\w*|lambda\w*|epoch|step|_metadata)(\.|$)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class ForeignState:
    """tensors: by their names in public code. prefix: what stands before those in the file."""

    tensors: dict[str, Tensor]
    prefix: str
    left_out: tuple[str, ...]


def read_state(checkpoint: Path) -> ForeignState:
    """The tensors of a codec in a checkpoint, a safetensors file or the index of a sharded one.

    A state dict may lie at any depth, and its names may have any prefix, which the names of the
    analysis (`g_a`, `img_encoder`) tell; what wrappers put between is taken out, and what belongs
    to training left out. Raises `BitstreamError` where there are none or several codecs in the
    file.
    """
    content = _content(checkpoint)
    found: list[tuple[str, dict[str, Any]]] = []
    for path, mapping in _mappings(content, "", MAX_DEPTH):
        names = {name: _unwrapped(name) for name in mapping if isinstance(name, str)}
        prefixes = dict.fromkeys(p for n in names.values() if (p := _prefix(n)) is not None)
        found += [
            (
                path + prefix,
                {
                    n.removeprefix(prefix): mapping[name]
                    for name, n in names.items()
                    if n.startswith(prefix)
                },
            )
            for prefix in prefixes
        ]
    if not found:
        every = (m.items() for _, m in _mappings(content, "", MAX_DEPTH))
        first = next((n for items in every for n, v in items if isinstance(v, Tensor)), None)
        none = "has no tensors g_a.* or img_encoder.*"
        holds = "holds no tensors" if first is None else f"{none}; one is {first!r}"
        raise BitstreamError(
            f"{checkpoint} {holds}: save the codec's own state with "
            "torch.save(model.state_dict(), FILE)"
        )
    found = [one for one in found if not _SECOND.search(one[0])] or found
    if len(found) > 1:
        raise BitstreamError(
            f"{checkpoint} holds {len(found)} codecs, {', '.join(repr(p) for p, _ in found[:3])}: "
            "save the state_dict() of one alone"
        )
    prefix, values = found[0]
    tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
    kept = {name: value for name, value in tensors.items() if not _TRAINING.search(name)}
    left_out = tuple(name for name in tensors if name not in kept)
    return ForeignState(check_tensors(checkpoint, kept), prefix, left_out)


def _content(checkpoint: Path) -> Mapping[Any, Any]:
    """Whatever the file holds."""
    if checkpoint.is_dir():
        raise InvalidInputError(
            f"{checkpoint} is a folder: name a checkpoint in it, or the index of a sharded one; "
            "a distributed one becomes a file by `python -m "
            "torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER FILE`"
        )
    if not checkpoint.is_file():
        return read_checkpoint(checkpoint)  # which says what is there instead
    with checkpoint.open("rb") as file:
        head = file.read(9)
    if head.lstrip()[:1] == b"{":
        return _sharded(checkpoint)
    if head[8:9] == b"{":
        return read_tensors(checkpoint, "a checkpoint")[1]
    return read_checkpoint(checkpoint)


def _sharded(index: Path) -> dict[str, Tensor]:
    """The tensors of all files that an index names, in its own folder."""
    try:
        with index.open("rb") as file:
            files = json.loads(file.read(MAX_INDEX))["weight_map"].values()
        names = [str(name) for name in dict.fromkeys(files)]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise BitstreamError(
            f"{index} is JSON, but not the index of a sharded checkpoint: name the checkpoint"
        ) from None
    tensors: dict[str, Tensor] = {}
    for name in names:
        part = index.parent / name
        if Path(name).name != name or not part.is_file():
            raise BitstreamError(f"{index} names the file {name[:200]!r}, which is not beside it")
        content = _content(part) if part.suffix != ".json" else {}
        tensors |= check_tensors(part, {str(key): value for key, value in content.items()})
    return tensors


def _mappings(value: Any, path: str, depth: int) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """Every dictionary in the content, with the keys that lead to it, joined by dots."""
    if isinstance(value, Mapping) and depth:
        yield path, value
        for key, item in value.items():
            yield from _mappings(item, f"{path}{key}.", depth - 1)


def _unwrapped(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _prefix(name: str) -> str | None:
    """What stands before the analysis in a tensor's name; None for tensors of other parts."""
    parts = name.split(".")
    place = next((i for i, part in enumerate(parts[:-1]) if part in _ANALYSIS), None)
    return None if place is None else "".join(f"{part}." for part in parts[:place])
