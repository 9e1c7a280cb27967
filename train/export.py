"""From a training checkpoint to a model file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kodec.codecs import (
    CodingModel,
    ModelInfo,
    Objective,
    build_module,
    check_section,
    check_tensors,
    public_config,
    read_checkpoint,
    save_model,
)
from kodec.native import BitstreamError, InvalidInputError

PREFIX = "codec."
ADVICE = "give one of the *.ckpt files of `kodec train`"
_WHOLE = {"state_dict", "codec_config"}
_RESUMABLE = _WHOLE | {"optimizer_states", "loops"}


def export_checkpoint(
    checkpoint: Path,
    output: Path,
    name: str | None = None,
    notes: Mapping[str, str] | None = None,
    trusted: Sequence[str] = (),
) -> ModelInfo:
    """Write the model file of a checkpoint of `kodec train`.

    name: of the model, by default the output's file name without its ending. trusted: packages,
    besides kodec, whose classes the codec may have. Raises `BitstreamError` where the checkpoint is
    damaged or not one of kodec's, `InvalidInputError` where its weights are not finite; only
    tensors and plain values are unpickled.
    """
    content = _checked(checkpoint, read_checkpoint(checkpoint, ADVICE), _WHOLE)
    weights = check_tensors(
        checkpoint,
        {
            name.removeprefix(PREFIX): value
            for name, value in content["state_dict"].items()
            if str(name).startswith(PREFIX)
        },
    )
    try:
        check_section(content["codec_config"])
        config = public_config(content["codec_config"])
        network = build_module(config, trusted, weights)
        if not isinstance(network, CodingModel):
            raise BitstreamError("it holds no codec")
        objective = _objective(content)
        return save_model(network, config, output, name or output.stem, notes, objective=objective)
    except (BitstreamError, InvalidInputError) as error:
        raise type(error)(f"{checkpoint} can't be exported: {error}") from error


def _objective(content: Mapping[Any, Any]) -> Objective | None:
    """What the checkpoint's run minimises; None in older ones."""
    fields = content.get("objective")
    if fields is None:
        return None
    try:
        return Objective(**fields)
    except TypeError:
        raise BitstreamError("its objective can't be read") from None


def check_whole(checkpoint: Path) -> None:
    """Refuse, with `BitstreamError`, what training can't go on from."""
    _checked(checkpoint, read_checkpoint(checkpoint, ADVICE, mmap=True), _RESUMABLE)


def _checked(path: Path, content: Mapping[Any, Any], keys: set[str]) -> Mapping[Any, Any]:
    """The content, if it is a checkpoint of `kodec train` with these parts."""
    if not (keys <= content.keys() and isinstance(content["state_dict"], Mapping)):
        raise BitstreamError(f"{path} is not a whole checkpoint of `kodec train`; {ADVICE}")
    return content
