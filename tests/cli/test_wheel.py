"""The package as others install it: a wheel, in an environment of its own, without a compiler."""

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(sys.platform != "linux", reason="a script for Linux")
def test_a_wheel_is_built_installed_and_used(tmp_path: Path) -> None:
    """Demo, a file, and training by a config's name up to a file of that model."""
    pytest.importorskip("scikit_build_core")
    script: list[str | Path] = [
        ROOT / ".ci" / "try-wheel",
        sys.executable,
        tmp_path,
        sysconfig.get_path("purelib"),
    ]
    done = subprocess.run(script, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1] == "the wheel works"
    (wheel,) = tmp_path.glob("kodec-*.whl")
    assert 2**20 < wheel.stat().st_size < 64 * 2**20
