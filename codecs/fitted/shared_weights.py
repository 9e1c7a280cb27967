"""Weights that all files of a family share: packaged, or a model file that the caller names."""

from pathlib import Path
from typing import TypeVar

from kodec.codecs.coding_model import CodingModel
from kodec.codecs.model_file import load_model
from kodec.native import InvalidInputError, UnsupportedError

FOLDER = Path(__file__).parent / "weights"

Weights = TypeVar("Weights", bound=CodingModel)


def shared_weights(
    kind: type[Weights], name: str, model: str | Path | None = None
) -> tuple[Weights, bytes]:
    """The weights and their id: of a model file, or the packaged ones of the family `name`.

    Raises `InvalidInputError` where the file is of something else, and as `load_model` does.
    """
    path = FOLDER / f"{name}.safetensors" if model is None else Path(model)
    network, info = load_model(path)
    if not isinstance(network, kind):
        raise InvalidInputError(
            f"{path} is a model of {type(network).__name__}, not of {kind.__name__}: name the "
            f"weights of {name}"
        )
    return network, info.model_id


def check_shared(name: str, own: bytes, wanted: bytes | None) -> None:
    """Raise `UnsupportedError` where a file was written with other weights."""
    if wanted != own:
        other = "none" if wanted is None else wanted.hex()
        raise UnsupportedError(
            f"the file was written with the {name} weights {other}, not with {own.hex()}: name "
            "their model file with --model"
        )
