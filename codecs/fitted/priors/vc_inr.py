"""VC-INR's shared weights: a gated network, and a learned codec of latent vectors.

    picture --patches--> latent vectors, by a few gradient steps --analysis--> y
    y --hyperprior--> y_hat --synthesis--> latent vectors --gates--> patches

A reading of "Modality-agnostic variational compression of implicit neural representations" (2023).
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kodec.codecs.coding_model import CodingModel
from kodec.entropy import Conditions, MeanScaleHyperprior, SymbolPort, as_role
from kodec.models.fields.gated_field import GatedField
from kodec.models.fields.recombiner import PatchLayout

INNER_STEPS = 3
FIRST_RATE = 10.0


class GatedFields(CodingModel):
    """hidden, rank, side: see `GatedField`. latents: numbers of a patch's vector, which are coded.

    width: of the analysis and the synthesis. hyper: channels of the hyper-latents, for 4 x 4
    patches.
    """

    def __init__(
        self,
        hidden: Sequence[int] = (32, 32),
        latents: int = 32,
        rank: int = 4,
        side: int = 16,
        width: int = 64,
        hyper: int = 16,
    ) -> None:
        super().__init__("guarded")
        self.side = side
        self.field = as_role("decoder", GatedField(hidden, latents, rank, side))
        # Of the few steps: a rate for each number, learned (Meta-SGD).
        self.rates = as_role("encoder", _Rates(latents))
        self.analysis = as_role("encoder", LatentTransform(latents, width))
        self.synthesis = as_role("decoder", LatentTransform(latents, width))
        self.latents = MeanScaleHyperprior(latents, hyper)

    def layout(self, height: int, width: int) -> PatchLayout:
        """The patches of a picture."""
        return PatchLayout.over(height, width, self.side, 1)

    @property
    def patch_macs(self) -> int:
        """Multiplications of a patch, but for the entropy model's."""
        own = (self.synthesis.first, self.synthesis.second)
        return self.field.macs + sum(layer.weight.numel() for layer in own)

    def symbols(self, layout: PatchLayout) -> int:
        """Symbols of a picture."""
        return self.latents.symbols(layout.rows, layout.columns)

    def inner_steps(
        self,
        targets: Tensor,
        steps: int = INNER_STEPS,
        pixels: Tensor | None = None,
        learn: bool = False,
    ) -> Tensor:
        """Latent vectors (N, latents) of patches (N, side^2, 3), by gradient steps from zero.

        pixels: which of a patch's the targets are. learn: gradients pass through the steps.
        """
        found = torch.zeros(len(targets), self.field.latents, requires_grad=True)
        for _ in range(steps):
            loss = (self.field(found, pixels) - targets).square().mean((1, 2)).sum()
            (gradient,) = torch.autograd.grad(loss, found, create_graph=learn)
            found = found - self.rates(gradient)
            if not learn:
                found = found.detach().requires_grad_()
        return found if learn else found.detach()

    def latent_grid(self, vectors: Tensor, layout: PatchLayout) -> Tensor:
        """(N, latents, rows, columns) of the vectors (N patches, latents)."""
        size = (-1, layout.rows, layout.columns, vectors.shape[1])
        return vectors.reshape(size).permute(0, 3, 1, 2)

    def code(self, y: Tensor | None, shape: torch.Size, port: SymbolPort) -> Tensor:
        """Pass latents (N, latents, rows, columns) through the port."""
        return self.latents.code(y, Conditions(shape), port)

    def samples(self, y: Tensor, pixels: Tensor | None = None) -> Tensor:
        """Samples (N, patches, pixels, 3) of coded latents (N, latents, rows, columns).

        pixels: which of a patch's; without, all.
        """
        y = y.to(next(self.synthesis.parameters()))
        vectors = self.synthesis(y).permute(0, 2, 3, 1).flatten(0, 2)
        found: Tensor = self.field(vectors, pixels).unflatten(0, (len(y), -1))
        return found

    def render(self, y: Tensor, layout: PatchLayout) -> Tensor:
        """Pictures (N, 3, H, W) of whole patches, of coded latents (N, latents, rows, columns)."""
        return layout.picture(self.samples(y))


class _Rates(nn.Module):
    """A rate for each of a vector's numbers."""

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.of_each = nn.Parameter(torch.full((numbers,), FIRST_RATE))

    def forward(self, gradient: Tensor) -> Tensor:
        """What is to be subtracted."""
        return self.of_each * gradient


class LatentTransform(nn.Module):
    """Latents to latents, position by position: a gain each, and a hidden layer beside it."""

    def __init__(self, latents: int, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(latents, width, 1)
        self.second = nn.Conv2d(width, latents, 1)
        self.gain = nn.Parameter(torch.ones(latents))
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(N, latents, h, w)."""
        found: Tensor = self.gain[:, None, None] * x + self.second(torch.tanh(self.first(x)))
        return found
