"""Renaming the tensors of a checkpoint by rules."""

import re
from collections.abc import Mapping, Sequence

from torch import Tensor

# (regular expression, replacement), each applied to the whole name in turn.
Rules = Sequence[tuple[str, str]]

# Constants that CompressAI stores with each GDN layer, and Swin code with each attention.
LEFT_OUT = re.compile(r"\.(beta|gamma)_reparam\.|\.relative_position_index$")


def prior_rules(theirs: str, ours: str) -> Rules:
    """Names of a CompressAI `EntropyBottleneck` -> of a `FactorisedPrior`, in any release."""
    return (
        (rf"^{theirs}\._?matri(?:x|ces)\.?(\d)$", rf"{ours}.matrices.\1"),
        (rf"^{theirs}\._?bias(?:es)?\.?(\d)$", rf"{ours}.biases.\1"),
        (rf"^{theirs}\._?factors?\.?(\d)$", rf"{ours}.factors.\1"),
        (rf"^{theirs}\.quantiles$", f"{ours}.centre"),
    )


def renamed(state: Mapping[str, Tensor], rules: Rules) -> dict[str, Tensor]:
    """The tensors under their names here; constants that have no name here are left out."""
    out = {}
    for name, tensor in state.items():
        if LEFT_OUT.search(name):
            continue
        for pattern, replacement in rules:
            name = re.sub(pattern, replacement, name)
        out[name] = tensor
    return out
