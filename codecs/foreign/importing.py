"""From a checkpoint of other people's public code to a model file."""

import pickle
from pathlib import Path

import torch
from torch import Tensor

from kodec.codecs.building import build_module
from kodec.codecs.model_file import ModelInfo, save_model
from kodec.codecs.picture_codec import PictureCodec
from kodec.native import BitstreamError, InvalidInputError

from .families import CONFIGS
from .latent_names import LATENT_NAMES, rearranged, without_constants
from .renaming import renamed
from .transform_names import TRANSFORM_NAMES

# What `torch.load` raises for files that are damaged or none of its own.
_DAMAGE = (RuntimeError, pickle.UnpicklingError, EOFError, AttributeError, ValueError, KeyError)


def read_state(checkpoint: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint: a state dict, alone or under "state_dict".

    Only tensors and plain values are unpickled. Raises `BitstreamError` for anything else.
    """
    try:
        content = torch.load(checkpoint, map_location="cpu", weights_only=True)
        state = content.get("state_dict", content)
        tensors = {str(k).removeprefix("module."): v for k, v in state.items()}
    except _DAMAGE:
        tensors = {}
    if not tensors or not all(isinstance(v, Tensor) for v in tensors.values()):
        raise BitstreamError(
            f"{checkpoint} is no checkpoint of tensors alone; save one with "
            "torch.save(model.state_dict(), FILE)"
        )
    return tensors


def import_checkpoint(checkpoint: Path, output: Path, family: str) -> ModelInfo:
    """Write the model file of a checkpoint that was saved by public code, whole or not at all.

    family: one of `CONFIGS`, the published name of the model; widths are read off the tensors.
    Weights keep their 32 bits. Raises `InvalidInputError` for an unknown family, `BitstreamError`
    where the checkpoint is not one of that family.
    """
    if family not in CONFIGS:
        raise InvalidInputError(f"models that can be imported: {', '.join(CONFIGS)}; not {family}")
    state = without_constants(read_state(checkpoint))
    try:
        config = CONFIGS[family](state)
        network = build_module(config)
        assert isinstance(network, PictureCodec)
        names = (*TRANSFORM_NAMES[family], *LATENT_NAMES[family])
        network.load_state_dict(rearranged(family, renamed(state, names)))
    except (KeyError, RuntimeError, InvalidInputError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise BitstreamError(f"{checkpoint} does not fit {family}: {reason}") from None
    notes = {"source": f"imported from a checkpoint of {family}; its licence is its authors'"}
    return save_model(network, config, output, output.stem, notes, sixteen_bits=False)
