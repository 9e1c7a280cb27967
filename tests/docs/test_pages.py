"""What the documentation tells to do is done, and gives what it says."""

import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from documented import DOCS, alike, blocks, indented_commands, run_console
from kodec.commands.command_line import parse
from kodec.commands.packaged_configs import packaged_configs
from kodec.commands.usage import UsageError

ROOT = DOCS.parent

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


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", *sorted(DOCS.glob("*.md"))], ids=lambda page: page.name
)
def test_commands_that_are_shown_are_commands(page: Path) -> None:
    for arguments in indented_commands(page.read_text(encoding="utf-8")):
        for option, name in pairwise(arguments):
            if option == "--config" and arguments[0] == "train" and name != "mine.yaml":
                assert name in packaged_configs() or (ROOT / name).is_file(), name
        try:
            parse(arguments)
        except UsageError as error:
            pytest.fail(f"kodec {' '.join(arguments)}: {error}")


def test_what_is_alike() -> None:
    assert alike("a.kdc: 1,000 bytes", "a.kdc: 1,019 bytes")
    assert not alike("a.kdc: 1,000 bytes", "a.kdc: 1,030 bytes")
    assert not alike("a.kdc: 1,000 bytes", "b.kdc: 1,000 bytes")
    assert alike("a.kdc: ...", "a.kdc: anything") and not alike("a.kdc: ...", "b.kdc: anything")
