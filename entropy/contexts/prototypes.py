"""Prototypes of regions as side latents, and a hyperprior's adaptation to them.

    features --mean over each region--> 1x1 layers --(factorised prior)--> 1x1 layers --> prototypes

Source: "Region-adaptive transform with segmentation prior for image compression" (2024). The
regions are the cells of a grid, or in training those that `Conditions` give.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from kodec.entropy.factorised_prior import FactorisedPrior
from kodec.entropy.ports.port import Conditions, SymbolPort
from kodec.entropy.roles import encoder_only
from kodec.models.blocks import GDN, RegionAdaptive
from kodec.native import InvalidInputError

from .regions import GridRegions, LabelledRegions, Regions

# From a tensor to one of the same shape.
Change = Callable[[Tensor], Tensor]


def _layers(widths: Sequence[int], inverse: bool) -> nn.Sequential:
    """1x1 convolutions through `widths`, divisive normalisation between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Conv2d(inputs, outputs, 1), GDN(outputs, inverse)]
    return nn.Sequential(*layers[:-1])


class RegionPrototypes(nn.Module):
    """Features (N, `channels`, h, w) -> at every position its region's prototype, by the port.

    analysis: widths of the encoder's network, the last being the channels that are coded.
    synthesis: hidden widths of the decoder's. grid: rows and columns of the regions, where there
    are no labels. per_latent: positions of the features for a latent position, each way. name: of
    the block at the port. centred: see `FactorisedPrior`.
    """

    exact = True

    def __init__(
        self,
        channels: int = 192,
        analysis: tuple[int, ...] = (128, 96, 96),
        synthesis: tuple[int, ...] = (128, 192),
        grid: int = 4,
        per_latent: int = 4,
        name: str = "prototypes",
        centred: bool = False,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.grid = grid
        self.per_latent = per_latent
        self.name = name
        self.analysis = encoder_only(_layers((channels, *analysis), inverse=False))
        self.prior = FactorisedPrior(analysis[-1], (3, 3, 3, 3), centred=centred)
        self.synthesis = _layers((analysis[-1], *synthesis, channels), inverse=True)

    def symbols(self, h: int, w: int) -> int:
        """Symbols that one item of h x w latent positions puts through the port: always as many."""
        return self.prior.channels * self.grid**2

    def code(self, features: Tensor | None, cond: Conditions, port: SymbolPort) -> Tensor:
        """Pass the means of the regions through `port`; prototypes (N, channels, h, w).

        Raises `InvalidInputError` where the features have another size than they should.
        """
        n, _, rows, columns = cond.latent_shape
        h, w = rows * self.per_latent, columns * self.per_latent
        regions: Regions
        labels = cond.hints.get("regions")
        if labels is None:
            regions = GridRegions(self.grid, h, w)
        else:
            regions = LabelledRegions(labels, h, w)
        coded = None
        if features is not None:
            if features.shape[-2:] != (h, w):
                raise InvalidInputError(
                    f"features have {features.shape[-2]}x{features.shape[-1]} positions, where "
                    f"{self.per_latent} for a latent position are {h}x{w}: set per_latent"
                )
            like = next(self.analysis.parameters())
            coded = self.analysis(regions.means(features.to(like))).to(self.prior.matrices[0])
        shape = torch.Size((n, self.prior.channels, *regions.shape))
        block = self.prior.distribution(shape, regions.present)
        prototypes: Tensor = self.synthesis(port.code(self.name, coded, block))
        return regions.spread(prototypes)


class RegionAdaptation(nn.Module):
    """Makes a hyperprior adapt to prototypes of the latents' regions, which are coded before it.

        y --> prototypes --> port
        y --> adapt --> hyper-analysis --> z --> port --> hyper-synthesis --> adapt --> features

    channels: of the latents. features: widths of the parts of the hyper-synthesis' output, each
    adapted by layers of its own, such as means and scales. The rest: see `RegionPrototypes`.
    """

    def __init__(
        self,
        channels: int = 320,
        features: tuple[int, ...] = (320, 320),
        analysis: tuple[int, ...] = (192, 128, 96),
        synthesis: tuple[int, ...] = (128, 192),
        grid: int = 4,
        centred: bool = False,
    ) -> None:
        super().__init__()
        self.features = tuple(features)
        self.prototypes = RegionPrototypes(
            channels, analysis, synthesis, grid, 1, "latent_prototypes", centred
        )
        self.before = encoder_only(RegionAdaptive(channels, channels))
        self.after = nn.ModuleList(RegionAdaptive(width, channels) for width in features)

    def code(self, y: Tensor | None, cond: Conditions, port: SymbolPort) -> tuple[Change, Change]:
        """Pass the prototypes through the port.

        Returns what adapts the latents (N, channels, h, w) that the hyper-analysis sees, and what
        adapts the features (N, sum of `features`, h, w) that come from the hyper-synthesis.
        """
        prototypes = self.prototypes.code(y, cond, port)

        def latents(y: Tensor) -> Tensor:
            out: Tensor = self.before(y, prototypes.to(y))
            return out

        def features(x: Tensor) -> Tensor:
            parts = zip(self.after, torch.split(x, list(self.features), dim=1), strict=True)
            return torch.cat([adapt(part, prototypes) for adapt, part in parts], dim=1)

        return latents, features
