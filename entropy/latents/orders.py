"""Coding orders as lists: of each block, which channels it takes from which phases of positions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
import torch

from kodec.entropy.contexts.positions import phase_positions
from kodec.entropy.ports.blocks import ALL_CHANNELS, Block
from kodec.native import InvalidInputError


def channel_spans(sizes: Iterable[int]) -> list[slice]:
    """Where slices of so many channels lie, one behind the other."""
    ends = [0, *accumulate(sizes)]
    return [slice(start, end) for start, end in pairwise(ends)]


@dataclass(frozen=True)
class Order:
    """The blocks of some channels, in turn.

    phases: of the pattern of positions, see `PATTERNS`. steps: of each block, the phases that it
    gathers and the span of channels at each: a checkerboard is [[(0, all)], [(1, all)]], a quarter
    of the channels at each of four phases [(0, slice(0, 4)), (1, slice(4, 8)), ...].
    """

    phases: int
    steps: Sequence[Sequence[tuple[int, slice]]]

    def check(self, channels: int) -> None:
        """Raise `InvalidInputError` unless each of the channels is coded once at every position."""
        coded = np.zeros((self.phases, channels), np.int64)
        for step in self.steps:
            for phase, span in step:
                if not 0 <= phase < self.phases:
                    raise InvalidInputError(f"a step names phase {phase} of {self.phases}")
                coded[phase, span] += 1
        if not (coded == 1).all():
            phase, channel = np.argwhere(coded != 1)[0]
            raise InvalidInputError(
                f"channel {channel} is coded {coded[phase, channel]} times at phase {phase}: an "
                "order codes each of its channels once everywhere"
            )

    def blocks(self, h: int, w: int, device: torch.device) -> list[Block]:
        """The blocks of h x w positions; phases without a position there are left out."""
        places = phase_positions(h, w, self.phases, device)
        found = []
        for number, step in enumerate(self.steps):
            parts = [(places[phase], span) for phase, span in step if len(places[phase])]
            if parts:
                found.append(Block(number, parts))
        return found


def in_phases(phases: int, backwards: bool = False) -> Order:
    """All channels at one phase after the other: 2 is a checkerboard, 4 a quadtree."""
    numbers = range(phases)[::-1] if backwards else range(phases)
    return Order(phases, [[(phase, ALL_CHANNELS)] for phase in numbers])
