"""Pictures are decoded once: what was found sound is remembered, and read anew when it changes."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from kodec.train import checked_pictures
from kodec.train.checked_pictures import check_pictures


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Seventy small pictures, of which one is cut, and a cache folder of their own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (8, 9, 3), np.uint8)
    for number in range(70):
        Image.fromarray(pixels).save(pictures / f"{number:02}.png")
    whole = (pictures / "07.png").read_bytes()
    (pictures / "07.png").write_bytes(whole[:-40])
    return pictures


def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Paths that are looked at from now on, one at a time and in this process."""
    seen: list[str] = []
    check: Any = vars(checked_pictures)["check_picture"]

    def counted(path: str, labels: bool, decode: bool) -> Any:
        if decode:
            seen.append(Path(path).name)
        return check(path, labels, decode)

    monkeypatch.setattr(checked_pictures, "check_picture", counted)
    monkeypatch.setattr(checked_pictures, "_FEW", 1000)
    return seen


def test_sound_pictures_are_remembered(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = sorted(folder.iterdir())
    # Several processes, as they are many.
    first = check_pictures(paths)
    assert [path.name for path in paths if first[path].trouble] == ["07.png"]
    assert "truncated" in first[paths[7]].trouble
    assert all(first[path][:2] == (9, 8) for path in paths if path.name != "07.png")
    seen = decoded(monkeypatch)
    assert check_pictures(paths) == first
    assert seen == []
    Image.new("RGB", (30, 20)).save(folder / "12.png")
    os.utime(folder / "13.png", ns=(1, 1))
    again = check_pictures(paths)
    assert seen == ["12.png", "13.png"] and again[paths[12]][:2] == (30, 20)
    assert check_pictures([folder / "20.png"], labels=True)[folder / "20.png"].trouble == ""
    assert seen[2:] == ["20.png"]


@pytest.mark.parametrize("content", ["", "[]", '{"version": 1}', "\\0"])
def test_a_damaged_memory_is_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    paths = sorted(folder.iterdir())[10:12]
    seen = decoded(monkeypatch)
    check_pictures(paths)
    (memory,) = (folder.parent / "cache/kodec/pictures").iterdir()
    memory.write_text(content)
    check_pictures(paths)
    assert len(seen) == 4


def test_no_cache_folder_is_no_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder.parent / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder.parent / "file"))
    assert check_pictures([folder / "00.png"])[folder / "00.png"][:2] == (9, 8)


def test_bad_heads_of_many_pictures_are_told_before_they_are_decoded(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = decoded(monkeypatch)
    monkeypatch.setattr(checked_pictures, "_MANY", 50)
    found = check_pictures(sorted(folder.iterdir()))
    assert seen == [] and [p.name for p, c in found.items() if c.trouble] == ["07.png"]
