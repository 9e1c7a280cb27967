"""Blocks whose frequencies are split into those of their quarters, where an edge is in them.

A block of a lapped transform is as wide as its windows let it be; at an edge between smooth places
its energy spreads over all frequencies. An orthonormal change from the frequencies of the block to
those of its four quarters keeps the energy in the quarters that the edge passes. Both sides know by
a map which blocks are split. Sources: "Adaptive block-size transforms" in H.264 (2003), window
switching; here windows stay as they are and the blocks alone are split, as in the time-frequency
changes of Opus (RFC 6716).
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kodec.entropy.distributions import Integers
from kodec.entropy.integer_tables import IntegerTables, WithTables, quantise_pmf
from kodec.entropy.ports.blocks import Block, whole_blocks
from kodec.entropy.ports.port import Conditions, SymbolPort, code_blocks
from kodec.models.blocks import QUALITY_STEPS
from kodec.models.blocks.frequencies import channel_order, dct2
from kodec.native import InvalidInputError, Tables

from .positions import phase_positions

# The map is coded on a checkerboard, the second half given how many of four neighbours are split.
PHASES = 2
CONTEXTS = 1 + 5
# Tables by quality: how many blocks are worth a split depends on it.
QUALITY_BINS = 4
# What a latent takes in bits, about: log2(1 + (y / SMALL)^2), y in quantisation steps. A split is
# taken where it saves more than this fraction of the block's bits.
SMALL, LEAST_SAVED = 0.25, 0.05


def split_once(block: int) -> NDArray[np.float64]:
    """In one dimension: the `block` frequencies of a DCT -> those of its halves, in turns.

    Outputs are ordered as frequencies are: 2 u + r is frequency u of half r, but for the lowest
    two, which are the sum and difference of the halves' means. Orthonormal.
    """
    half = block // 2
    halves = np.kron(np.eye(2), dct2(half)) @ dct2(block).T
    turns = np.arange(block).reshape(2, half).T.reshape(-1)
    change = halves[turns]
    change[:2] = np.array([[1, 1], [1, -1]]) / math.sqrt(2) @ change[:2]
    return np.asarray(change)


class BlockSplitting(WithTables):
    """Which blocks are split, and what latent models do about it.

    channels: of the latents, 3 block^2 of a lapped transform. width: of the latent model's state.
    Raises `InvalidInputError` for channels of no such block.
    """

    order: Tensor
    once: Tensor

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        block = math.isqrt(channels // 3)
        if 3 * block**2 != channels or block not in range(2, 17, 2):
            raise InvalidInputError(
                f"{channels} channels are of no block that can be split: give 3 block^2, block an "
                "even number of 2 to 16"
            )
        # What a split adds to the state, and to the log spread of each channel.
        self.embedding = nn.Parameter(torch.zeros(width))
        self.level = nn.Parameter(torch.zeros(channels))
        self.logits = nn.Parameter(torch.full((QUALITY_BINS * CONTEXTS,), -2.0))
        # Which frequency each channel is: kept with the weights, as the order of frequencies of
        # equal variance hangs on rounding.
        self.register_buffer("order", torch.tensor(channel_order(block)[0]))
        once = torch.tensor(split_once(block), dtype=torch.float32)
        self.register_buffer("once", once, persistent=False)
        self.coder = IntegerTables()

    @torch.no_grad()
    def build(self) -> None:
        """Fill the tables: not split, split, and the escape, which nothing uses."""
        split = torch.sigmoid(self.logits.double()).cpu().numpy()
        tables = [quantise_pmf(np.array([1 - p, p, 0.0])) for p in split]
        self.coder.fill(tables, [0] * len(tables), [0] * len(tables))

    @torch.no_grad()
    def choose(self, y: Tensor) -> Tensor:
        """Which blocks of the latents (N, P, C), in quantisation steps, to split: int64 (N, P)."""
        y = y.detach().float()
        changed = self._changed(y, self.once)
        whole, split = (torch.log1p((x / SMALL).square()).sum(-1) for x in (y, changed))
        return (split < (1 - LEAST_SAVED) * whole).long()

    def code(self, chosen: Tensor | None, cond: Conditions, port: SymbolPort) -> Tensor:
        """Pass the map through the port; bool (N, P, 1).

        chosen: integers (N, P), or None on the reading side.
        """
        step = _MapStep(self, cond)
        coded = code_blocks(
            port,
            "split",
            None if chosen is None else chosen[..., None].to(step.device),
            whole_blocks(step.places),
            step,
        )
        return coded > 0

    def split(self, y: Tensor, where: Tensor) -> Tensor:
        """Latents (N, P, C), changed where the map (N, P, 1) says so."""
        return self._changed_where(y, where, self.once)

    def join(self, y: Tensor, where: Tensor) -> Tensor:
        """The way back."""
        return self._changed_where(y, where, self.once.t())

    def _changed_where(self, y: Tensor, where: Tensor, once: Tensor) -> Tensor:
        if y.device.type != "cpu":
            # The number of split blocks would have to come to the host first.
            return torch.where(where, self._changed(y, once), y)
        tokens = y.reshape(-1, y.shape[-1])
        at = where.reshape(-1).nonzero().squeeze(1)
        return tokens.index_copy(0, at, self._changed(tokens[at], once)).view(y.shape)

    def _changed(self, y: Tensor, once: Tensor) -> Tensor:
        """Latents (..., C): rows and columns of their frequencies by `once`, (block, block)."""
        once = once.to(y.dtype)
        # Whatever a file holds for an order, these are permutations.
        by_frequency = torch.argsort(self.order)
        by_channel = torch.argsort(by_frequency)
        block = len(once)
        frequencies = y.index_select(-1, by_frequency).unflatten(-1, (3, block, block))
        changed = torch.matmul(torch.matmul(once, frequencies), once.t())
        return changed.flatten(-3).index_select(-1, by_channel)


class _MapStep:
    """A `BlockStep` over the map of one call, a block for each colour of the checkerboard."""

    def __init__(self, splitting: BlockSplitting, cond: Conditions) -> None:
        n, _, h, w = cond.latent_shape
        self.splitting = splitting
        self.device = splitting.logits.device
        self.size = h, w
        self.places = phase_positions(h, w, PHASES, self.device)
        self.map = torch.zeros(n, h * w, dtype=torch.long, device=self.device)
        quality = cond.quality
        if quality is None:
            quality = torch.full((n,), QUALITY_STEPS / 2 - 0.5)
        bins = (quality.to(self.device) * (QUALITY_BINS / QUALITY_STEPS)).long()
        self.first = CONTEXTS * bins.clamp(0, QUALITY_BINS - 1)[:, None, None]

    def front(self, block: Block) -> "_Split":
        """By the quality, and by the neighbours where they are known."""
        if block.number == 0:
            return _Split(self.splitting, self.first.expand(-1, len(block.places), 1))
        n, (h, w) = len(self.map), self.size
        grid = nn.functional.pad(self.map.view(n, h, w), (1, 1, 1, 1))
        count = grid[:, :-2, 1:-1] + grid[:, 2:, 1:-1] + grid[:, 1:-1, :-2] + grid[:, 1:-1, 2:]
        near = count.reshape(n, h * w, 1).index_select(1, block.places)
        return _Split(self.splitting, self.first + 1 + near)

    def take(self, block: Block, values: Tensor) -> None:
        """Keep one colour's choices; whatever a damaged stream holds becomes one."""
        chosen = (values[..., 0] != 0).long().to(self.device)
        self.map = self.map.index_copy(1, block.places, chosen)

    def result(self) -> Tensor:
        """The map, (N, h w, 1)."""
        return self.map[..., None]


class _Split(Integers):
    """Whether each of a block's (N, P, 1) is split; kind: the number of its table."""

    def __init__(self, splitting: BlockSplitting, kind: Tensor) -> None:
        self.splitting = splitting
        self.kind = kind
        self.shape = kind.shape

    def bits(self, y: Tensor) -> Tensor:
        """By the logits."""
        logits = self.splitting.logits[self.kind]
        return nn.functional.softplus(torch.where(y > 0, -logits, logits)) / math.log(2)

    def indexes(self) -> tuple[Tensor, Tensor]:
        """The kind; it follows from integers, so that nothing is close."""
        kinds = (self.kind + 1).to(torch.uint8).contiguous()
        return kinds, torch.empty(0, dtype=torch.int64)

    @property
    def tables(self) -> Tables:
        """One table a kind."""
        return self.splitting.coder.native
