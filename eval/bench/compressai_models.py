"""CompressAI's models with random weights: peers of ours on whole pictures."""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from kodec.codecs import to_array, to_tensor

from .race import Contestant, Pixels

STRIDE = 64
"""Pixels for each of the hyper-latents, each way, at most."""


class CompressAIModel:
    """One of its models behind the two calls that are timed, pixels (H, W, C) to streams and back.

    Its networks take the time that trained ones take.
    """

    def __init__(self, network: Any) -> None:
        self._network = network
        self._network.update(force=True)

    @torch.inference_mode()
    def encode(self, pixels: Pixels) -> dict[str, Any]:
        """Streams, and the sizes of latents and picture."""
        x = to_tensor(pixels)
        height, width = x.shape[-2:]
        # Its models take whole strides of the hyper-latents only.
        x = nn.functional.pad(x, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
        found: dict[str, Any] = self._network.compress(x)
        return {**found, "size": (height, width)}

    @torch.inference_mode()
    def decode(self, coded: dict[str, Any]) -> Pixels:
        """The picture in RGB, uint8 (H, W, 3)."""
        decoded = self._network.decompress(**{k: coded[k] for k in ("strings", "shape")})
        height, width = coded["size"]
        return to_array(decoded["x_hat"][..., :height, :width], 3)

    def contestant(self, name: str, pixels: Pixels) -> Contestant:
        """The model on a picture, for a race."""
        steps = {"encode": lambda _: self.encode(pixels), "decode": self.decode}
        return Contestant(name, steps)


def published(family: str) -> nn.Module | None:
    """CompressAI's model of the size of our config of that name; None where it has none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from compressai import models
        from compressai.models.sensetime import Elic2022Official
    makers: dict[str, Callable[[], nn.Module]] = {
        "bmshj2018-factorized": lambda: models.FactorizedPrior(128, 192),
        "bmshj2018-hyperprior": lambda: models.ScaleHyperprior(128, 192),
        "mbt2018-mean": lambda: models.MeanScaleHyperprior(128, 192),
        "mbt2018": lambda: models.JointAutoregressiveHierarchicalPriors(192, 192),
        "cheng2020-anchor": lambda: models.Cheng2020Anchor(128),
        "cheng2020-attn": lambda: models.Cheng2020Attention(128),
        "elic": lambda: Elic2022Official(192, 320),
    }
    return makers[family]().eval() if family in makers else None


def coded_bytes(coded: Any) -> int:
    """Bytes of a file, or of CompressAI's nested lists of streams."""
    if isinstance(coded, bytes):
        return len(coded)
    if isinstance(coded, dict):
        return coded_bytes(coded["strings"])
    return sum(coded_bytes(part) for part in coded)
