"""Generalised divisive normalisation."""

import torch
from torch import Tensor, nn

from .core_floats import core_multiplies_floats
from .core_layers import normalise
from .lower_bound import lower_bound

LEAST_BETA = 1e-6
# Weights are stored as sqrt(weight + PEDESTAL): never negative, and with gradients near zero.
PEDESTAL = 2.0**-36
# Positions at a time, without gradients: what lies between input and output stays in the cache.
PORTION = 2048
FEW_POSITIONS = 512


class GDN(nn.Module):
    """x[i] / sqrt(beta[i] + sum_j gamma[i, j] x[j]^2) at each position: (N, C, H, W), same shape.

    inverse: multiply by the root instead. inplace: overwrite the input where no gradient is
    asked for, if it lies in memory without gaps, for inputs that nothing else holds. beta (C,) and
    gamma (C, C) are the stored square roots; they start at 1 and at 0.1 times the identity.
    Computed in the precision of the weights, with autocasting off: squares leave the range of
    16-bit floats.

    Sources: "Density modeling of images using a generalized normalization transformation" (2016);
    the storage, "Efficient nonlinear transforms for lossy image compression" (2018).
    """

    def __init__(self, channels: int, inverse: bool = False, inplace: bool = False) -> None:
        super().__init__()
        self.inverse = inverse
        self.inplace = inplace
        self.beta = nn.Parameter((torch.ones(channels) + PEDESTAL).sqrt())
        self.gamma = nn.Parameter((0.1 * torch.eye(channels) + PEDESTAL).sqrt())

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, H, W)."""
        with torch.autocast(x.device.type, enabled=False):
            x = x.to(self.beta.dtype)
            beta, gamma = self.weights()
            if x.device.type == "cpu" and not torch.is_grad_enabled():
                core = core_multiplies_floats(x, x.shape[1:].numel() * len(beta))
                # Of few positions neither the core nor the cache saves what laying them out takes.
                if core or x.shape[-2:].numel() > FEW_POSITIONS:
                    return self._channels_last(x, beta, gamma, core)
            energy = nn.functional.conv2d(x.square(), gamma[..., None, None], beta)
            return x * (energy.sqrt_() if self.inverse else energy.rsqrt_())

    def weights(self) -> tuple[Tensor, Tensor]:
        """beta (C,) and gamma (C, C), of what is stored; none is negative."""
        beta = lower_bound(self.beta, (LEAST_BETA + PEDESTAL) ** 0.5).square() - PEDESTAL
        return beta, lower_bound(self.gamma, PEDESTAL**0.5).square() - PEDESTAL

    def _channels_last(self, x: Tensor, beta: Tensor, gamma: Tensor, core: bool) -> Tensor:
        """The same for a CPU and without gradients; the result lies channels last."""
        places = x.movedim(1, -1)
        free = self.inplace or not places.is_contiguous()
        places = places.contiguous()
        out = places if free else torch.empty_like(places)
        rows, results = places.flatten(0, 2), out.flatten(0, 2)
        if core:
            normalise(rows, gamma, beta, results, self.inverse)
            return out.movedim(-1, 1)
        parts = zip(torch.split(rows, PORTION), torch.split(results, PORTION), strict=True)
        for part, place in parts:
            energy = torch.addmm(beta, part.square(), gamma.t())
            torch.mul(part, energy.sqrt_() if self.inverse else energy.rsqrt_(), out=place)
        return out.movedim(-1, 1)
