from collections.abc import Callable
from dataclasses import dataclass

import pytest

from kodec.__main__ import main


@dataclass(frozen=True)
class Outcome:
    status: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """What stderr says about a failure: one line and nothing else."""
        assert self.status in (1, 2)
        assert self.out == ""
        assert self.err.startswith("kodec: ") and self.err.endswith("\n")
        assert self.err.count("\n") == 1
        return self.err.removeprefix("kodec: ").rstrip("\n")


@pytest.fixture
def kodec(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Runs the command line in this process."""

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Outcome(status, out, err)

    return run
