"""Hyperpriors: side latents that predict every latent's scale, or its mean and scale.

    y --> hyper-analysis --> z --(factorised prior)--> z_hat --> hyper-synthesis --> mean, scale
    y --(Gaussian of that mean and scale)--> y_hat

Sources: "Variational image compression with a scale hyperprior" (2018); "Joint autoregressive and
hierarchical priors for learned image compression" (2018), its variant without autoregression.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kodec.entropy.contexts.prototypes import Change, RegionAdaptation
from kodec.entropy.distributions import LocationScale, ScaleTables
from kodec.entropy.factorised_prior import FactorisedPrior
from kodec.entropy.ports.port import Conditions, SymbolPort
from kodec.entropy.roles import encoder_only
from kodec.models.blocks import lower_bound, replicated
from kodec.native import InvalidInputError

from .hyper_networks import HYPER_STRIDE, STRIDES, hyper_networks

SMALLEST_SCALE = 0.11


def pad_to_hyper_stride(y: Tensor, stride: int = HYPER_STRIDE) -> Tensor:
    """Latents (N, C, h, w), replicated at the right and bottom up to a multiple of the stride."""
    return replicated(y, stride)


def _unchanged(x: Tensor) -> Tensor:
    return x


class WithHyperLatents(nn.Module):
    """What every latent model with hyper-latents shares, whatever its networks are."""

    encoder_only_arguments: tuple[str, ...] = ("lagrangian",)

    channels: int
    hyper_stride: int = HYPER_STRIDE
    """Latent positions per position of the hyper-latents, each way."""
    hyper_prior: FactorisedPrior
    scale_tables: ScaleTables

    def symbols(self, h: int, w: int) -> int:
        """Symbols that one item of h x w latent positions puts through the port."""
        latents = (1, self.channels, h, w)
        return math.prod(latents) + self.hyper_shape(latents).numel()

    def hyper_shape(self, latent_shape: Sequence[int]) -> torch.Size:
        """Shape (N, `hyper`, h', w') of the hyper-latents of latents (N, C, h, w)."""
        n, _, h, w = latent_shape
        stride = self.hyper_stride
        return torch.Size((n, self.hyper_prior.channels, -(-h // stride), -(-w // stride)))

    def check(self, cond: Conditions) -> None:
        """Raise `InvalidInputError` where the latents are not for this model."""
        channels = cond.latent_shape[1]
        if channels != self.channels:
            raise InvalidInputError(f"latents have {channels} channels, the model {self.channels}")

    def code_z(self, z: Tensor | None, cond: Conditions, port: SymbolPort) -> Tensor:
        """Pass the hyper-latents through the port."""
        shape = self.hyper_shape(cond.latent_shape)
        return port.code("z", z, self.hyper_prior.distribution(shape))


class Hyperprior(WithHyperLatents):
    """Latent models whose hyper-latents come from convolutional networks.

    channels: of the latents. hyper: of the hyper-latents, whose size is that of the latents by the
    stride of the networks. networks: see `hyper_networks`. outputs: features that they predict, by
    default 2 `channels` (means, then scales). scales: "log" where networks predict natural logs,
    with skipping below the smallest table; "linear" where they predict the scale itself, never
    below 0.11, as published models do.
    prior_filters, centred_prior: see `FactorisedPrior`. family, guard: see `ScaleTables`.
    lagrangian: see `LocationScale`, at the encoder only. adaptation: of the hyper-networks to the
    latents' regions, whose prototypes are coded first.
    """

    def __init__(
        self,
        channels: int = 192,
        hyper: int = 128,
        networks: str = "mbt2018",
        outputs: int | None = None,
        scales: str = "log",
        prior_filters: Sequence[int] = (3, 3, 3),
        centred_prior: bool = False,
        family: str = "gaussian",
        guard: float = 1e-9,
        lagrangian: float = 0.0,
        adaptation: RegionAdaptation | None = None,
    ) -> None:
        super().__init__()
        if scales not in ("log", "linear"):
            raise InvalidInputError(f"scales are 'log' or 'linear', not {scales!r}")
        self.channels = channels
        self.outputs = outputs or 2 * channels
        self.hyper_stride = STRIDES.get(networks, HYPER_STRIDE)
        self.log_scales = scales == "log"
        self.lagrangian = lagrangian
        analysis, self.hyper_synthesis = hyper_networks(networks, channels, hyper, self.outputs)
        self.hyper_analysis = encoder_only(analysis)
        self.hyper_prior = FactorisedPrior(hyper, tuple(prior_filters), centred=centred_prior)
        self.scale_tables = ScaleTables(family, smallest=SMALLEST_SCALE, guard=guard)
        self.adaptation = adaptation
        if adaptation is not None:
            given = (adaptation.prototypes.channels, sum(adaptation.features))
            if given != (channels, self.outputs):
                raise InvalidInputError(
                    f"the adaptation is for {given[0]} channels and {given[1]} features, the "
                    f"hyperprior has {channels} and {self.outputs}: give both the same"
                )

    def symbols(self, h: int, w: int) -> int:
        """Symbols that one item of h x w latent positions puts through the port."""
        side = 0 if self.adaptation is None else self.adaptation.prototypes.symbols(h, w)
        return super().symbols(h, w) + side

    def take(self, y: Tensor | None) -> Tensor | None:
        """The latents in the model's own precision and on its device."""
        return None if y is None else y.to(self.hyper_prior.matrices[0])

    def hyper_input(self, y: Tensor) -> Tensor:
        """What the hyper-analysis sees of the latents."""
        return y

    def hyper_latents(self, y: Tensor, cond: Conditions) -> Tensor | None:
        """What the hyper-analysis makes of `y`, (N, `hyper`, h', w'); None with an adaptation."""
        return self._hyper_latents(y) if self.adaptation is None else None

    def _hyper_latents(self, seen: Tensor) -> Tensor:
        """Of latents as the hyper-analysis sees them; in the precision of the prior."""
        seen = seen.to(next(self.hyper_analysis.parameters()))
        z: Tensor = self.hyper_analysis(
            self.hyper_input(pad_to_hyper_stride(seen, self.hyper_stride))
        )
        return z.to(self.hyper_prior.matrices[0])

    def code_hyper(
        self, y: Tensor | None, cond: Conditions, port: SymbolPort, z: Tensor | None = None
    ) -> Tensor:
        """Pass the hyper-latents through the port; returns features (N, `outputs`, h, w).

        z: instead of what the hyper-analysis makes of y. With an adaptation, the prototypes of the
        latents' regions pass the port first.
        """
        self.check(cond)
        h, w = cond.latent_shape[-2:]
        weight = self.hyper_prior.matrices[0]
        adapt: tuple[Change, Change] = (_unchanged, _unchanged)
        if self.adaptation is not None:
            adapt = self.adaptation.code(y, cond, port)
        if z is None and y is not None:
            z = self._hyper_latents(adapt[0](y.to(next(self.hyper_analysis.parameters()))))
        features: Tensor = self.hyper_synthesis(self.code_z(z, cond, port))
        return adapt[1](features[..., :h, :w].to(weight))

    def block(self, mean: Tensor, scale: Tensor) -> LocationScale:
        """The distribution of a block; `scale` as the networks predict it."""
        if not self.log_scales:
            scale = torch.log(lower_bound(scale, SMALLEST_SCALE))
        return LocationScale(mean, scale, self.scale_tables, self.lagrangian)


