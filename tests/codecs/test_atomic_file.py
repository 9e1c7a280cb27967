import os
import stat
from pathlib import Path

import pytest

from kodec.codecs.atomic_file import (
    AtomicFile,
    AtomicFolder,
    check_output_target,
    write_atomically,
)
from kodec.native import InvalidInputError


def test_writes_a_new_file_and_nothing_else(tmp_path: Path) -> None:
    write_atomically(tmp_path / "a.kdc", b"bytes")
    assert (tmp_path / "a.kdc").read_bytes() == b"bytes"
    assert os.listdir(tmp_path) == ["a.kdc"]


@pytest.mark.parametrize("sync", [False, True])
def test_replaces_a_file_and_keeps_its_permissions(tmp_path: Path, sync: bool) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"old")
    target.chmod(0o600)
    write_atomically(target, memoryview(b"new"), sync=sync)
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600


def test_a_new_file_has_the_permissions_of_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "a", b"")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o640


@pytest.mark.parametrize("failing", ["replace", "chmod", "fsync"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
def test_a_failure_keeps_the_old_file_and_leaves_no_other(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failing: str,
    error: type[BaseException],
) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(error):
        write_atomically(target, b"new", sync=True)
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_system_error_names_the_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device", "something temporary")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*a\.kdc'"):
        write_atomically(tmp_path / "a.kdc", b"new")


def test_a_symbolic_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    write_atomically(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


def test_the_longest_name_can_be_written(tmp_path: Path) -> None:
    name = "n" * 255
    write_atomically(tmp_path / name, b"x")
    assert os.listdir(tmp_path) == [name]


def test_refuses_what_is_no_ordinary_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    cases = {
        tmp_path: "folder",
        tmp_path / "pipe": "device or a pipe",
        Path(os.devnull): "device or a pipe",
        tmp_path / "missing" / "a": "does not exist",
    }
    for path, message in cases.items():
        with pytest.raises(InvalidInputError, match=message):
            check_output_target(path)
        with pytest.raises(InvalidInputError, match=message):
            write_atomically(path, b"x")
    with pytest.raises(InvalidInputError, match="empty"):
        check_output_target("")
    assert not Path(os.devnull).is_file()
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_visible_part_lies_beside_its_target(tmp_path: Path) -> None:
    target, part = tmp_path / "a.mkv", tmp_path / "a.mkv.part"
    target.write_bytes(b"old")
    part.write_bytes(b"left by a run that was killed")
    with AtomicFile(target, visible=True) as out:
        out.file.write(b"new")
        out.file.flush()
        assert (target.read_bytes(), part.read_bytes()) == (b"old", b"new")
    assert os.listdir(tmp_path) == ["a.mkv"] and target.read_bytes() == b"new"
    with pytest.raises(KeyboardInterrupt), AtomicFile(target, visible=True) as out:
        out.file.write(b"newer")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == ["a.mkv"] and target.read_bytes() == b"new"


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    for make_first in (False, True):
        target = tmp_path / f"out{make_first}"
        if make_first:
            target.mkdir()
        out = AtomicFolder(target)
        (out.folder / "a").write_bytes(b"a")
        assert not target.exists() or os.listdir(target) == []
        out.finish()
        assert os.listdir(target) == ["a"]
    gone = AtomicFolder(tmp_path / "gone")
    (gone.folder / "a").write_bytes(b"a")
    gone.abort()
    assert sorted(os.listdir(tmp_path)) == ["outFalse", "outTrue"]


def test_folders_that_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    (tmp_path / "new.part").mkdir()
    cases = {
        tmp_path: "not empty",
        tmp_path / "file": "no folder",
        tmp_path / "missing" / "a": "does not exist",
        tmp_path / "new": "in the way.*remove it",
    }
    for path, message in cases.items():
        with pytest.raises(InvalidInputError, match=message):
            AtomicFolder(path)
    assert sorted(os.listdir(tmp_path)) == ["file", "new.part"]
