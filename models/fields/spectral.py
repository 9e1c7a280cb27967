"""Convolution in the frequency domain that enlarges: a reading of PFNR's released block."""

import torch
from torch import Tensor, nn

from .activations import Nonlinearity


class SpectralUpBlock(nn.Module):
    """(N, inputs, H, W) -> (N, outputs, s H, s W): complex weights of low modes, then activation.

    rows, columns: H and W. Half as many modes each way have weights, of both signs vertically; the
    inverse transform is taken at the enlarged size. Real and imaginary parts are parameters of
    their own, which masks may cover apart. Source: "Progressive Fourier Neural Representation for
    Sequential Video Compilation" (2024).
    """

    def __init__(
        self, inputs: int, outputs: int, stride: int, rows: int, columns: int, activation: str
    ) -> None:
        super().__init__()
        self.stride = stride
        self.modes = max(1, rows // 2), max(1, columns // 2)
        shape = (2, inputs, outputs, *self.modes)
        spread = 1 / inputs**0.5
        self.real = nn.Parameter(spread * torch.randn(shape))
        self.imaginary = nn.Parameter(spread * torch.randn(shape))
        self.activation = Nonlinearity(activation)

    @property
    def before(self) -> list[nn.Module]:
        """It has no convolutions; see `UpBlock`."""
        return []

    @property
    def behind(self) -> list[nn.Module]:
        """See `before`."""
        return []

    def forward(self, x: Tensor) -> Tensor:
        """(N, inputs, H, W) -> (N, outputs, s H, s W)."""
        height, width = x.shape[-2:]
        down, across = self.modes
        found = torch.fft.rfft2(x.float(), norm="forward")
        weight = torch.complex(self.real.float(), self.imaginary.float())
        outputs = weight.shape[2]
        spectrum = found.new_zeros(len(x), outputs, height, width // 2 + 1)
        for half, rows in enumerate((slice(0, down), slice(height - down, height))):
            part = torch.einsum("nihw,iohw->nohw", found[..., rows, :across], weight[half])
            # A place that both halves reach gets both.
            spectrum[..., rows, :across] += part
        # The rows of negative frequencies move to the end of the enlarged spectrum.
        tall, wide = height * self.stride, width * self.stride
        large = spectrum.new_zeros(len(x), outputs, tall, wide // 2 + 1)
        low = height - down if height > 2 * down else (height + 1) // 2
        large[..., :low, : width // 2 + 1] = spectrum[..., :low, :]
        large[..., tall - (height - low) :, : width // 2 + 1] = spectrum[..., low:, :]
        out: Tensor = self.activation(torch.fft.irfft2(large, s=(tall, wide), norm="forward"))
        return out
