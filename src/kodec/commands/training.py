"""`kodec train` and `kodec export`: from a config to a model file."""

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from kodec.native import InvalidInputError

from . import usage
from .packaged_configs import packaged_configs

_GLOBAL = ("--debug", "--quiet")


def add_to(commands: "argparse._SubParsersAction[usage.Parser]") -> None:
    """Add the commands' parsers."""
    train_ = commands.add_parser(
        "train",
        help="train a codec from a config",
        usage="kodec train --config NAME|FILE [any LightningCLI argument]",
        description=_TRAIN,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    train_.set_defaults(run=train)
    export_ = commands.add_parser(
        "export",
        help="a training checkpoint to a model file",
        description="Write the model file of a checkpoint: rounded weights, coder tables, config.",
    )
    export_.add_argument("checkpoint", metavar="CHECKPOINT", type=usage.path)
    export_.add_argument("output", metavar="OUTPUT.safetensors", type=usage.path)
    usage.add_trust(export_)
    export_.set_defaults(run=export)
    for parser in (train_, export_):
        usage.add_global_options(parser)


def split_arguments(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """kodec's own arguments, and those of `kodec train` that go to LightningCLI as they are."""
    command = next((i for i, text in enumerate(arguments) if not text.startswith("-")), None)
    if command is None or arguments[command] != "train":
        return list(arguments), []
    after = arguments[command + 1 :]
    if not any(_is_config(text) for text in after) and {"-h", "--help"} & set(after):
        return [*arguments[: command + 1], "--help"], []
    own = [*arguments[: command + 1], *(text for text in after if text in _GLOBAL)]
    return own, [text for text in after if text not in _GLOBAL]


def train(options: argparse.Namespace) -> None:
    """Run a training to its end."""
    arguments: list[str] = [*options.passed_on]
    for place, text in enumerate(arguments):
        if text.startswith("--config="):
            arguments[place] = f"--config={_config_named(text.partition('=')[2])}"
        elif _is_config(text) and place + 1 < len(arguments):
            arguments[place + 1] = _config_named(arguments[place + 1])
    configs = [
        text.partition("=")[2] or "".join(following[:1])
        for text, following in ((text, arguments[i + 1 :]) for i, text in enumerate(arguments))
        if _is_config(text)
    ]
    if not configs:
        raise usage.UsageError("train needs --config NAME or FILE; see `kodec train --help`")
    for config in configs:
        if not Path(config).is_file():
            names = ", ".join(packaged_configs())
            raise InvalidInputError(f"there is no config file {config!r}; packaged are: {names}")
    # From here on torch and lightning are there.
    from kodec.train import train as run_training

    if options.quiet:
        shown = ("progress_bar", "model_summary")
        arguments = [*arguments, *(f"--trainer.enable_{part}=false" for part in shown)]
    # Lightning's advice and its list of devices go; its warnings and errors stay.
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    run_training(arguments)


def export(options: argparse.Namespace) -> None:
    """Write a checkpoint's model file."""
    from kodec.codecs import check_output_target

    output: Path = options.output
    if output.suffix.lower() != ".safetensors":
        raise InvalidInputError(f"{output}: model files are named *.safetensors")
    check_output_target(output)
    from kodec.train import export_checkpoint

    model = export_checkpoint(options.checkpoint, output, trusted=options.trust)
    if not options.quiet:
        size = output.stat().st_size
        print(f"{output}: model {model.name}, id {model.model_id.hex()}, {size:,} bytes")


def _config_named(text: str) -> str:
    """The file of a packaged config's name; anything else as it is."""
    return text if Path(text).is_file() else str(packaged_configs().get(text, text))


def _is_config(text: str) -> bool:
    return text in ("--config", "-c") or text.startswith("--config=")


_TRAIN = """\
Train a codec from a config: a file, or a packaged one by its name, such as default. Every key of
the config is an argument too, for instance
  --trainer.max_steps 2000           stop after so many steps
  --trainer.default_root_dir FOLDER  where checkpoints and logs go
  --data.dataset NAME|FOLDER         a name in datasets.yaml, found through KODEC_DATA, or a folder
  --ckpt_path FOLDER/checkpoints/last.ckpt   go on where a run stopped
  --print_config                     print all keys with their values, and stop
With --config FILE --help, all of them are listed."""
