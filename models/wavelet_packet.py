"""The full wavelet packet tree: an invertible linear transform, periodic at the borders.

The filters are the biorthogonal 9/7 pair, which PyWavelets calls bior4.4: "Biorthogonal bases of
compactly supported wavelets" (1992). Each level splits every band, the detail bands too.
"""

import torch
from torch import Tensor, nn

# From the centre outwards; both filters are symmetric.
ANALYSIS_LOW = (
    0.8526986790088938,
    0.37740285561283066,
    -0.11062440441843718,
    -0.023849465019556843,
    0.03782845550726404,
)
SYNTHESIS_LOW = (
    0.7884856164055829,
    0.41809227322161724,
    -0.04068941760916406,
    -0.06453888262869706,
)


def _low(half: tuple[float, ...], n: int) -> float:
    return half[abs(n)] if abs(n) < len(half) else 0.0


def _high(half: tuple[float, ...], n: int) -> float:
    """The other side's low filter with every second sign changed."""
    return _low(half, n) if n % 2 else -_low(half, n)


def _split_kernels() -> Tensor:
    """(band, 1, tap): low[i] and high[i] from x[2 i - 4] .. x[2 i + 4]; high is about 2 i + 1."""
    taps = range(-4, 5)
    low = [_low(ANALYSIS_LOW, n) for n in taps]
    high = [_high(SYNTHESIS_LOW, n - 1) for n in taps]
    return torch.tensor([[low], [high]], dtype=torch.float64)


def _merge_kernels() -> Tensor:
    """(phase, band, tap): x[2 m] and x[2 m + 1] from both bands at m - 2 .. m + 2."""
    taps = range(-2, 3)
    phases = [
        [
            [_low(SYNTHESIS_LOW, phase - 2 * t) for t in taps],
            [_high(ANALYSIS_LOW, phase - 2 * t - 1) for t in taps],
        ]
        for phase in (0, 1)
    ]
    return torch.tensor(phases, dtype=torch.float64)


def _periodic(x: Tensor, before: int, after: int) -> Tensor:
    """x continued periodically along the last axis, however short it is."""
    size = x.shape[-1]
    return x[..., torch.arange(-before, size + after, device=x.device) % size]


class WaveletPacket(nn.Module):
    """(N, C, H, W) -> (N, C 4^levels, H/2^levels, W/2^levels), and back by `inverse`.

    Each level turns channel c into channels 4 c + f: f = 0 is low in both directions, 1 high down
    the columns, 2 high along the rows, 3 high in both. Computed in the precision of the input,
    with autocasting off.
    """

    def __init__(self, levels: int) -> None:
        super().__init__()
        self.levels = levels
        self.register_buffer("split", _split_kernels(), persistent=False)
        self.register_buffer("merge", _merge_kernels(), persistent=False)
        self.split: Tensor
        self.merge: Tensor

    def _split(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 2 C, H, W/2), bands of a channel side by side."""
        n, c, h, w = x.shape
        rows = _periodic(x.reshape(n * c * h, 1, w), 4, 3)
        bands = nn.functional.conv1d(rows, self.split.to(x), stride=2)
        return bands.reshape(n, c, h, 2, w // 2).transpose(2, 3).reshape(n, 2 * c, h, w // 2)

    def _merge(self, y: Tensor) -> Tensor:
        """(N, 2 C, H, W/2) -> (N, C, H, W)."""
        n, c, h, w = y.shape
        rows = y.reshape(n, c // 2, 2, h, w).transpose(2, 3).reshape(n * c // 2 * h, 2, w)
        phases = nn.functional.conv1d(_periodic(rows, 2, 2), self.merge.to(y))
        return phases.transpose(1, 2).reshape(n, c // 2, h, 2 * w)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W), sides multiples of 2^levels -> (N, C 4^levels, H/2^levels, ...)."""
        with torch.autocast(x.device.type, enabled=False):
            for _ in range(self.levels):
                x = self._split(self._split(x).mT).mT
        return x

    def inverse(self, y: Tensor) -> Tensor:
        """(N, C 4^levels, h, w) -> (N, C, 2^levels h, 2^levels w), exactly."""
        with torch.autocast(y.device.type, enabled=False):
            for _ in range(self.levels):
                y = self._merge(self._merge(y.mT).mT)
        return y
