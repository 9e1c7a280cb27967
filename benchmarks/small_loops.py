"""Small closed loops of sequences, untrained: for tests, and where weights do not matter."""

from typing import Any

import torch

from kodec.codecs import BidirectionalFlow, ScaleSpaceFlow

SMALL: dict[str, Any] = {"width": 8, "latents": 12, "hyper": 8}

Loop = ScaleSpaceFlow | BidirectionalFlow
KINDS: dict[str, type[Loop]] = {
    "scale-space": ScaleSpaceFlow,
    "bidirectional": BidirectionalFlow,
}


def small_model(kind: str, **arguments: Any) -> Loop:
    """Untrained, but with something to code everywhere; ready to code."""
    torch.manual_seed(0)
    model: Loop = KINDS[kind](**{**SMALL, **arguments})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.03 * torch.randn_like(parameter))
        part: Any
        for part in (model.keyframe, model.motion, model.residual):
            part.analysis.layers[-1].weight.mul_(200)
            part.latents.hyper_analysis[-1].weight.mul_(50)
            # Scales that are those of such latents.
            part.latents.hyper_synthesis.scales[-2].bias.add_(20)
    return model.deploy()
