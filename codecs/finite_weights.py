"""Weights that are not finite: no codec codes with them."""

from collections.abc import Mapping

import torch
from torch import Tensor

from kodec.native import InvalidInputError


def first_not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """The name of the first tensor with a value that is not finite, or None.

    Waits for each device once, however many tensors there are.
    """
    # The least and the greatest are NaN where any value is.
    tests = [
        (name, torch.stack(torch.aminmax(t)).isfinite().all())
        for name, t in tensors.items()
        if t.is_floating_point() and t.numel()
    ]
    by_device: dict[torch.device, list[tuple[str, Tensor]]] = {}
    for name, test in tests:
        by_device.setdefault(test.device, []).append((name, test))
    broken = {
        name
        for group in by_device.values()
        for (name, _), finite in zip(
            group, torch.stack([test for _, test in group]).tolist(), strict=True
        )
        if not finite
    }
    return next((name for name, _ in tests if name in broken), None)


def check_finite(weights: Mapping[str, Tensor], bits: int = 32) -> None:
    """Raise `InvalidInputError`, with the name, where a weight is not finite."""
    name = first_not_finite(weights)
    if name is not None:
        raise InvalidInputError(
            f"the weights {name} are not finite in {bits} bits: no codec codes with them; take "
            "an earlier checkpoint"
        )
