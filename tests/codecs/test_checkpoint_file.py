"""Checkpoints of other programs, of no program, and of forgers."""

import argparse
import pickle
import zipfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from kodec.codecs import check_tensors, read_checkpoint
from kodec.native import BitstreamError, InvalidInputError

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3)}


class Touches:
    """Writes a file when it is unpickled the usual way."""

    def __reduce__(self) -> tuple[Any, ...]:
        return eval, ("__import__('pathlib').Path('touched').touch()",)


BESIDE: dict[str, Any] = {
    "nothing": None,
    "arguments": argparse.Namespace(lr=0.1, output=Path("runs")),
    "numpy": {"loss": np.float64(0.5), "values": np.ones(3)},
    "a dictionary of another class": defaultdict(list, {"psnr": [30.0]}),
    "a function": nn.functional.relu,
    "code": Touches(),
}


@pytest.mark.parametrize("name", BESIDE)
def test_tensors_are_read_whatever_stands_beside_them(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": STATE, "beside": BESIDE[name]}, tmp_path / "a.pth")
    # Whatever else another library has PyTorch build.
    with torch.serialization.safe_globals([defaultdict, argparse.Namespace]):
        trusted = torch.serialization.get_safe_globals()
        content = read_checkpoint(tmp_path / "a.pth")
        assert set(torch.serialization.get_safe_globals()) == set(trusted)
    assert torch.equal(content["state_dict"]["a.weight"], STATE["a.weight"])
    assert not (tmp_path / "touched").exists()


def test_the_old_format_is_read(tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    torch.save({"state_dict": STATE}, path, _use_new_zipfile_serialization=False)
    content = read_checkpoint(path)
    assert torch.equal(content["state_dict"]["a.weight"], STATE["a.weight"])
    torch.save({"a": Touches()}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(BitstreamError, match="holds objects"):
        read_checkpoint(path)


def packed(path: Path) -> None:
    """A checkpoint whose gigabyte of zeros takes a megabyte."""
    torch.save(STATE, path)
    with zipfile.ZipFile(path) as archive:
        records = {record.filename: archive.read(record) for record in archive.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in records.items():
            archive.writestr(name, bytes(2**24) if "/data/" in name else data)


def archive_of(name: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(name, b"x")

    return write


def cut(path: Path) -> None:
    torch.save(STATE, path)
    path.write_bytes(path.read_bytes()[:-40])


REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "no checkpoint that torch.save wrote"),
    "text": (lambda path: path.write_text("hello"), "looks like a text file"),
    "picture": (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n"), "looks like a PNG"),
    "pickle": (lambda path: path.write_bytes(pickle.dumps(Touches())), "damaged|holds objects"),
    "archive": (archive_of("a.txt"), "a zip archive, but no checkpoint"),
    "archive with a pickle": (archive_of("x/data.pkl"), "damaged"),
    "cut": (cut, "damaged or cut-off"),
    "packed": (packed, "records larger than the file"),
    "module": (lambda path: torch.save(nn.Linear(2, 2), path), "holds objects|plain values"),
    "tensor": (lambda path: torch.save(torch.zeros(2), path), "plain values"),
    "program": (
        lambda path: torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), path),
        "TorchScript program",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.filterwarnings("ignore:.*torch.jit.*deprecated")
def test_anything_else_is_named_in_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write, words = REFUSED[name]
    write(tmp_path / "x.pth")
    with pytest.raises(BitstreamError, match=words) as caught:
        read_checkpoint(tmp_path / "x.pth")
    assert "x.pth" in str(caught.value) and "\n" not in str(caught.value)
    assert not (tmp_path / "touched").exists()


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="is a folder"):
        read_checkpoint(tmp_path)
    with pytest.raises(InvalidInputError, match="there is no checkpoint file"):
        read_checkpoint(tmp_path / "none.pth")


def test_tensors_larger_than_the_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    real = torch.zeros(2**22)
    for value, words in (
        (torch.zeros(1).expand(2**20, 2**20), "'a' is larger than what the file holds"),
        (torch.eye(3).to_sparse(), "'a' is a sparse"),
        ([1.0], "'a' is no tensor"),
        (torch.zeros(1, device="meta").expand(2**40), "'a' is a sparse, quantised or empty"),
    ):
        torch.save({"a": value}, path)
        with pytest.raises(BitstreamError, match=words):
            check_tensors(path, read_checkpoint(path))
    torch.save({f"a{i}": real for i in range(9)}, path)
    with pytest.raises(BitstreamError, match="far larger than the file"):
        check_tensors(path, read_checkpoint(path))
