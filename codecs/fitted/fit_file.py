"""A fit on disk, until what comes of it is written."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kodec.codecs.checkpoint_file import read_checkpoint, write_checkpoint
from kodec.native import BitstreamError, InvalidInputError

from .fitting import Figures, Fit, Fitting, enter, set_values
from .schedule import MAX_STEPS, Schedule

FORMAT = "kodec-fit-0"
_ADVICE = "remove it, and start anew without --resume"


class FitFile:
    """The file at `path`; settings: what the fit is run with, beside its own identity."""

    def __init__(self, path: Path, settings: Mapping[str, str]) -> None:
        self.path = path
        self.settings = dict(settings)

    def save(self, run: Fit, fitting: Fitting, optimiser: torch.optim.Optimizer | None) -> None:
        """Write the state, whole or not at all."""
        stored = {f.name: getattr(run, f.name) for f in fields(run) if f.name != "interrupted"}
        stored |= {name: asdict(stored[name]) for name in ("start", "figures")}
        content = {
            "format": FORMAT,
            "identity": self._identity(fitting),
            "values": {name: value.detach() for name, value in fitting.values.items()},
            "optimiser": None if optimiser is None else optimiser.state_dict(),
            "run": stored,
        }
        write_checkpoint(self.path, content)

    def load(
        self, fitting: Fitting, schedule: Schedule
    ) -> tuple[Fit, torch.optim.Optimizer | None]:
        """The state, and the values set to it; what `fit` goes on from, by the same schedule.

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
            return self._restored(content, fitting, schedule)
        except (AttributeError, LookupError, TypeError, ValueError, RuntimeError):
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
        self, content: Mapping[Any, Any], fitting: Fitting, schedule: Schedule
    ) -> tuple[Fit, torch.optim.Optimizer | None]:
        run = Fit(**content["run"])
        run.start, run.figures = (Figures(**content["run"][name]) for name in ("start", "figures"))
        if not (0 <= run.done <= (run.steps or MAX_STEPS) <= MAX_STEPS and run.seconds >= 0):
            raise ValueError
        if bool(run.done) != bool(run.legs):
            raise ValueError
        whole = len(schedule.legs(MAX_STEPS))
        if run.ends and (run.ends != sorted(run.ends) or len(run.ends) != whole):
            raise ValueError
        if run.ends and run.ends[-1] != run.steps:
            raise ValueError
        states = (content["values"], run.best, *(values for _, values in run.arrived + run.waiting))
        for name, value in fitting.values.items():
            if any(s[name].shape != value.shape or s[name].dtype != value.dtype for s in states):
                raise ValueError
        optimiser = None
        legs = schedule.legs(run.steps or MAX_STEPS, run.ends)
        for number in run.legs:
            optimiser = enter(fitting, legs[number], optimiser)
        set_values(fitting, content["values"])
        if optimiser is not None:
            _restore(optimiser, content["optimiser"])
        return run, optimiser


def _restore(optimiser: torch.optim.Optimizer, stored: dict[str, Any]) -> None:
    """Set an optimiser's state, to the bit."""
    if type(optimiser).load_state_dict is not torch.optim.Optimizer.load_state_dict:
        optimiser.load_state_dict(stored)
        return
    # PyTorch's own way makes all state of its parameter's type.
    optimiser.load_state_dict({"state": {}, "param_groups": stored["param_groups"]})
    parameters = [value for group in optimiser.param_groups for value in group["params"]]
    for index, state in stored["state"].items():
        own = parameters[index]
        optimiser.state[own] = {
            name: value if name == "step" else _moved(value, own.device)
            for name, value in state.items()
        }


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, Tensor):
        return value.to(device)
    if isinstance(value, list | tuple):
        return type(value)(_moved(item, device) for item in value)
    if isinstance(value, dict):
        return {name: _moved(item, device) for name, item in value.items()}
    return value
