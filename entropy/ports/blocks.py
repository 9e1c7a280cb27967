"""Blocks as data: which latents are coded at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

ALL_CHANNELS = slice(None)


@dataclass(frozen=True)
class Block:
    """Latents that pass the port at once.

    number: of the block in its order. parts: flat positions (P,), each with a span of channels
    there. No latent is in two parts.
    """

    number: int
    parts: Sequence[tuple[Tensor, slice]]

    @cached_property
    def places(self) -> Tensor:
        """The positions of all parts."""
        return joined([places for places, _ in self.parts], dim=0)

    def of(self, tokens: Tensor) -> Tensor:
        """The block of tokens (N, h w, C): (N, P, channels), or (N, values) of several parts."""
        return self.join([tokens[..., span].index_select(1, at) for at, span in self.parts])

    def join(self, values: Sequence[Tensor]) -> Tensor:
        """The block, as `of`, of what each part has: (N, P, channels of its span)."""
        return values[0] if len(values) == 1 else torch.cat([v.flatten(1) for v in values], dim=1)

    def put(self, tokens: Tensor, values: Tensor) -> Tensor:
        """A copy of the tokens (N, h w, C) that has the block's values, shaped as `of` does."""
        out = tokens.clone()
        shapes = [(len(at), out[..., span].shape[-1]) for at, span in self.parts]
        pieces = torch.split(values.flatten(1), [a * b for a, b in shapes], dim=1)
        for (at, span), shape, piece in zip(self.parts, shapes, pieces, strict=True):
            out[..., span].index_copy_(1, at, piece.reshape(len(piece), *shape))
        return out


def whole_blocks(positions: Sequence[Tensor]) -> list[Block]:
    """A block of all channels for each set of flat positions (P,), but for empty ones."""
    return [Block(i, ((at, ALL_CHANNELS),)) for i, at in enumerate(positions) if len(at)]


def joined(parts: Sequence[Tensor], dim: int) -> Tensor:
    """The parts side by side; one alone is not copied."""
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim=dim)
