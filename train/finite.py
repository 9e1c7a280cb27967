"""What is not finite: found on the tensors' own device, and what to do about it."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kodec.codecs import first_not_finite, read_checkpoint
from kodec.native import KodecError

# Above the number of any step.
_NEVER = 2**62


class FiniteLosses:
    """Watches losses, without waiting for the device that they are on."""

    def __init__(self) -> None:
        self._first: Tensor | None = None

    def add(self, loss: Tensor, step: int) -> None:
        """Take a step's loss, a scalar."""
        here = torch.where(loss.detach().isfinite(), _NEVER, step)
        self._first = here if self._first is None else torch.minimum(self._first, here)

    def first_broken(self) -> int | None:
        """The first step whose loss was not finite, or None. Waits for the device."""
        if self._first is None:
            return None
        step = int(self._first)
        return None if step == _NEVER else step


def checkpoint_tensors(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """The weights of a checkpoint and the state of its optimiser, by names to tell a user."""
    states = checkpoint.get("optimizer_states", [])
    found = dict(_tensors(checkpoint["state_dict"], ""))
    return found | dict(_tensors(states, "optimiser state "))


def _tensors(value: Any, name: str) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield name.removesuffix("."), value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _tensors(item, f"{name}{key}.")
    elif isinstance(value, list | tuple):
        for key, item in enumerate(value):
            yield from _tensors(item, f"{name}{key}.")


def advice(checkpoints: Iterable[Path]) -> str:
    """How to go on with a run that diverged; `checkpoints`: what it may have, the latest first."""
    for path in checkpoints:
        try:
            content = read_checkpoint(path, mmap=True)
            if first_not_finite(checkpoint_tensors(content)) is None:
                return (
                    f"go on from its last good checkpoint, of step {content['global_step']}, with "
                    f"--ckpt_path {path} and a lower --model.learning_rate, or start again with one"
                )
        except (KodecError, KeyError, TypeError, AttributeError, OSError):
            continue
    return (
        "it has no checkpoint from before: start again with a lower --model.learning_rate, or with "
        "--trainer.gradient_clip_val 1"
    )
