"""Checkpoints that survive a kill at any moment."""

from pathlib import Path
from typing import Any

import lightning
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from kodec.codecs import read_checkpoint, write_checkpoint
from kodec.native import InvalidInputError


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes beside, syncs, then renames, so that the last checkpoint is always whole."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        """Write `checkpoint` to `path`, whole or not at all; an OSError names `path`."""
        # Lightning's own way goes through the folder for temporary files, which may be too small.
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        write_checkpoint(Path(path), checkpoint)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """What a checkpoint holds, read by `read_checkpoint`: nothing in it is run."""
        return read_checkpoint(Path(path))


class LastCheckpoint(Checkpoint):
    """Keeps one checkpoint, `path`: of every `every`-th step, and of the end of training.

    saved: whether this run has written it.
    """

    def __init__(self, path: Path, every: int) -> None:
        if every < 1:
            raise InvalidInputError(f"checkpoint_every is 1 step or more, not {every}")
        self.path = path
        self.every = every
        self._saved_at = -1

    @property
    def saved(self) -> bool:
        """See the class."""
        return self._saved_at >= 0

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Tensor,
        batch_idx: int,
    ) -> None:
        """Save at every `every`-th step."""
        if trainer.global_step and trainer.global_step % self.every == 0:
            self._save(trainer)

    def on_train_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Save what training ended with."""
        self._save(trainer)

    def _save(self, trainer: lightning.Trainer) -> None:
        # With accumulated gradients several batches share a step.
        if trainer.global_step != self._saved_at and not trainer.fast_dev_run:  # type: ignore[attr-defined]
            trainer.save_checkpoint(self.path, weights_only=False)
            self._saved_at = trainer.global_step
