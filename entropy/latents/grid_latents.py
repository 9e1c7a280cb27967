"""Cool-chic's latents: single-channel grids of several resolutions, coded coarse to fine.

    coarser grids --IFCE--> features --+
    grid's own values before ----------+--ARM--> mean, log scale of each value

"Cool-chic" (Ladune et al., 2023), release 5. All that decides a table is an integer: `exact`.
Positions go front by front (column + 3 row, or what the contexts in use allow), which is not the
authors' order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from kodec.entropy.located_laplace import LocatedLaplace, LocatedScales, packaged_tables
from kodec.entropy.ports.blocks import ALL_CHANNELS, Block
from kodec.entropy.ports.port import CompiledFronts, SymbolPort
from kodec.native import FrontProgram, InvalidInputError

from .integer_arm import LEAST, MOST, IntegerIfce

EVERYWHERE = 16
"""The side shift with which a whole grid has the same features."""


@dataclass(frozen=True)
class Grid:
    """One grid of a picture: level (0: the picture's own size), rows and columns.

    hyper: it only helps to predict other grids, and takes no part in the synthesis.
    """

    level: int
    rows: int
    columns: int
    hyper: bool = False


def grids_of(
    height: int, width: int, levels: tuple[int, int] = (0, 6), hyper_from: int | None = 4
) -> list[Grid]:
    """Grids of levels first..last, finest first, and a hyper-grid behind each from `hyper_from` on.

    A level's grid has ceil(height / 2^level) rows and ceil(width / 2^level) columns.
    """
    if not (height >= 1 and width >= 1 and 0 <= levels[0] <= levels[1] <= 15):
        raise InvalidInputError(
            f"grids need a picture of 1x1 or more and levels of 0 to 15, not {height}x{width} and "
            f"{levels}"
        )
    grids = []
    for level in range(levels[0], levels[1] + 1):
        size = -(-height >> level), -(-width >> level)
        grids.append(Grid(level, *size))
        if hyper_from is not None and level >= hyper_from:
            grids.append(Grid(level, *size, hyper=True))
    return grids


class GridNetwork(Protocol):
    """What predicts a grid's values, in integers: an `IntegerArm`, or another of its kind.

    taps: where a position looks. features: of coarser grids, beside them, within feature_bound.
    """

    @property
    def taps(self) -> tuple[tuple[int, int], ...]: ...

    @property
    def features(self) -> int: ...

    @property
    def feature_bound(self) -> int: ...

    def __call__(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Inputs (..., taps + features) int64 -> means and log scales (...), in 1/256."""

    def program(self, scales: LocatedScales) -> FrontProgram:
        """The same for the core."""


class GridLatents:
    """The latents' order through any port, given the networks in integers.

    grids: finest first, as `grids_of` gives them. arm: for all of them. ifce: by level, for those
    that have features; each takes all coarser grids. Levels without one get zeros for features.
    Raises `InvalidInputError` where these don't fit together.
    """

    exact = True

    def __init__(
        self,
        grids: Sequence[Grid],
        arm: GridNetwork,
        ifce: Mapping[int, IntegerIfce] | None = None,
    ) -> None:
        self.grids = tuple(grids)
        self.arm = arm
        self.ifce = dict(ifce or {})
        for level, network in self.ifce.items():
            coarser = sum(grid.level > level for grid in self.grids)
            if network.grids != coarser or network.features != arm.features:
                raise InvalidInputError(
                    f"the IFCE of level {level} takes {network.grids} grids and gives "
                    f"{network.features} features, where there are {coarser} and the ARM takes "
                    f"{arm.features}"
                )
            if network.bound > arm.feature_bound:
                raise InvalidInputError(
                    f"features of level {level} reach {network.bound}, but the ARM was proved for "
                    f"{arm.feature_bound}"
                )
        self.arm_program = arm.program(packaged_tables().scales)

    @property
    def symbols(self) -> int:
        """How many a stream holds."""
        return sum(grid.rows * grid.columns for grid in self.grids)

    def code(self, latents: Sequence[Tensor] | None, port: SymbolPort) -> list[Tensor]:
        """Pass the grids through the port, coarsest first; what the decoder sees, finest first.

        latents: (N, 1, rows, columns) for each grid, rounded and set to [-64, 63] here; None where
        the port reads. A port of N items. Returns float64 integers of the same shapes.
        """
        if latents is not None:
            shapes = [tuple(y.shape[-2:]) for y in latents]
            if shapes != [(grid.rows, grid.columns) for grid in self.grids]:
                raise InvalidInputError(f"latents have sizes {shapes}, not those of their grids")
        coded: list[Tensor] = []
        for number in reversed(range(len(self.grids))):
            grid = self.grids[number]
            given = None
            if latents is not None:
                y = latents[number]
                given = torch.round(y.double()).clamp(LEAST, MOST).reshape(len(y), -1, 1)
            step = self.step(grid, coded)
            tokens = port.scan(f"grid{number}", given, Fronts(grid, step.program.slope), step)
            coded.insert(0, tokens.reshape(len(tokens), 1, grid.rows, grid.columns))
        return coded

    def bits(self, latents: Sequence[Tensor]) -> list[Tensor]:
        """Bits (N,) of each grid, finest first, by the core: what a `RateMeter` counts, faster.

        latents: integers, as `code` returns them.
        """
        packaged = packaged_tables()
        counts = []
        for number, (grid, y) in enumerate(zip(self.grids, latents, strict=True)):
            compiled = self.step(grid, latents[number + 1 :]).compiled()
            values = y.flatten(1).to(torch.int32).cpu().numpy()
            coded = [compiled.symbols(item, own) for item, own in enumerate(values)]
            symbols, indexes = (
                torch.from_numpy(np.stack(part).astype(np.int64))
                for part in zip(*coded, strict=True)
            )
            counts.append(packaged.bits(symbols, indexes).sum(1))
        return counts

    def step(self, grid: Grid, coarser: Sequence[Tensor]) -> "FrontStep":
        """The pass over a grid, given the grids behind it: (N, 1, rows, columns) each."""
        return FrontStep(self.arm, self.arm_program, grid, *self._features(grid, coarser))

    def _features(self, grid: Grid, coarser: Sequence[Tensor]) -> tuple[Tensor | None, int]:
        """Features (N, rows, columns, F) int64, each of 2^shift positions a side, and the shift."""
        if grid.level not in self.ifce:
            return None, 0
        # At the resolution of the next level.
        rows, columns = -(-grid.rows // 2), -(-grid.columns // 2)
        seen = []
        known = self.grids[len(self.grids) - len(coarser) :]
        for other, values in zip(known, coarser, strict=True):
            if other.level > grid.level:
                times = 1 << (other.level - grid.level - 1)
                near = values.repeat_interleave(times, 2).repeat_interleave(times, 3)
                seen.append(near[:, 0, :rows, :columns])
        return self.ifce[grid.level](torch.stack(seen, dim=-1).to(torch.int64)), 1


class Fronts(Sequence[Block]):
    """The positions of a grid with the same column + slope * row, by rows; made when asked for."""

    def __init__(self, grid: Grid, slope: int) -> None:
        self.grid, self.slope = grid, slope

    @cached_property
    def _numbers(self) -> list[int]:
        """Of fronts with a position: narrow grids have others."""
        return [t for t in range(self.grid.columns + self.slope * self.grid.rows) if self._rows(t)]

    def _rows(self, front: int) -> range:
        first = max(0, -((self.grid.columns - 1 - front) // self.slope))
        return range(first, min(self.grid.rows - 1, front // self.slope) + 1)

    def __len__(self) -> int:
        return len(self._numbers)

    # `overload` would keep this module alive to the very end, and nanobind complain of its tables.
    def __getitem__(self, number: int | slice) -> Any:
        if isinstance(number, slice):
            return [self[i] for i in range(len(self))[number]]
        front = self._numbers[number]
        rows = torch.tensor(self._rows(front))
        places = rows * self.grid.columns + front - self.slope * rows
        return Block(number, ((places, ALL_CHANNELS),))


class FrontStep:
    """A `CompiledStep` over one grid's tokens (N, rows * columns, 1)."""

    def __init__(
        self,
        arm: GridNetwork,
        program: FrontProgram,
        grid: Grid,
        features: Tensor | None,
        shift: int,
    ) -> None:
        self.arm, self.program, self.grid = arm, program, grid
        self.features, self.shift = features, shift
        self.up = max(-down for down, _ in arm.taps)
        self.wide = max(abs(right) for _, right in arm.taps)
        self.canvas: Tensor | None = None

    def _with_margin(self, tokens: Tensor) -> Tensor:
        plane = tokens.to(torch.int64).reshape(len(tokens), self.grid.rows, self.grid.columns)
        return nn.functional.pad(plane, (self.wide, self.wide, self.up, 0))

    def _places(self, places: Tensor) -> tuple[Tensor, Tensor]:
        return places // self.grid.columns, places % self.grid.columns

    def _outputs(self, canvas: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log scales (N, F) of positions (F,), from what the canvas holds."""
        rows, columns = self._places(places)
        seen = torch.stack(
            [
                canvas[:, rows + self.up + down, columns + self.wide + right]
                for down, right in self.arm.taps
            ],
            dim=-1,
        )
        features = seen.new_zeros(*seen.shape[:2], self.arm.features)
        if self.features is not None:
            features = self.features[:, rows >> self.shift, columns >> self.shift]
        return self.arm(torch.cat([seen, features.expand(len(seen), -1, -1)], dim=-1))

    def outputs(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Means and log scales (N, P) of all positions at once, int64 in 1/256, from (N, P, 1)."""
        return self._outputs(self._with_margin(torch.round(y)), torch.arange(y.shape[1]))

    def whole(self, y: Tensor) -> LocatedLaplace:
        """All positions at once, from values (N, P, 1)."""
        mean, log_scale = self.outputs(y)
        return LocatedLaplace(mean[..., None], log_scale[..., None], LEAST, MOST)

    def _own_canvas(self, items: int) -> Tensor:
        if self.canvas is None:
            positions = self.grid.rows * self.grid.columns
            self.canvas = self._with_margin(torch.zeros(items, positions, dtype=torch.int64))
        return self.canvas

    def front(self, block: Block) -> LocatedLaplace:
        """The block's positions, from what was taken."""
        items = 1 if self.features is None else len(self.features)
        mean, log_scale = self._outputs(self._own_canvas(items), block.places)
        return LocatedLaplace(mean[..., None], log_scale[..., None], LEAST, MOST)

    def take(self, block: Block, values: Tensor) -> None:
        """Keep values (N, F, 1)."""
        rows, columns = self._places(block.places)
        canvas = self._own_canvas(len(values))
        canvas[:, rows + self.up, columns + self.wide] = values[..., 0].to(torch.int64)

    def result(self) -> Tensor:
        """All values (N, P, 1), float64."""
        canvas = self._own_canvas(1)
        inside = canvas[:, self.up :, self.wide : self.wide + self.grid.columns]
        return inside.flatten(1)[..., None].double()

    def compiled(self) -> CompiledFronts:
        """For the core."""
        if self.features is None:
            side, shift = np.zeros((1, self.arm.features), np.int32), EVERYWHERE
        else:
            side, shift = self.features.flatten(1).to(torch.int32).cpu().numpy(), self.shift
        tables = packaged_tables().tables.native
        return CompiledFronts(self.program, self.grid.rows, self.grid.columns, side, shift, tables)
