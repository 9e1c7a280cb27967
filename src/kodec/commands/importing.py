"""`kodec import`: from a checkpoint of other people's public code to a model file."""

import argparse
from pathlib import Path

from kodec.native import InvalidInputError

from . import usage


def add_to(commands: "argparse._SubParsersAction[usage.Parser]") -> None:
    """Add the command's parser."""
    parser = commands.add_parser(
        "import",
        help="a published model's checkpoint to a model file",
        description="Write the model file of a checkpoint that the public code of CompressAI, of "
        "MLIC++ or of SegPIC saved with torch.save(model.state_dict(), FILE).",
    )
    parser.add_argument("checkpoint", metavar="FOREIGN_CHECKPOINT", type=usage.path)
    parser.add_argument("output", metavar="OUTPUT.safetensors", type=usage.path)
    parser.add_argument(
        "--as",
        dest="family",
        metavar="NAME",
        required=True,
        help="the model's published name, such as mbt2018-mean; a wrong one lists all",
    )
    parser.set_defaults(run=import_)
    usage.add_global_options(parser)


def import_(options: argparse.Namespace) -> None:
    """Write the model file."""
    from kodec.codecs import check_output_target

    output: Path = options.output
    if output.suffix.lower() != ".safetensors":
        raise InvalidInputError(f"{output}: model files are named *.safetensors")
    check_output_target(output)
    from kodec.codecs.foreign import import_checkpoint

    model = import_checkpoint(options.checkpoint, output, options.family)
    if not options.quiet:
        size = output.stat().st_size
        print(f"{output}: model {model.name}, id {model.model_id.hex()}, {size:,} bytes")
