"""Pruning: which weights are kept, as masks.

Sources: NeRV (2021), by magnitude over all tensors; HiNeRV (2023), by magnitude relative to how
many are kept in the tensor.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from kodec.native import InvalidInputError


def magnitude_masks(
    weights: Mapping[str, Tensor],
    kept: float,
    masks: Mapping[str, Tensor] | None = None,
    relative: bool = False,
) -> dict[str, Tensor]:
    """Masks (bool) by name that keep the share `kept` in (0, 1] of all weights: the largest ones.

    masks: earlier ones, outside of which nothing is kept. relative: |w| over the root of how many
    the tensor keeps counts, so that small tensors lose less. Ties are kept in the tensors' order,
    so that exactly the share is.
    """
    if not 0 < kept <= 1:
        raise InvalidInputError(f"pruning keeps a share above 0 and up to 1, not {kept}")
    scores = []
    for name, weight in weights.items():
        score = weight.detach().abs().float()
        if masks is not None:
            score = torch.where(masks[name], score, -1.0)
        if relative:
            score = torch.where(score > 0, score / max(1, int((score >= 0).sum())) ** 0.5, score)
        scores.append(score.reshape(-1))
    flat = torch.cat(scores)
    count = min(round(kept * len(flat)), int((flat >= 0).sum()))
    order = torch.argsort(-flat, stable=True)
    chosen = torch.zeros(len(flat), dtype=torch.bool, device=flat.device)
    chosen[order[:count]] = True
    parts = chosen.split([weight.numel() for weight in weights.values()])
    return {
        name: part.reshape(weight.shape)
        for (name, weight), part in zip(weights.items(), parts, strict=True)
    }


@torch.no_grad()
def keep_pruned(weights: Mapping[str, Tensor], masks: Mapping[str, Tensor]) -> None:
    """Set weights outside of their masks to 0, and their gradients."""
    for name, mask in masks.items():
        weights[name].mul_(mask)
        gradient = weights[name].grad
        if gradient is not None:
            gradient.mul_(mask)
