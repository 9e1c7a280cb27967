"""RECOMBINER's network: pictures in patches, each a small sine network with a learned encoding.

Source: "RECOMBINER: Robust and enhanced compression with Bayesian implicit neural representations"
(2024).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from kodec.native import InvalidInputError

W0 = 30.0
HIGHEST_FREQUENCY = 1024.0
UPSAMPLED = (4, 2, 2)
STRIDE = math.prod(UPSAMPLED)
"""Pixels of a patch to a position of its latent encoding, along each side."""


@dataclass(frozen=True)
class PatchLayout:
    """A picture in rows x columns patches of side x side pixels, in groups of group x group.

    Groups at the right and the bottom edge may have fewer.
    """

    rows: int
    columns: int
    side: int
    group: int

    @classmethod
    def over(cls, height: int, width: int, side: int, group: int) -> "PatchLayout":
        """The patches that cover so many pixels."""
        return cls(-(-height // side), -(-width // side), side, group)

    @property
    def patches(self) -> int:
        """How many there are, row by row."""
        return self.rows * self.columns

    @property
    def groups(self) -> int:
        """How many groups of patches, row by row."""
        return -(-self.rows // self.group) * -(-self.columns // self.group)

    def group_of(self) -> Tensor:
        """The group of each patch (patches,)."""
        rows = torch.arange(self.rows) // self.group
        columns = torch.arange(self.columns) // self.group
        return (rows[:, None] * -(-self.columns // self.group) + columns).flatten()

    def picture(self, patches: Tensor) -> Tensor:
        """(N, C, rows x side, columns x side) of patches (N, patches, side^2, C)."""
        grid = (self.rows, self.columns, self.side, self.side)
        split = patches.reshape(len(patches), *grid, -1)
        return split.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)

    def split(self, x: Tensor) -> Tensor:
        """Patches (N, patches, side^2, C) of a picture (N, C, rows x side, columns x side)."""
        n, channels = x.shape[:2]
        split = x.reshape(n, channels, self.rows, self.side, self.columns, self.side)
        return split.permute(0, 2, 4, 3, 5, 1).reshape(n, self.patches, self.side**2, channels)


def fourier_features(side: int, features: int) -> Tensor:
    """Cosines, then sines, of a patch's pixels (side^2, features), row by row.

    Coordinates are centres of pixels in (-1, 1), the row's before the column's; a quarter of the
    features is the number of frequencies, from 1 to 1024 half turns, evenly in their logarithm.
    """
    # Phases in float32 as the authors': rounding shows in the highest, which are hundreds of turns.
    count = features // 4
    frequencies = torch.linspace(0, math.log(HIGHEST_FREQUENCY), count, dtype=torch.float64).exp()
    centres = ((torch.arange(side) + 0.5) / side * 2 - 1).float()
    phases = math.pi * (centres[:, None] * frequencies.float())
    rows = phases.repeat_interleave(side, 0)
    angles = torch.cat((rows, phases.repeat(side, 1)), 1).double()
    return torch.cat((angles.cos(), angles.sin()), 1).float()


class EncodingUpsampler(nn.Module):
    """Latent encodings of a picture to one encoding a pixel: nearest neighbours and convolutions.

    channels: of the latents, in between, of the encoding. Stride 16.
    """

    def __init__(self, channels: tuple[int, int, int]) -> None:
        super().__init__()
        latent, hidden, out = channels
        self.conv1 = nn.Conv2d(latent, hidden, 5, padding=2)
        self.conv2 = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.conv3 = nn.Conv2d(hidden, out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, latent, h, w) to (N, out, 16 h, 16 w)."""
        for factor, convolution in zip(
            UPSAMPLED, (self.conv1, self.conv2, self.conv3), strict=True
        ):
            x = convolution(functional.interpolate(x, scale_factor=float(factor)))
            if convolution is not self.conv3:
                x = functional.leaky_relu(x)
        return x


class PatchField(nn.Module):
    """Sine networks over patches, of coded vectors that learned matrices turn into weights.

    hidden: widths of the hidden layers. fourier: features of coordinates, a multiple of 4.
    encoding: channels of the latent encoding, in between, and of what a pixel gets. side: of a
    patch in pixels, a multiple of 16. Weights of layer l are (h + h_group + h_whole) A_l, biases
    first, then (in, out). Raises `InvalidInputError`.
    """

    def __init__(
        self,
        hidden: Sequence[int],
        fourier: int,
        encoding: tuple[int, int, int],
        side: int,
        components: int = 3,
    ) -> None:
        super().__init__()
        if side % STRIDE or side <= 0 or fourier % 4 or fourier <= 0:
            raise InvalidInputError(
                f"patches are of multiples of {STRIDE} pixels and have multiples of 4 features, "
                f"not {side} and {fourier}"
            )
        self.widths = (fourier + encoding[2], *hidden, components)
        self.counts = tuple((a + 1) * b for a, b in zip(self.widths, self.widths[1:]))
        self.side = side
        self.latents = encoding[0] * (side // STRIDE) ** 2
        self.matrices = nn.ParameterList([torch.eye(n) for n in self.counts])
        self.upsample = EncodingUpsampler(encoding)
        self.register_buffer("features", fourier_features(side, fourier), persistent=False)
        self.features: Tensor

    @property
    def weights(self) -> int:
        """Numbers of a vector h."""
        return sum(self.counts)

    @property
    def macs(self) -> int:
        """Multiplications of a patch: networks from vectors, encodings, samples."""
        upsampling, sides = 0, self.side // STRIDE
        convolutions = (self.upsample.conv1, self.upsample.conv2, self.upsample.conv3)
        for factor, convolution in zip(UPSAMPLED, convolutions, strict=True):
            sides *= factor
            upsampling += convolution.weight.numel() * sides**2
        layers = sum(a * b for a, b in zip(self.widths, self.widths[1:]))
        return sum(n * n for n in self.counts) + upsampling + layers * self.side**2

    def encodings(self, latents: Tensor, layout: PatchLayout) -> Tensor:
        """Latents (N, patches, self.latents) to encodings (N, patches, side^2, channels).

        A patch's latents are (rows, columns, channels); all are upsampled together.
        """
        small = PatchLayout(layout.rows, layout.columns, self.side // STRIDE, layout.group)
        channels = self.upsample.conv1.in_channels
        grid = small.picture(latents.unflatten(2, (small.side**2, channels)))
        return layout.split(self.upsample(grid))

    def forward(
        self,
        patch: Tensor,
        group: Tensor,
        whole: Tensor,
        encodings: Tensor,
        layout: PatchLayout,
        pixels: Tensor | None = None,
    ) -> Tensor:
        """Samples (N, patches, pixels, components), about [0, 1].

        patch, group, whole: vectors (N, patches, weights), (N, groups, weights) and (N, 1,
        weights). pixels: which of a patch's, as indexes (n,); without, all of them, row by row.
        """
        h = patch + group[:, layout.group_of().to(group.device)] + whole
        features, encoded = self.features, encodings
        if pixels is not None:
            features, encoded = features[pixels], encoded[:, :, pixels]
        x = torch.cat((features.expand(*encoded.shape[:3], -1), encoded), 3)
        parts = h.split(self.counts, 2)
        for i, (part, matrix) in enumerate(zip(parts, self.matrices, strict=True)):
            if i:
                x = torch.sin(W0 * x)
            flat = part @ matrix
            bias, weight = flat.split((self.widths[i + 1], len(matrix) - self.widths[i + 1]), 2)
            x = x @ weight.unflatten(2, (self.widths[i], -1)) + bias[:, :, None]
        return x
