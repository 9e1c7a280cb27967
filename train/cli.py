"""`kodec train`: LightningCLI over `RateDistortion` and `CropData`."""

from collections.abc import Sequence
from typing import Any

import lightning
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningCLI
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from .checkpointing import AtomicCheckpointIO
from .data import CropData
from .rate_distortion import RateDistortion


class KodecCLI(LightningCLI):
    """Fit only; remembers the codec's config section for the checkpoint."""

    def before_fit(self) -> None:
        """Hand the codec's config section to the module, which stores it in checkpoints."""
        section = self.config["fit"]["model"]["codec"]
        self.model.codec_config = _plain(section)


def _plain(value: Any) -> Any:
    """jsonargparse namespaces as plain dictionaries and lists."""
    if hasattr(value, "as_dict"):
        value = value.as_dict()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


class Trainer(lightning.Trainer):
    """Lightning's trainer with this project's defaults.

    Logs go to CSV and TensorBoard files under `default_root_dir`; a checkpoint `last.ckpt` is
    written there every `checkpoint_every` steps. All of Lightning's own arguments are accepted.
    """

    def __init__(self, checkpoint_every: int = 500, **kwargs: Any) -> None:
        root = str(kwargs.get("default_root_dir") or "runs/default")
        kwargs["default_root_dir"] = root
        if kwargs.get("logger") is None:
            kwargs["logger"] = [CSVLogger(root, "logs"), TensorBoardLogger(root, "logs")]
        callbacks = list(kwargs.pop("callbacks", None) or [])
        callbacks.append(
            ModelCheckpoint(
                dirpath=f"{root}/checkpoints",
                filename="last",
                every_n_train_steps=checkpoint_every,
                save_top_k=1,
                enable_version_counter=False,
                save_on_train_epoch_end=False,
            )
        )
        plugins = [*(kwargs.pop("plugins", None) or []), AtomicCheckpointIO()]
        super().__init__(callbacks=callbacks, plugins=plugins, **kwargs)


def train(arguments: Sequence[str]) -> None:
    """Run `kodec train` with the command line's arguments."""
    KodecCLI(
        RateDistortion,
        CropData,
        trainer_class=Trainer,
        save_config_kwargs={"overwrite": True},
        seed_everything_default=0,
        args=["fit", *arguments],
    )
