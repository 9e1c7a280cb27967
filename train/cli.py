"""`kodec train`: LightningCLI over the module and the data that a config names.

A config whose `model` or `data` has a class path names its classes itself; without, they are
`RateDistortion` and `CropData`, for pictures.
"""

import logging
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning
import yaml
from jsonargparse import ArgumentError
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from kodec.codecs import public_config
from kodec.native import InvalidInputError, KodecError

from .codec_training import CodecTraining
from .data import CropData
from .export import check_whole
from .rate_distortion import RateDistortion
from .trainer import Trainer

# Remarks that a user of `kodec train` can do nothing about.
_USELESS_WARNINGS = (
    ".*isinstance\\(treespec, LeafSpec\\).*",
    ".*does not have many workers which may be a bottleneck.*",
    ".*`torch.jit.script` is deprecated.*",
    # Its own crops are a function of the step: there is nothing to fast-forward.
    "You're resuming from a checkpoint that ended before the epoch ended.*",
)

# A misspelt key that begins another is none of it.
PARSER = {"prog": "kodec train", "exit_on_error": False, "allow_abbrev": False}


class KodecCLI(LightningCLI):
    """Fits, and nothing else: no subcommands."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add what Lightning gives only to subcommands."""
        parser.add_argument(
            "--ckpt_path",
            type=str | None,
            default=None,
            help="checkpoint to go on from: FOLDER/checkpoints/last.ckpt",
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse `args`; raises `InvalidInputError` in one line for anything wrong with them."""
        try:
            self.config = parser.parse_args(args)
        except ArgumentError as error:
            raise InvalidInputError(_one_line(error)) from error

    def instantiate_classes(self) -> None:
        """Build module, data and trainer; what they refuse is told in their own words."""
        try:
            super().instantiate_classes()
        except ValueError as error:
            # Of classes that the config names, the parser wraps errors in its own.
            refused: BaseException | None = error
            while refused is not None and not isinstance(refused, KodecError):
                refused = refused.__cause__
            if refused is None:
                raise InvalidInputError(_one_line(error)) from error
            raise refused from None

    def fit(self) -> None:
        """Train, from the checkpoint that was given or from the start."""
        checkpoint = self.config["ckpt_path"]
        if checkpoint is not None:
            if not Path(checkpoint).is_file():
                raise InvalidInputError(f"there is no checkpoint {checkpoint} to go on from")
            check_whole(Path(checkpoint))
        # The module stores it in checkpoints, and `kodec export` builds the codec from it.
        given = self.config["model"]
        section = given["init_args"]["codec"] if self.subclass_mode_model else given["codec"]
        self.model.codec_config = public_config(_plain(section))
        try:
            self.trainer.fit(self.model, datamodule=self.datamodule, ckpt_path=checkpoint)
        except MisconfigurationException as error:
            raise InvalidInputError(f"training can't run so: {_one_line(error)}") from error


def train(arguments: Sequence[str]) -> None:
    """Run `kodec train` with the command line's arguments.

    Raises `InvalidInputError` where they or the config they name are wrong, `DatasetError` where
    data are absent and `BitstreamError` where the checkpoint to go on from is damaged.
    """
    advice = logging.getLogger("lightning.pytorch.utilities.rank_zero")
    advice.addFilter(_is_no_advertisement)
    try:
        with warnings.catch_warnings():
            for message in _USELESS_WARNINGS:
                warnings.filterwarnings("ignore", message=message)
            read_config(arguments).fit()
    finally:
        advice.removeFilter(_is_no_advertisement)


def read_config(arguments: Sequence[str]) -> KodecCLI:
    """The command line's module, data and trainer, of the classes that it or its config names.

    Raises `InvalidInputError` in one line for anything wrong with it.
    """
    named = [_names_class(arguments, key) for key in ("model", "data")]
    return KodecCLI(
        CodecTraining if named[0] else RateDistortion,
        lightning.LightningDataModule if named[1] else CropData,
        subclass_mode_model=named[0],
        subclass_mode_data=named[1],
        trainer_class=Trainer,
        save_config_kwargs={"overwrite": True},
        seed_everything_default=0,
        parser_kwargs=PARSER,
        args=list(arguments),
        run=False,
    )


def _is_no_advertisement(record: logging.LogRecord) -> bool:
    return "Tip:" not in record.getMessage()


def _names_class(arguments: Sequence[str], key: str) -> bool:
    """Whether the configs or the other arguments give a class path for `key`."""
    for text, following in zip(arguments, [*arguments[1:], ""], strict=True):
        option, _, value = text.partition("=")
        if option in (f"--{key}", f"--{key}.class_path"):
            return True
        if option in ("--config", "-c") and _has_class(Path(value or following), key):
            return True
    return False


def _has_class(config: Path, key: str) -> bool:
    try:
        content = yaml.safe_load(config.read_text(encoding="utf-8"))
        return "class_path" in content[key]
    except (OSError, UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        # The parser says what is wrong with it.
        return False


def _plain(value: Any) -> Any:
    """jsonargparse namespaces as plain dictionaries and lists."""
    if hasattr(value, "as_dict"):
        value = value.as_dict()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _one_line(error: Exception) -> str:
    """The error's words on one line, without what jsonargparse says about its own insides."""
    text = " ".join(str(error).split())
    text = re.sub(r"Does not validate against any of the Union subtypes .*?Errors: - ", "", text)
    text = re.sub(r"^Expected a <class '\w+'> - ", "", text)
    text = re.sub(r" - Expected a <class '\w+'>.*", "", text)
    text = re.sub(r"Problem with given class_path '(.*?)':", r"\1:", text)
    return re.sub(r'Parser key "(.*?)":', r"\1:", text)
