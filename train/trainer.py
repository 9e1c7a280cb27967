"""Lightning's trainer with this project's defaults."""

from pathlib import Path
from typing import Any

import lightning
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, ProgressBar, RichProgressBar
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger

from kodec.native import InvalidInputError

from .checkpointing import AtomicCheckpointIO, LastCheckpoint
from .precision import automatic_precision

_HALF_WEIGHTS = ("16-true", "bf16-true", "transformer-engine", "transformer-engine-float16")


class Trainer(lightning.Trainer):
    """Lightning's trainer with this project's defaults.

    Logs go to CSV and TensorBoard files under `default_root_dir`; a checkpoint
    `checkpoints/last.ckpt` is written there every `checkpoint_every` steps and at the end.
    precision: "auto" is bf16-mixed where the device gains from it, else 32-true; weights of 16
    bits are refused. All of Lightning's own arguments are accepted. Raises `InvalidInputError`
    where they make no sense.
    """

    def __init__(
        self,
        checkpoint_every: int = 500,
        default_root_dir: str = "runs/default",
        precision: str | int = "auto",
        accelerator: str = "auto",
        logger: bool | Logger | list[Logger] = True,
        callbacks: Callback | list[Callback] | None = None,
        plugins: Any = None,
        enable_checkpointing: bool = True,
        enable_progress_bar: bool = True,
        enable_model_summary: bool = False,
        **kwargs: Any,
    ) -> None:
        if str(precision) in _HALF_WEIGHTS:
            raise InvalidInputError(
                f"precision {precision} keeps the weights in 16 bits, too few for likelihoods: "
                "set trainer.precision to bf16-mixed, 16-mixed or 32-true"
            )
        own = list(callbacks) if isinstance(callbacks, list) else [callbacks] if callbacks else []
        if enable_checkpointing:
            last = Path(default_root_dir) / "checkpoints" / "last.ckpt"
            own.append(LastCheckpoint(last, checkpoint_every))
        if enable_progress_bar and not any(isinstance(c, ProgressBar) for c in own):
            own.append(_StepBar())
        if logger is True:
            table = CSVLogger(default_root_dir, "logs")
            # Both into the same folder: left alone, each takes the next free number.
            logger = [table, TensorBoardLogger(default_root_dir, "logs", version=table.version)]
        if plugins is None:
            plugins = []
        elif not isinstance(plugins, list):
            plugins = [plugins]
        try:
            super().__init__(
                default_root_dir=default_root_dir,
                precision=automatic_precision(accelerator) if precision == "auto" else precision,  # type: ignore[arg-type]
                accelerator=accelerator,
                logger=logger,
                callbacks=own,
                plugins=[*plugins, AtomicCheckpointIO()],
                enable_checkpointing=enable_checkpointing,
                enable_progress_bar=enable_progress_bar,
                enable_model_summary=enable_model_summary,
                **kwargs,
            )
        except (MisconfigurationException, ValueError) as error:
            reason = " ".join(str(error).split())
            raise InvalidInputError(f"the trainer's settings do not work here: {reason}") from error


class _StepBar(RichProgressBar):
    """Progress towards `max_steps`: the crops never end, so that Lightning knows no total."""

    def _get_train_description(self, current_epoch: int) -> str:
        return "training"

    @property
    def total_train_batches(self) -> int | float:
        """Batches in the run."""
        batches = super().total_train_batches
        steps = self.trainer.max_steps
        if batches == float("inf") and steps > 0:
            return steps * self.trainer.accumulate_grad_batches
        return batches
