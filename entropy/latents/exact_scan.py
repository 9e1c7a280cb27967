"""Exact autoregression: integers predicted from integers before them, by integer layers.

    values above and left, side integers --ExactLinear, rectifier, ...--> mean, table index

No floating-point number decides anything, so files decode on every machine without a signal, and
the core runs the serial pass (`kodec.native.ScanProgram`), which is tested against the step here.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from kodec.entropy.distributions import Distribution, LocationScale, ScaleTables
from kodec.entropy.exact import ExactLinear
from kodec.entropy.ports.blocks import Block
from kodec.entropy.ports.port import CompiledScan
from kodec.native import InvalidInputError, ScanProgram

LARGEST_WEIGHT = 2**31
"""Weights of the core's programs are below, in steps of 2^-fraction."""


class ExactAutoregression(nn.Module):
    """Integers (N, P, `channels`) on a grid, row by row, each predicted from `taps` before it.

    taps: (rows above, columns to the right) of the neighbours that are seen, with all channels;
    earlier ones alone. side: integers of each position known beforehand. widths: of hidden layers.
    bound, fraction: see `ExactLinear`. scale_tables: the scales that indexes stand for.
    """

    def __init__(
        self,
        channels: int,
        taps: Sequence[tuple[int, int]],
        scale_tables: ScaleTables,
        widths: Sequence[int] = (),
        side: int = 0,
        bound: int = 2**12,
        fraction: int = 8,
    ) -> None:
        super().__init__()
        if not all(up > 0 or (up == 0 and right < 0) for up, right in taps):
            raise InvalidInputError("taps look at positions above, or to the left in the same row")
        self.channels = channels
        self.taps = tuple(taps)
        self.side = side
        self.scale_tables = scale_tables
        sizes = [channels * len(self.taps) + side, *widths, 2 * channels]
        self.layers = nn.ModuleList(
            ExactLinear(a, b, bound, fraction) for a, b in zip(sizes[:-1], sizes[1:], strict=True)
        )

    def parameters_of(self, seen: Tensor) -> tuple[Tensor, Tensor]:
        """What is seen (..., inputs), integers -> means and indexes (..., `channels`), integers."""
        for number, layer in enumerate(self.layers):
            seen = layer(torch.relu(seen) if number else seen)
        mean, index = seen.chunk(2, dim=-1)
        return mean, index.clamp(1, self.scale_tables.levels)

    def block(self, mean: Tensor, index: Tensor) -> LocationScale:
        """Their distribution, each scale in the middle of its table's."""
        log_scale = self.scale_tables.log_smallest + (index - 1) * self.scale_tables.log_step
        return LocationScale(mean, log_scale, self.scale_tables)

    def program(self) -> ScanProgram:
        """The same for the core; raises `InvalidInputError` where a sum may round."""
        layers = []
        for number, layer in enumerate(self.layers):
            assert isinstance(layer, ExactLinear)
            layer.prove()
            weight, bias = (v.detach().cpu() for v in layer.integers())
            if weight.abs().max() >= LARGEST_WEIGHT:
                raise InvalidInputError(
                    "an exact layer has weights beyond 2^31 steps, which no program holds: lower "
                    "its weights or `fraction`"
                )
            last = number + 1 == len(self.layers)
            layers.append(
                (
                    weight.to(torch.int32).numpy(),
                    bias.to(torch.int64).numpy(),
                    layer.fraction,
                    layer.bound,
                    int(not last),
                )
            )
        taps = [(up, right, c) for up, right in self.taps for c in range(self.channels)]
        places = np.array(taps, np.int32).reshape(-1, 3)
        return ScanProgram(self.channels, self.side, places, layers)

    def step(self, items: int, rows: int, columns: int, side: Tensor | None = None) -> "ExactStep":
        """The `CompiledStep` over a grid; side: (items, rows * columns, `side`) integers."""
        if side is None:
            side = torch.zeros(items, rows * columns, 0)
        if side.shape != (items, rows * columns, self.side):
            raise InvalidInputError(
                f"side integers have shape {tuple(side.shape)}, not "
                f"{(items, rows * columns, self.side)}"
            )
        return ExactStep(self, items, rows, columns, side.double())


class ExactStep:
    """A `CompiledStep` of an `ExactAutoregression`."""

    def __init__(
        self, model: ExactAutoregression, items: int, rows: int, columns: int, side: Tensor
    ) -> None:
        self.model = model
        self.size = rows, columns
        self.side = side
        self.up = max((up for up, _ in model.taps), default=0)
        self.wide = max((abs(right) for _, right in model.taps), default=0)
        self.canvas = self._with_margin(side.new_zeros(items, rows * columns, model.channels))

    def _with_margin(self, values: Tensor) -> Tensor:
        grid = values.double().reshape(len(values), *self.size, -1)
        return nn.functional.pad(grid, (0, 0, self.wide, self.wide, self.up, 0))

    def _seen(self, canvas: Tensor, places: Tensor) -> Tensor:
        """What the taps see at `places` (F,), then side integers: (N, F, inputs)."""
        rows, columns = places // self.size[1] + self.up, places % self.size[1] + self.wide
        seen = [canvas[:, rows - up, columns + right] for up, right in self.model.taps]
        return torch.cat([*seen, self.side[:, places]], dim=-1)

    def whole(self, y: Tensor) -> Distribution:
        """All positions at once, from values (N, P, C)."""
        everywhere = torch.arange(y.shape[1], device=y.device)
        seen = self._seen(self._with_margin(y), everywhere)
        return self.model.block(*self.model.parameters_of(seen))

    def front(self, block: Block) -> Distribution:
        """The block's positions, from what was taken."""
        return self.model.block(*self.model.parameters_of(self._seen(self.canvas, block.places)))

    def take(self, block: Block, values: Tensor) -> None:
        """Keep values (N, F, C)."""
        places = block.places
        rows, columns = places // self.size[1] + self.up, places % self.size[1] + self.wide
        self.canvas[:, rows, columns] = values

    def result(self) -> Tensor:
        """All values (N, P, C), float64."""
        inside = self.canvas[:, self.up :, self.wide : self.wide + self.size[1]]
        return inside.flatten(1, 2)

    def compiled(self) -> CompiledScan:
        """For the core."""
        side = self.side.flatten(1).to(torch.int32).cpu().numpy()
        return CompiledScan(self.model.program(), *self.size, side, self.model.scale_tables.native)
