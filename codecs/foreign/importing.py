"""From a checkpoint of other people's public code to a model file."""

import re
from pathlib import Path

from kodec.codecs.building import build_module
from kodec.codecs.coding_model import CodingModel
from kodec.codecs.finite_weights import check_finite
from kodec.codecs.model_file import ModelInfo, save_model
from kodec.native import BitstreamError, InvalidInputError

from .checkpoint_state import read_state
from .families import CONFIGS
from .latent_names import LATENT_NAMES, rearranged, without_constants
from .renaming import renamed
from .transform_names import TRANSFORM_NAMES

# What reading widths off tensors, and laying these out, raises where they are another model's.
_MISFIT = (ArithmeticError, IndexError, InvalidInputError, RuntimeError, TypeError, ValueError)


def import_checkpoint(checkpoint: Path, output: Path, family: str) -> ModelInfo:
    """Write the model file of a checkpoint that was saved by public code, whole or not at all.

    checkpoint: see `read_state`. family: one of `CONFIGS`, the published name of the model; widths
    are read off the tensors. Weights keep their 32 bits. Raises `InvalidInputError` for an unknown
    family and for weights that are not finite, `BitstreamError` where the checkpoint is not one of
    that family.
    """
    if family not in CONFIGS:
        raise InvalidInputError(f"models that can be imported: {', '.join(CONFIGS)}; not {family}")
    found = read_state(checkpoint)
    state = {
        name: tensor.float() if tensor.is_floating_point() else tensor
        for name, tensor in without_constants(found.tensors).items()
    }
    try:
        check_finite({found.prefix + name: tensor for name, tensor in state.items()})
    except InvalidInputError as error:
        raise InvalidInputError(f"{checkpoint}: {error}") from None
    rules = (*TRANSFORM_NAMES[family], *LATENT_NAMES[family])
    try:
        config = CONFIGS[family](state)
        network = build_module(config, weights=rearranged(family, renamed(state, rules)))
    except (KeyError, BitstreamError, *_MISFIT) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
        theirs = {
            new: found.prefix + old for old in state for new in renamed({old: state[old]}, rules)
        }
        raise BitstreamError(_misfit(checkpoint, family, reason, theirs)) from None
    assert isinstance(network, CodingModel)
    notes = {"source": f"imported from a checkpoint of {family}; its licence is its authors'"}
    if found.left_out:
        notes["left out"] = ", ".join(found.left_out)[:1000]
    return save_model(network, config, output, output.stem, notes, sixteen_bits=False)


def _misfit(checkpoint: Path, family: str, reason: str, theirs: dict[str, str]) -> str:
    """One line with the tensor's name in the file, and what to do."""
    line = reason.splitlines()[-1].strip()
    line = re.sub(r"'([\w.]+)'", lambda name: repr(theirs.get(name[1], name[1])), line)
    advice = "name the model that it is of with --as, or save that model's state_dict() alone"
    if re.search(r"-\d{5}-of-\d{5}\.", checkpoint.name):
        advice = "it is one part of several: name the index, *.index.json, beside it"
    return f"{checkpoint} does not fit {family}: {line}; {advice}"
