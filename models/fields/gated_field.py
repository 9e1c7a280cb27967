"""A sine network that pictures share, gated for each patch by factors from its latent vector.

    place in the patch --> sine layers, weights x gates --> sample
    latent vector --linear--> U, V of each layer --> gate 2 sigmoid(U V^T)

A reading of "Modality-agnostic variational compression of implicit neural representations" (2023),
which has no public code.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

W0 = 30.0


class GatedField(nn.Module):
    """hidden: widths of the hidden layers. latents: numbers of a latent vector. rank: of the gates.

    side: of a patch, in pixels.
    """

    def __init__(
        self, hidden: Sequence[int], latents: int, rank: int, side: int, components: int = 3
    ) -> None:
        super().__init__()
        self.widths = (2, *hidden, components)
        self.side, self.rank, self.latents = side, rank, latents
        pairs = list(zip(self.widths, self.widths[1:]))
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for number, (a, b) in enumerate(pairs):
            reach = 1 / a if number == 0 else math.sqrt(6 / a) / W0
            self.weights.append(torch.empty(a, b).uniform_(-reach, reach))
            self.biases.append(torch.zeros(b))
        self.factors = nn.Linear(latents, rank * sum(a + b for a, b in pairs))
        nn.init.normal_(self.factors.weight, std=0.1)
        nn.init.normal_(self.factors.bias, std=0.5)
        centres = (torch.arange(side) + 0.5) / side * 2 - 1
        self.register_buffer("places", torch.cartesian_prod(centres, centres), persistent=False)
        self.places: Tensor

    @property
    def macs(self) -> int:
        """Multiplications of a patch: gates from a latent vector, samples."""
        layers = sum(a * b for a, b in zip(self.widths, self.widths[1:]))
        return self.factors.weight.numel() + layers * (self.rank + self.side**2)

    def gates(self, latents: Tensor) -> list[Tensor]:
        """Of each layer, (N, inputs, outputs) in (0, 2), from latent vectors (N, latents)."""
        found, start = [], 0
        factors = self.factors(latents).unflatten(1, (-1, self.rank))
        for a, b in zip(self.widths, self.widths[1:]):
            left, right = factors[:, start : start + a], factors[:, start + a : start + a + b]
            found.append(2 * torch.sigmoid(left @ right.transpose(1, 2)))
            start += a + b
        return found

    def forward(self, latents: Tensor, pixels: Tensor | None = None) -> Tensor:
        """Samples (N, side^2, components), about [0, 1], of latent vectors (N, latents).

        pixels: which of a patch's, as indexes; without, all.
        """
        places = self.places if pixels is None else self.places[pixels]
        x = places.expand(len(latents), -1, -1)
        for number, gate in enumerate(self.gates(latents)):
            if number:
                x = torch.sin(W0 * x)
            x = torch.baddbmm(self.biases[number], x, self.weights[number] * gate)
        return x + 0.5
