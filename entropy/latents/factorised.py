"""The simplest latent model: every channel has one density, the same everywhere."""

from collections.abc import Sequence

from torch import Tensor, nn

from kodec.entropy.factorised_prior import FactorisedPrior
from kodec.entropy.ports.port import Conditions, SymbolPort, refuse_hyper_latents
from kodec.native import InvalidInputError


class FactorisedLatents(nn.Module):
    """Latents (N, `channels`, h, w) under a `FactorisedPrior`, without side latents.

    Source: "Variational image compression with a scale hyperprior" (2018), its baseline.
    filters, centred: see `FactorisedPrior`.
    """

    exact = True

    def __init__(
        self, channels: int = 192, filters: Sequence[int] = (3, 3, 3), centred: bool = False
    ) -> None:
        super().__init__()
        self.channels = channels
        self.prior = FactorisedPrior(channels, tuple(filters), centred=centred)

    def symbols(self, h: int, w: int) -> int:
        """Symbols that one item of h x w latent positions puts through the port."""
        return self.channels * h * w

    def hyper_latents(self, y: Tensor, cond: Conditions) -> None:
        """It has none."""

    def code(
        self, y: Tensor | None, cond: Conditions, port: SymbolPort, z: Tensor | None = None
    ) -> Tensor:
        """Pass the latents through `port`; returns what the decoder sees, (N, C, h, w)."""
        refuse_hyper_latents(z)
        if cond.latent_shape[1] != self.channels:
            raise InvalidInputError(
                f"latents have {cond.latent_shape[1]} channels, the model {self.channels}"
            )
        y = None if y is None else y.to(self.prior.matrices[0])
        return port.code("y", y, self.prior.distribution(cond.latent_shape))
