"""Factorised priors: one learned density per channel, the same at every position."""

import math

import numpy as np
import torch
from torch import Tensor, nn

from kodec.models.blocks import lower_bound
from kodec.native import Tables

from .distributions import LIKELIHOOD_FLOOR
from .integer_tables import IntegerTables, WithTables, quantise_pmf


class FactorisedPrior(WithTables):
    """A learned density per channel, the same at every position, for hyper-latents.

    Source: "Variational image compression with a scale hyperprior" (2018), appendix 6.1: the
    cumulative is a monotone network with filters (3, 3, 3). No auxiliary loss: the support of the
    coding tables is found by bisection in `build`. centred: values are rounded about a stored
    `centre` per channel (zero unless weights are loaded) instead of about zero, which models from
    libraries that round about medians need.
    """

    def __init__(
        self,
        channels: int,
        filters: tuple[int, ...] = (3, 3, 3),
        init_scale: float = 10.0,
        centred: bool = False,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.filters = filters
        widths = (1, *filters, 1)
        spread = init_scale ** (1 / (len(filters) + 1))
        self.matrices = nn.ParameterList()
        self.biases = nn.ParameterList()
        self.factors = nn.ParameterList()
        for i, (w_in, w_out) in enumerate(zip(widths[:-1], widths[1:], strict=True)):
            start = math.log(math.expm1(1 / spread / w_out))
            self.matrices.append(nn.Parameter(torch.full((channels, w_out, w_in), start)))
            self.biases.append(nn.Parameter(torch.empty(channels, w_out, 1).uniform_(-0.5, 0.5)))
            if i < len(filters):
                self.factors.append(nn.Parameter(torch.zeros(channels, w_out, 1)))
        self.centre: Tensor | None
        self.register_buffer("centre", torch.zeros(channels) if centred else None)
        self.coder = IntegerTables()

    def centre_of(self, shape: torch.Size) -> Tensor | float:
        """What symbols of a block (N, channels, ...) are differences from."""
        return 0.0 if self.centre is None else self.centre.view(1, -1, *[1] * (len(shape) - 2))

    def logits(self, v: Tensor) -> Tensor:
        """Logit of the cumulative at `v`, shape (channels, points)."""
        h = v.unsqueeze(1)
        for i, (matrix, bias) in enumerate(zip(self.matrices, self.biases, strict=True)):
            h = torch.matmul(nn.functional.softplus(matrix), h) + bias
            if i < len(self.factors):
                h = h + torch.tanh(self.factors[i]) * torch.tanh(h)
        return h.squeeze(1)

    def probability(self, v: Tensor) -> Tensor:
        """P(v - 1/2 < X < v + 1/2) for `v` of shape (channels, points)."""
        low, high = self.logits(v - 0.5), self.logits(v + 0.5)
        # Take the difference on the side of zero where sigmoids keep their precision.
        sign = -torch.sign(low + high).detach()
        return (torch.sigmoid(sign * high) - torch.sigmoid(sign * low)).abs()

    def distribution(self, shape: torch.Size, present: Tensor | None = None) -> "FactorisedBlock":
        """The distribution of a block of shape (N, channels, ...).

        present: which values there are, of a shape that fits; the others cost nothing (training).
        """
        return FactorisedBlock(self, shape, present)

    @torch.no_grad()
    def _quantile(self, probability: float) -> Tensor:
        """Value of each channel where the cumulative reaches `probability`, by bisection."""
        target = math.log(probability / (1 - probability))
        matrix = self.matrices[0]
        low = torch.full((self.channels, 1), -1e5, dtype=torch.float64, device=matrix.device)
        high = -low
        for _ in range(80):
            middle = (low + high) / 2
            below = self.logits(middle) < target
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return (low + high).squeeze(1) / 2

    @torch.no_grad()
    def build(self) -> None:
        """Fill the coding tables from the weights, in float64 on the CPU."""
        copy = FactorisedPrior(self.channels, self.filters, centred=self.centre is not None)
        copy.load_state_dict(self.state_dict())
        copy = copy.double()
        centre = torch.zeros(self.channels).double() if copy.centre is None else copy.centre
        first = torch.floor(copy._quantile(2.0**-15) - centre).long()
        last = torch.ceil(copy._quantile(1 - 2.0**-15) - centre).long().maximum(first)
        wide = last - first > 254
        first = torch.where(wide, (first + last) // 2 - 127, first)
        sizes = torch.where(wide, 255, last - first + 1)
        # As many points for every channel as the widest has, in one pass.
        points = first[:, None] + torch.arange(int(sizes.max())) + centre[:, None]
        probabilities = copy.probability(points).numpy()
        tables = []
        for row, size in zip(probabilities, sizes.tolist(), strict=True):
            pmf = row[:size]
            tables.append(quantise_pmf(np.append(pmf, max(1 - pmf.sum(), 0.0))))
        self.coder.fill(tables, first.tolist(), [0] * self.channels)


class FactorisedBlock:
    """A block (N, C, ...) under a `FactorisedPrior`: rounded, one table a channel."""

    def __init__(
        self, prior: FactorisedPrior, shape: torch.Size, present: Tensor | None = None
    ) -> None:
        self.prior = prior
        self.shape = shape
        self.present = present

    def quantise(self, y: Tensor) -> Tensor:
        """Round the difference from the prior's centre."""
        return torch.round(y.detach() - self.prior.centre_of(self.shape))

    def dequantise(self, symbols: Tensor) -> Tensor:
        """Symbols + centre."""
        return symbols.to(self.prior.matrices[0]) + self.prior.centre_of(self.shape)

    def bits(self, y: Tensor) -> Tensor:
        """Code length of `y` (N, C, ...) in bit."""
        flat = y.transpose(0, 1).reshape(self.prior.channels, -1)
        p = lower_bound(self.prior.probability(flat), LIKELIHOOD_FLOOR)
        n, c, *rest = self.shape
        bits = -torch.log2(p).reshape(c, n, *rest).transpose(0, 1)
        return bits if self.present is None else bits * self.present

    def training_bits(self, relaxed: Tensor, symbols: Tensor) -> Tensor:
        """Code length of the relaxed values (N, C, ...)."""
        return self.bits(relaxed)

    def indexes(self) -> tuple[Tensor, Tensor]:
        """Channel number + 1; never close, since nothing is computed."""
        channels = self.prior.channels
        dtype = np.uint8 if channels <= 255 else np.uint16
        ids = np.arange(1, channels + 1, dtype=dtype).reshape(1, -1, *[1] * (len(self.shape) - 2))
        every = np.broadcast_to(ids, tuple(self.shape)).copy()
        return torch.from_numpy(every), torch.empty(0, dtype=torch.int64)

    @property
    def tables(self) -> Tables:
        """One table a channel."""
        return self.prior.coder.native
