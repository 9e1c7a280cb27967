"""From a training checkpoint to a model file."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from kodec.codecs import ModelInfo, PictureCodec, build_module, save_model
from kodec.native import BitstreamError

from .finite import DAMAGE

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
        weights = {
            name.removeprefix(PREFIX): value
            for name, value in content["state_dict"].items()
            if name.startswith(PREFIX)
        }
    except (*DAMAGE, TypeError):
        raise BitstreamError(
            f"{checkpoint} is not a whole checkpoint of `kodec train`; give one of its *.ckpt files"
        ) from None
    network = build_module(config, trusted)
    if not isinstance(network, PictureCodec):
        raise BitstreamError(f"{checkpoint} holds no picture codec")
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise BitstreamError(f"{checkpoint} does not fit this version of kodec: {reason}") from None
    return save_model(network, config, output, name or output.stem, notes)