class MeanScaleHyperprior(Hyperprior):
    """Latents (N, `channels`, h, w), with `hyper` channels of hyper-latents at a quarter size.

    Arguments: see `Hyperprior`.
    """

    def code(
        self, y: Tensor | None, cond: Conditions, port: SymbolPort, z: Tensor | None = None
    ) -> Tensor:
        """Pass the latents through `port`; returns what the decoder sees, (N, C, h, w)."""
        mean, scale = self.code_hyper(y, cond, port, z).chunk(2, dim=1)
        return port.code("y", self.take(y), self.block(mean, scale))


class ScaleHyperprior(Hyperprior):
    """Scales alone are predicted, from the latents' magnitudes; every mean is zero.

    Source: "Variational image compression with a scale hyperprior" (2018). Arguments: see
    `Hyperprior`.
    """

    def __init__(
        self, channels: int = 192, hyper: int = 128, networks: str = "bmshj2018", **settings: Any
    ) -> None:
        super().__init__(channels, hyper, networks, outputs=channels, **settings)

    def hyper_input(self, y: Tensor) -> Tensor:
        """Magnitudes."""
        return y.abs()

    def code(
        self, y: Tensor | None, cond: Conditions, port: SymbolPort, z: Tensor | None = None
    ) -> Tensor:
        """Pass the latents through `port`; returns what the decoder sees, (N, C, h, w)."""
        scale = self.code_hyper(y, cond, port, z)
        return port.code("y", self.take(y), self.block(torch.zeros_like(scale), scale))
