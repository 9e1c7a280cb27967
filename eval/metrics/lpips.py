"""LPIPS, where the weights of its network lie on this machine; none are ever downloaded."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from kodec.native import UnsupportedError

# torchvision's AlexNet, by the name under which torch.hub keeps it.
_WEIGHTS = "alexnet-owt-7be5be79.pth"

LPIPS_SMALLEST_SIDE = 64
"""In pixels; the network's pooling leaves nothing of smaller pictures."""


def why_no_lpips() -> str | None:
    """None where the network's weights are there; the reason otherwise."""
    path = _weights()
    if path.is_file():
        return None
    return f"torchvision's AlexNet weights are not at {path}, and kodec downloads nothing"


def lpips(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    """LPIPS version 0.1 of two 8-bit pictures (H, W, C) on AlexNet: 0 when identical.

    Lower is better. Gray is taken as R = G = B. "The unreasonable effectiveness of deep features as
    a perceptual metric" (Zhang et al., 2018), by torchmetrics. Raises UnsupportedError without the
    weights, and for pictures below 64 pixels a side.
    """
    if (why := why_no_lpips()) is not None:
        raise UnsupportedError(f"lpips cannot be computed here: {why}")
    if min(a.shape[:2]) < LPIPS_SMALLEST_SIDE:
        raise UnsupportedError(
            f"lpips needs pictures of {LPIPS_SMALLEST_SIDE} pixels or more a side"
        )
    with torch.inference_mode():
        return float(_network(_weights())(_to_tensor(a), _to_tensor(b)))


def _weights() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / _WEIGHTS


@lru_cache(maxsize=1)
def _network(path: Path) -> Any:
    from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

    return LearnedPerceptualImagePatchSimilarity("alex", normalize=True).eval()


def _to_tensor(picture: NDArray[np.uint8]) -> torch.Tensor:
    planes = np.broadcast_to(picture, (*picture.shape[:2], 3)).transpose(2, 0, 1)
    return torch.from_numpy(planes.astype(np.float32) / 255).unsqueeze(0)
