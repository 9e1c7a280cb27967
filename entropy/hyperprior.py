"""The mean-scale hyperprior: side latents that predict every latent's mean and scale.

    y --> hyper-analysis --> z --(factorised prior)--> z_hat --> hyper-synthesis --> mean, scale
    y --(Gaussian of that mean and scale)--> y_hat

Source: "Joint autoregressive and hierarchical priors for learned image compression" (2018), its
variant without autoregression.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kodec.native import InvalidInputError

from .distributions import FactorisedPrior, LocationScale, ScaleTables
from .ports import Conditions, SymbolPort

HYPER_STRIDE = 4


def hyper_shape(latent_shape: Sequence[int], channels: int) -> torch.Size:
    """Shape (N, `channels`, h', w') of the hyper-latents of latents (N, C, h, w)."""
    n, _, h, w = latent_shape
    return torch.Size((n, channels, -(-h // HYPER_STRIDE), -(-w // HYPER_STRIDE)))


def symbols_with_hyper(channels: int, hyper: int, h: int, w: int) -> int:
    """Symbols of one item: latents (`channels`, h, w) and their hyper-latents (`hyper`, h', w')."""
    latents = (1, channels, h, w)
    return math.prod(latents) + hyper_shape(latents, hyper).numel()


def pad_to_hyper_stride(y: Tensor) -> Tensor:
    """Latents (N, C, h, w), replicated at the right and bottom up to a multiple of the stride."""
    h, w = y.shape[-2:]
    return nn.functional.pad(y, (0, -w % HYPER_STRIDE, 0, -h % HYPER_STRIDE), mode="replicate")


class MeanScaleHyperprior(nn.Module):
    """Latents (N, `channels`, h, w), with `hyper` channels of hyper-latents at a quarter size.

    family, guard: see `ScaleTables`. lagrangian: see `LocationScale`, at the encoder only.
    """

    encoder_only_modules = ("hyper_analysis",)
    encoder_only_arguments = ("lagrangian",)

    def __init__(
        self,
        channels: int = 192,
        hyper: int = 128,
        family: str = "gaussian",
        guard: float = 1e-9,
        lagrangian: float = 0.0,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.lagrangian = lagrangian
        middle = channels * 3 // 2
        self.hyper_analysis = nn.Sequential(
            nn.Conv2d(channels, hyper, 3, padding=1),
            nn.LeakyReLU(),
            nn.Conv2d(hyper, hyper, 5, stride=2, padding=2),
            nn.LeakyReLU(),
            nn.Conv2d(hyper, hyper, 5, stride=2, padding=2),
        )
        self.hyper_synthesis = nn.Sequential(
            nn.ConvTranspose2d(hyper, channels, 5, stride=2, padding=2, output_padding=1),
            nn.LeakyReLU(),
            nn.ConvTranspose2d(channels, middle, 5, stride=2, padding=2, output_padding=1),
            nn.LeakyReLU(),
            nn.Conv2d(middle, 2 * channels, 3, padding=1),
        )
        self.hyper_prior = FactorisedPrior(hyper)
        self.scale_tables = ScaleTables(family, guard=guard)

    def build_tables(self) -> None:
        """Build the coder tables from the present weights."""
        self.scale_tables.build()
        self.hyper_prior.build()

    def symbols(self, h: int, w: int) -> int:
        """Symbols that one item of h x w latent positions puts through the port."""
        return symbols_with_hyper(self.channels, self.hyper_prior.channels, h, w)

    def code(self, y: Tensor | None, cond: Conditions, port: SymbolPort) -> Tensor:
        """Pass the latents through `port`; returns what the decoder sees, (N, C, h, w)."""
        _, channels, h, w = cond.latent_shape
        if channels != self.channels:
            raise InvalidInputError(f"latents have {channels} channels, the model {self.channels}")
        weight = self.hyper_prior.matrices[0]
        z = None
        if y is not None:
            like = next(self.hyper_analysis.parameters())
            z = self.hyper_analysis(pad_to_hyper_stride(y.to(like))).to(weight)
            y = y.to(weight)
        shape = hyper_shape(cond.latent_shape, self.hyper_prior.channels)
        z_hat = port.code("z", z, self.hyper_prior.distribution(shape))
        parameters = self.hyper_synthesis(z_hat)[..., :h, :w].to(weight)
        mean, log_scale = parameters.chunk(2, dim=1)
        dist = LocationScale(mean, log_scale, self.scale_tables, self.lagrangian)
        return port.code("y", y, dist)
