"""What the documentation tells to do is done, and gives what it says."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from documented import alike, blocks, run_console

SavePicture = Callable[..., Path]


def test_the_first_hour(save_picture: SavePicture, tmp_path: Path, default_model: str) -> None:
    data = os.environ.get("KODEC_DATA")
    if not data or not (Path(data) / "logs").is_dir():
        pytest.skip("KODEC_DATA with kodak/ and logs/ is needed")
    (tmp_path / "photos").mkdir()
    save_picture("photos/a.png", 96, 96)
    run_console("tutorial.md", tmp_path, STEPS="2", KODEC_DATA=data)


def test_a_transform_of_your_own(save_picture: SavePicture, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    save_picture("photos/a.png", 64, 96)
    (tmp_path / "mytransform").mkdir()
    (code,) = blocks("own-transform.md", "python")
    assert sum(bool(line.strip()) for line in code.splitlines()) <= 20
    (tmp_path / "mytransform" / "__init__.py").write_text(code)
    (config,) = blocks("own-transform.md", "yaml")
    (tmp_path / "mine.yaml").write_text(config)
    run_console("own-transform.md", tmp_path, STEPS="2")
    assert "psnr-rgb" in (tmp_path / "mine.csv").read_text()


def test_what_is_alike() -> None:
    assert alike("a.kdc: 1,000 bytes", "a.kdc: 1,019 bytes")
    assert not alike("a.kdc: 1,000 bytes", "a.kdc: 1,030 bytes")
    assert not alike("a.kdc: 1,000 bytes", "b.kdc: 1,000 bytes")
    assert alike("a.kdc: ...", "a.kdc: anything") and not alike("a.kdc: ...", "b.kdc: anything")
