"""Prototypes of regions as side latents.

    features --mean over each region--> 1x1 layers --(factorised prior)--> 1x1 layers --> prototypes

Source: "Region-adaptive transform with segmentation prior for image compression" (2024). The
regions are the cells of a grid, as in that paper's coding; its training may also use segmentation
masks, which this has no input for.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kodec.models.blocks import GDN

from .factorised_prior import FactorisedPrior
from .ports import Conditions, SymbolPort


def _layers(widths: Sequence[int], inverse: bool) -> nn.Sequential:
    """1x1 convolutions through `widths`, divisive normalisation between them."""
    layers: list[nn.Module] = []
    for inputs, outputs in zip(widths[:-1], widths[1:], strict=True):
        layers += [nn.Conv2d(inputs, outputs, 1), GDN(outputs, inverse)]
    return nn.Sequential(*layers[:-1])


class RegionPrototypes(nn.Module):
    """Features (N, `channels`, H, W) -> prototypes (N, `channels`, `grid`, `grid`), by the port.

    analysis: widths of the encoder's network, the last being the channels that are coded.
    synthesis: hidden widths of the decoder's. name: of the block at the port.
    """

    encoder_only_modules = ("analysis",)
    encoder_only_arguments = ()

    def __init__(
        self,
        channels: int = 192,
        analysis: tuple[int, ...] = (128, 96, 96),
        synthesis: tuple[int, ...] = (128, 192),
        grid: int = 4,
        name: str = "prototypes",
    ) -> None:
        super().__init__()
        self.channels = channels
        self.grid = grid
        self.name = name
        self.analysis = _layers((channels, *analysis), inverse=False)
        self.prior = FactorisedPrior(analysis[-1], (3, 3, 3, 3))
        self.synthesis = _layers((analysis[-1], *synthesis, channels), inverse=True)

    def build_tables(self) -> None:
        """Build the coder tables from the present weights."""
        self.prior.build()

    def symbols(self, h: int, w: int) -> int:
        """Symbols that one item of h x w latent positions puts through the port: always as many."""
        return self.prior.channels * self.grid**2

    def code(self, features: Tensor | None, cond: Conditions, port: SymbolPort) -> Tensor:
        """Pass the means of the grid's cells through `port`; (N, channels, grid, grid)."""
        coded = None
        if features is not None:
            like = next(self.analysis.parameters())
            means = nn.functional.adaptive_avg_pool2d(features.to(like), self.grid)
            coded = self.analysis(means).to(self.prior.matrices[0])
        n = cond.latent_shape[0]
        shape = torch.Size((n, self.prior.channels, self.grid, self.grid))
        out: Tensor = self.synthesis(port.code(self.name, coded, self.prior.distribution(shape)))
        return out
