"""RECOMBINER: a picture is one sample of its networks' posterior, sent as indexes.

Source: "RECOMBINER: Robust and enhanced compression with Bayesian implicit neural representations"
(2024).
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from kodec.codecs.coding_model import CodingModel
from kodec.entropy import as_role
from kodec.entropy.relative_entropy import check_bits
from kodec.models.fields.recombiner import PatchField, PatchLayout

from .sample_plan import Level, SamplePlan

DEFAULT_BITS = 12
FIRST_SCALE = 0.02
# Largest to smallest: each level's vectors add to the weights of the patches below.
LEVELS = ("whole", "group", "patch")


class LevelPrior(nn.Module):
    """The prior of a level's vectors of n numbers, from which all pictures' posteriors start.

    raw_start: the posteriors' usual scale, as `scale_of` has it; costs: the average divergence of
    each number in 1/1024 bit.
    """

    def __init__(self, n: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(n))
        self.scale = nn.Parameter(torch.full((n,), FIRST_SCALE))
        self.raw_start = nn.Parameter(torch.full((n,), -4.0))
        self.register_buffer("costs", torch.zeros(n, dtype=torch.int32))
        self.costs: Tensor

    def level(self, rows: int) -> Level:
        """The level of a picture with so many vectors."""
        return Level(rows, self.costs.numpy().astype(np.int64).clip(0))


def scale_of(raw: Tensor) -> Tensor:
    """A Gaussian's scale from what is optimised: softplus / 6."""
    return functional.softplus(raw) / 6


class Recombiner(CodingModel):
    """The prior of all pictures and what turns its numbers into pixels: the shared weights.

    hidden, fourier, encoding, side: see `PatchField`. group: patches along a group's side. A
    picture of any size is covered by patches from its top left corner. Nothing here is the
    encoder's alone but `raw_start` and `kl_weight`.
    """

    def __init__(
        self,
        hidden: Sequence[int] = (16, 16),
        fourier: int = 16,
        encoding: Sequence[int] = (8, 8, 8),
        side: int = 32,
        group: int = 2,
    ) -> None:
        super().__init__("exact")
        latent, between, out = encoding
        self.field = as_role("decoder", PatchField(hidden, fourier, (latent, between, out), side))
        self.side, self.group = side, group
        n = self.field.weights
        sizes = {"whole": n, "group": n, "patch": n + self.field.latents}
        priors = nn.ModuleDict({level: LevelPrior(size) for level, size in sizes.items()})
        # Sizes of blocks come from integer costs: no other number decides what is parsed.
        self.priors = as_role("decoder", priors)
        # Nats to mean squared error of a patch: what training found for its rate.
        self.register_buffer("kl_weight", torch.tensor(1e-5, dtype=torch.float32))
        self.kl_weight: Tensor

    def prior(self, level: str) -> LevelPrior:
        """One of `LEVELS`."""
        prior = self.priors[level]
        assert isinstance(prior, LevelPrior)
        return prior

    def layout(self, height: int, width: int) -> PatchLayout:
        """The patches of a picture."""
        return PatchLayout.over(height, width, self.side, self.group)

    def rows(self, layout: PatchLayout) -> Mapping[str, int]:
        """How many vectors each level has."""
        return {"whole": 1, "group": layout.groups, "patch": layout.patches}

    def plan(self, layout: PatchLayout, bits: int, seed: int) -> SamplePlan:
        """The blocks of a picture. Raises `InvalidInputError` for bits that a block can't have."""
        check_bits(bits)
        rows = self.rows(layout)
        return SamplePlan.of([self.prior(name).level(rows[name]) for name in LEVELS], bits, seed)

    def flat(self, layout: PatchLayout, name: str) -> Tensor:
        """`mean`, `scale` or `raw_start` of all numbers of a picture, one flat vector."""
        rows = self.rows(layout)
        return torch.cat([getattr(self.prior(key), name).repeat(rows[key]) for key in LEVELS])

    def levels(self, flat: Tensor, layout: PatchLayout) -> dict[str, Tensor]:
        """A flat vector (N, numbers) as (N, rows, numbers of a row) by level."""
        rows = self.rows(layout)
        sizes = [rows[key] * len(self.prior(key).mean) for key in LEVELS]
        parts = zip(LEVELS, flat.split(sizes, 1), strict=True)
        return {key: part.unflatten(1, (rows[key], -1)) for key, part in parts}

    def render(self, flat: Tensor, layout: PatchLayout, pixels: Tensor | None = None) -> Tensor:
        """Samples (N, patches, pixels, 3) of flat vectors (N, numbers), see `PatchField`."""
        levels = self.levels(flat, layout)
        h, latents = levels["patch"].split((self.field.weights, self.field.latents), 2)
        encodings = self.field.encodings(latents, layout)
        rendered: Tensor = self.field(
            h, levels["group"], levels["whole"], encodings, layout, pixels
        )
        return rendered

    @torch.no_grad()
    def numbers(self, plan: SamplePlan, indexes: Tensor, layout: PatchLayout) -> Tensor:
        """The flat vector (1, numbers) of all blocks' samples, indexes (blocks,).

        Prior mean + prior scale x normal: both factors are stored, and product and sum are single
        operations, the same everywhere.
        """
        normals = torch.from_numpy(plan.normals(indexes.cpu().numpy()))
        return (self.flat(layout, "mean") + self.flat(layout, "scale") * normals)[None]


def initial_weights(field: PatchField) -> Tensor:
    """A vector h with which layers start as a SIREN's, where matrices are the identity."""
    parts = []
    for i, (a, b) in enumerate(zip(field.widths, field.widths[1:])):
        reach = 1 / a if i == 0 else math.sqrt(6 / a) / 30
        parts.append(torch.cat((torch.zeros(b), torch.empty(a * b).uniform_(-reach, reach))))
    return torch.cat(parts)
