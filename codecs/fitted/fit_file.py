"""A fit on disk, until what comes of it is written."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from kodec.codecs.checkpoint_file import read_checkpoint, write_checkpoint
from kodec.native import BitstreamError, InvalidInputError

from .fitting import Figures, Fit, Fitting, optimiser_of
from .schedule import MAX_STEPS

FORMAT = "kodec-fit-0"
_ADVICE = "remove it, and start anew without --resume"


class FitFile:
    """The file at `path`; settings: what the fit is run with, beside its own identity."""

    def __init__(self, path: Path, settings: Mapping[str, str]) -> None:
        self.path = path
        self.settings = dict(settings)

    def save(self, run: Fit, fitting: Fitting, optimiser: torch.optim.Optimizer) -> None:
        """Write the state, whole or not at all."""
        content = {
            "format": FORMAT,
            "identity": self._identity(fitting),
            "values": {name: value.detach() for name, value in fitting.values.items()},
            "optimiser": optimiser.state_dict(),
            "run": {name: value for name, value in asdict(run).items() if name != "interrupted"},
        }
        write_checkpoint(self.path, content)

    def load(self, fitting: Fitting) -> tuple[Fit, torch.optim.Adam]:
        """The state, and the values set to it; what `fit` goes on from.

        Raises `InvalidInputError` where there is none or it is of another fit, `BitstreamError`
        where it is damaged.
        """
        if not self.path.is_file():
            raise InvalidInputError(
                f"there is no fit to go on with, {self.path}: leave --resume out"
            )
        content = read_checkpoint(self.path, _ADVICE)
        if content.get("format") != FORMAT:
            raise BitstreamError(f"{self.path} holds no fit: {_ADVICE}")
        self._check_identity(content.get("identity"), fitting)
        try:
            return self._restored(content, fitting)
        except (AttributeError, KeyError, TypeError, ValueError, RuntimeError):
            raise BitstreamError(f"{self.path} is damaged: {_ADVICE}") from None

    def _identity(self, fitting: Fitting) -> dict[str, str]:
        return {**fitting.identity, **self.settings}

    def _check_identity(self, stored: Any, fitting: Fitting) -> None:
        own = self._identity(fitting)
        if not isinstance(stored, dict):
            raise BitstreamError(f"{self.path} is damaged: {_ADVICE}")
        for name in own.keys() | stored.keys():
            if stored.get(name) != own.get(name):
                raise InvalidInputError(
                    f"{self.path} is of another fit, whose {name} is {str(stored.get(name))[:80]}, "
                    f"not {own.get(name)}: {_ADVICE}"
                )

    def _restored(
        self, content: Mapping[Any, Any], fitting: Fitting
    ) -> tuple[Fit, torch.optim.Adam]:
        run = Fit(**content["run"])
        run.start, run.figures = (Figures(**content["run"][name]) for name in ("start", "figures"))
        if not (0 <= run.done <= (run.steps or MAX_STEPS) <= MAX_STEPS and run.seconds >= 0):
            raise ValueError
        optimiser = optimiser_of(fitting)
        with torch.no_grad():
            for name, value in fitting.values.items():
                stored, best = content["values"][name], run.best[name]
                if stored.shape != value.shape or best.shape != value.shape:
                    raise ValueError
                value.copy_(stored)
        optimiser.load_state_dict(content["optimiser"])
        return run, optimiser
