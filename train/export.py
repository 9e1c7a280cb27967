"""From a training checkpoint to a model file."""

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from kodec.codecs import ModelInfo, PictureCodec, build_module, save_model
from kodec.native import BitstreamError

PREFIX = "codec."


def export_checkpoint(
    checkpoint: Path,
    output: Path,
    name: str | None = None,
    notes: Mapping[str, str] | None = None,
    trusted: Sequence[str] = ("kodec",),
) -> ModelInfo:
    """Write the model file of a checkpoint of `kodec train`.

    name: of the model, by default the output's file name without its ending. Raises
    `BitstreamError` where the checkpoint is damaged or not one of kodec's; only tensors and plain
    values are unpickled.
    """
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
        config = content["codec_config"]
        weights = content["state_dict"]
    except (RuntimeError, pickle.UnpicklingError, KeyError, EOFError, TypeError, ValueError):
        raise BitstreamError(
            f"{checkpoint} is not a whole checkpoint of `kodec train`; give one of its *.ckpt files"
        ) from None
    network = build_module(config, trusted)
    if not isinstance(network, PictureCodec):
        raise BitstreamError(f"{checkpoint} holds no picture codec")
    try:
        network.load_state_dict(
            {k.removeprefix(PREFIX): v for k, v in weights.items() if k.startswith(PREFIX)}
        )
    except RuntimeError as error:
        raise BitstreamError(
            f"{checkpoint} does not fit this version of kodec: {str(error).splitlines()[-1].strip()}"
        ) from None
    return save_model(network, config, output, name or output.stem, notes)
