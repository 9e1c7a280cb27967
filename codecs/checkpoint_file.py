"""Checkpoints that `torch.save` wrote, read without running anything that they name."""

import io
import pickle
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.serialization import (
    add_safe_globals,
    clear_safe_globals,
    get_safe_globals,
    get_unsafe_globals_in_checkpoint,
)

from kodec.native import BitstreamError, InvalidInputError

from .atomic_file import write_atomically
from .file_kind import SNIFF_BYTES, identify_file

ADVICE = "save one with torch.save(model.state_dict(), FILE)"
MAX_PICKLE = 64 * 2**20
MAX_RECORDS = 500_000
# What tensors of a checkpoint may take in memory: this often its size, or 64 MiB.
MEMORY_FACTOR = 4
LEAST_SIZE = 16 * 2**20
# What `torch.load` raises for files that are damaged or none of its own.
_DAMAGE = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError),
    *(NotImplementedError, RecursionError, RuntimeError, TypeError, ValueError, ImportError),
    *(pickle.UnpicklingError, zipfile.BadZipFile),
)
_PICKLES = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


class _Inert:
    """Stands where a checkpoint has an object of a class of its own; it keeps nothing."""

    def __new__(cls, *_: Any, **__: Any) -> "_Inert":
        return object.__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        pass


class _InertMapping:
    """The same as a dictionary, to which items may be added and attributes given."""

    def __new__(cls, *_: Any, **__: Any) -> Any:
        made: Any = OrderedDict()
        made.stand_in = True
        return made


def read_checkpoint(path: Path, advice: str = ADVICE, mmap: bool = False) -> dict[Any, Any]:
    """What a checkpoint holds; objects other than tensors and plain values come back empty.

    The one place where checkpoints are opened. Nothing that the file names is imported or called,
    and its records are held against its size before they are read. advice: how errors end. mmap:
    leave tensors in the file until they are looked at. Raises `BitstreamError`, with what the file
    is, for all but a dictionary that `torch.save` wrote, and `InvalidInputError` where there is no
    file.
    """
    if path.is_dir():
        raise InvalidInputError(f"{path} is a folder: name a checkpoint file in it")
    if not path.is_file():
        raise InvalidInputError(f"there is no checkpoint file {path}")
    with path.open("rb") as file:
        head = file.read(SNIFF_BYTES)
    zipped = head.startswith(b"PK\x03\x04")
    if zipped:
        _check_records(path)
    elif not head.startswith(_PICKLES):
        kind = identify_file(head)
        looks = f"; it looks like {kind.title}" if kind and head else ""
        raise BitstreamError(f"{path} is no checkpoint that torch.save wrote{looks}; {advice}")
    try:
        with warnings.catch_warnings(), _nothing_trusted():
            warnings.simplefilter("ignore")
            names = get_unsafe_globals_in_checkpoint(path) if zipped else []
            stand_ins = [(_Inert if n.startswith("numpy.") else _InertMapping, n) for n in names]
            add_safe_globals(stand_ins)  # type: ignore[arg-type]
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped and mmap)
    except _DAMAGE as error:
        objects = isinstance(error, pickle.UnpicklingError) and "GLOBAL" in str(error)
        raise BitstreamError(f"{path} {_OBJECTS + advice if objects else _DAMAGED}") from None
    if not isinstance(content, dict) or hasattr(content, "stand_in"):
        raise BitstreamError(f"{path} {_OBJECTS}{advice}")
    return content


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write what `read_checkpoint` reads, whole or not at all, and to the disk.

    Raises `InvalidInputError` as `check_output_target` does, and an OSError that names `path`.
    """
    # PyTorch's own way goes through a file, which a kill may cut.
    whole = io.BytesIO()
    torch.save(content, whole)
    write_atomically(path, whole.getbuffer(), sync=True)


@contextmanager
def _nothing_trusted() -> Iterator[None]:
    """Set aside the classes that other libraries have told PyTorch to build, and put them back."""
    others = get_safe_globals()
    clear_safe_globals()
    try:
        yield
    finally:
        clear_safe_globals()
        add_safe_globals(others)


_DAMAGED = "is a damaged or cut-off checkpoint: fetch or write it again"
_OBJECTS = (
    "is no checkpoint of tensors and plain values: it holds objects, whose code would have to run; "
)


def _check_records(path: Path) -> None:
    """Refuse zip archives that are no checkpoint, or whose records are larger than the file."""
    try:
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, EOFError, OSError):
        raise BitstreamError(f"{path} {_DAMAGED}") from None
    names = [record.filename.partition("/")[2] for record in records]
    if "data.pkl" not in names:
        raise BitstreamError(f"{path} is a zip archive, but no checkpoint that torch.save wrote")
    if "constants.pkl" in names:
        raise BitstreamError(
            f"{path} is a TorchScript program: save the weights alone, with "
            "torch.save(torch.jit.load(FILE).state_dict(), OTHER)"
        )
    size = path.stat().st_size
    too_large = any(
        record.compress_type != zipfile.ZIP_STORED
        or (n == "data.pkl" and record.file_size > MAX_PICKLE)
        for record, n in zip(records, names, strict=True)
    )
    if too_large or len(records) > MAX_RECORDS or sum(r.file_size for r in records) > size:
        raise BitstreamError(f"{path} has records larger than the file: no torch.save wrote it")


def check_tensors(path: Path, tensors: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of a checkpoint; refuses values that are none, and those larger than the file.

    Raises `BitstreamError`: a few bytes on disk may be a tensor of any size, all of one value.
    """
    for name, value in tensors.items():
        if not isinstance(value, Tensor):
            raise BitstreamError(f"{path}: {name!r} is no tensor")
        if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
            raise BitstreamError(
                f"{path}: {name!r} is a sparse, quantised or empty tensor: store it as a plain one"
            )
        if value.numel() * value.element_size() > value.untyped_storage().nbytes():
            raise BitstreamError(f"{path}: {name!r} is larger than what the file holds of it")
    total = sum(value.numel() * value.element_size() for value in tensors.values())
    if total > MEMORY_FACTOR * max(path.stat().st_size, LEAST_SIZE):
        raise BitstreamError(f"{path}: its tensors are far larger than the file")
    return dict(tensors)
