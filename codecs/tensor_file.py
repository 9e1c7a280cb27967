"""Safetensors files, read with every size checked before anything is made room for."""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from kodec.native import BitstreamError, InvalidInputError

from .file_kind import SNIFF_BYTES, identify_file

MAX_HEADER = 16 * 2**20
MAX_TENSORS = 100_000
_TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


def read_tensors(
    path: Path, what: str, values: bool = True
) -> tuple[dict[str, str], dict[str, Tensor]]:
    """The metadata and the tensors of a safetensors file; without `values`, the metadata alone.

    what: the kind of file that is wanted, with its article, for errors. The one place where such
    files are opened. Raises `BitstreamError` for anything that is not a whole one.
    """
    if path.is_dir():
        raise InvalidInputError(f"{path} is a folder, not {what}")
    with path.open("rb") as file:
        head = file.read(SNIFF_BYTES)
    length = int.from_bytes(head[:8], "little")
    if head[8:9] != b"{" or length > min(MAX_HEADER, path.stat().st_size):
        raise _refused(path, what, head)
    try:
        with safe_open(path, framework="pt") as opened:
            keys = opened.keys()
            if len(keys) > MAX_TENSORS:
                raise BitstreamError(f"{path} holds {len(keys):,} tensors: that is not {what}")
            metadata = dict(opened.metadata() or {})
            if not values:
                return metadata, {}
            for key in keys:
                kind = opened.get_slice(key).get_dtype()
                if kind not in _TYPES:
                    raise BitstreamError(f"{path} holds numbers of type {kind}: that is not {what}")
            return metadata, {key: opened.get_tensor(key) for key in keys}
    except (SafetensorError, OverflowError, RuntimeError, ValueError):
        raise _refused(path, what, head) from None


def _refused(path: Path, what: str, head: bytes) -> BitstreamError:
    kind = identify_file(head)
    looks = f"; it looks like {kind.title}" if kind else ""
    return BitstreamError(f"{path} is not {what}, or is damaged{looks}")
