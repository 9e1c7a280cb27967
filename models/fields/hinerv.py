"""A network from learned grids to frames, or to patches of them: HiNeRV."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

from .feature_grids import FeatureGrids, LocalGrids
from .frame_blocks import LEAST
from .network_cost import NetworkCost

EPSILON = 1e-6


@dataclass(frozen=True)
class Window:
    """Rows and columns of a feature map, from `start`; they may lie outside the picture's.

    size: the whole map's rows and columns.
    """

    start: tuple[int, int]
    shape: tuple[int, int]
    size: tuple[int, int]

    def places(self, axis: int) -> Tensor:
        """The rows' numbers, or the columns'."""
        return torch.arange(self.start[axis], self.start[axis] + self.shape[axis])

    def mask(self) -> Tensor | None:
        """(rows, columns, 1), 0 outside the picture; None where nothing is."""
        ends = zip(self.start, self.shape, self.size, strict=True)
        if all(start >= 0 and start + length <= whole for start, length, whole in ends):
            return None
        inside = [
            (self.places(axis) >= 0) & (self.places(axis) < self.size[axis]) for axis in range(2)
        ]
        return (inside[0][:, None] & inside[1])[..., None].float()


def enlarged(x: Tensor, before: Window, after: Window) -> Tensor:
    """Bilinear: features (N, rows, columns, C) of one window -> those of another, larger map's."""
    if before.shape == before.size and after.shape == after.size:
        out = functional.interpolate(x.permute(0, 3, 1, 2), size=after.size, mode="bilinear")
        return out.permute(0, 2, 3, 1)
    down, across = (_weights(before, after, axis) for axis in range(2))
    return torch.einsum("ri,nijc,sj->nrsc", down.to(x.dtype), x, across.to(x.dtype))


def _weights(before: Window, after: Window, axis: int) -> Tensor:
    """(places after, places before)."""
    whole = before.size[axis]
    place = (after.places(axis).double() + 0.5) * whole / after.size[axis] - 0.5
    distance = place.clamp(0, whole - 1)[:, None] - before.places(axis).double()
    return (1 - distance.abs()).clamp(min=0)


class GridBlock(nn.Module):
    """Depthwise convolution, normalisation, two linear layers; added to x where widths agree.

    (N, H, W, inputs) -> (N, H, W, outputs), without biases; the kernel is odd.
    """

    def __init__(self, inputs: int, outputs: int, hidden: int, kernel: int) -> None:
        super().__init__()
        self.spatial = nn.Conv2d(
            inputs, inputs, kernel, padding=kernel // 2, groups=inputs, bias=False
        )
        self.expand = nn.Linear(inputs, hidden, bias=False)
        self.project = nn.Linear(hidden, outputs, bias=False)
        self.residual = inputs == outputs

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """As above; the mask (H, W, 1) is 0 outside the picture."""
        hidden = self.spatial(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        hidden = functional.gelu(self.expand(_normalised(hidden)))
        out: Tensor = self.project(hidden)
        if mask is not None:
            out = out * mask
        return out + x if self.residual else out


class GridStage(nn.Module):
    """(N, h, w, inputs) -> (N, s h, s w, outputs): bilinear, local grids added, then blocks."""

    def __init__(
        self,
        design: "GridStageDesign",
        inputs: int,
        frames: int,
    ) -> None:
        super().__init__()
        self.stride = design.stride
        self.local = LocalGrids(design.stride, inputs, design.local, frames)
        widths = [inputs, *[design.width] * design.depth]
        self.blocks = nn.ModuleList(
            GridBlock(before, after, design.hidden, design.kernel)
            for before, after in zip(widths, widths[1:], strict=False)
        )

    def forward(self, x: Tensor, frames: Tensor, before: Window, after: Window) -> Tensor:
        """Features of one window of the map before -> those of one of the map after."""
        mask = after.mask()
        x = enlarged(_normalised(x), before, after)
        rows, columns = (after.places(axis) % self.stride for axis in range(2))
        x = x + self.local(frames)[:, rows][:, :, columns]
        if mask is not None:
            x = x * mask
        for block in self.blocks:
            x = block(x, mask)
        return x


def _normalised(x: Tensor) -> Tensor:
    return functional.layer_norm(x, x.shape[-1:], eps=EPSILON)


class GridNetwork(nn.Module):
    """Frames (N,), by number -> pictures (N, 3, H, W) in [0, 1], or one patch of them.

    Features of learned grids, a convolution, stages, one linear layer. Source: "HiNeRV: Video
    Compression with Hierarchical Encoding-based Neural Representation" (2023).
    """

    def __init__(self, design: "GridDesign") -> None:
        super().__init__()
        self.design = design
        rows, columns = design.rows, design.columns
        self.grids = FeatureGrids(rows, columns, design.levels, design.frames)
        self.stem = nn.Conv2d(
            self.grids.channels, design.channels, design.stem, padding=design.stem // 2
        )
        nn.init.zeros_(_bias(self.stem))
        stages, width = [], design.channels
        for stage in design.stages:
            stages.append(GridStage(stage, width, design.frames))
            width = stage.width
        self.stages = nn.ModuleList(stages)
        self.head = nn.Linear(width, 3)
        nn.init.zeros_(self.head.bias)

    @torch.no_grad()
    def begin_at(self, colours: Tensor) -> None:
        """Begin with frames of about these colours, (3,) in (0, 1)."""
        self.head.bias.copy_(torch.logit(colours, LEAST))

    def forward(self, frames: Tensor, patch: tuple[int, int, int] | None = None) -> Tensor:
        """(N,) integers -> (N, 3, H, W), or (N, 3, side, side) of a patch.

        patch: its row and column among patches, and its side, a multiple of the strides' product.
        """
        windows = self.design.windows(patch)
        x = self.grids(frames)
        first = windows[0]
        rows, columns = (first.places(axis).clamp(0, first.size[axis] - 1) for axis in range(2))
        mask = first.mask()
        x = x[:, rows][:, :, columns]
        x = x if mask is None else x * mask
        x = self.stem(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        x = x if mask is None else x * mask
        for stage, before, after in zip(self.stages, windows, windows[1:], strict=False):
            x = stage(x, frames, before, after)
        out = torch.sigmoid(self.head(x)).permute(0, 3, 1, 2)
        if patch is None:
            return out
        side, last = patch[2], windows[-1]
        edge = ((last.shape[0] - side) // 2, (last.shape[1] - side) // 2)
        return out[..., edge[0] : edge[0] + side, edge[1] : edge[1] + side]


def _bias(layer: nn.Conv2d) -> Tensor:
    assert layer.bias is not None
    return layer.bias


@dataclass(frozen=True)
class GridStageDesign:
    """A stage's stride, output width, blocks, their hidden width and kernel (odd).

    local: steps in time and channels of each level of its local grids.
    """

    stride: int
    width: int
    depth: int
    hidden: int
    kernel: int
    local: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class GridDesign:
    """A `GridNetwork`. rows, columns: of its grids. levels: steps and channels of each level."""

    frames: int
    rows: int
    columns: int
    levels: tuple[tuple[int, int], ...]
    channels: int
    stages: tuple[GridStageDesign, ...]
    stem: int = 3

    def build(self) -> GridNetwork:
        """The network, as the published code initialises it."""
        return GridNetwork(self)

    @property
    def frame_size(self) -> tuple[int, int]:
        """Height and width of the frames."""
        stride = prod(stage.stride for stage in self.stages)
        return self.rows * stride, self.columns * stride

    @property
    def embedding_shape(self) -> tuple[int, int, int]:
        """Frames have no embeddings of their own."""
        return 0, 0, 0

    def cost(self) -> NetworkCost:
        """Of the network; nothing is allocated."""
        with torch.device("meta"):
            network = self.build()
        found = NetworkCost(sum(value.numel() for value in network.parameters()))
        places = self.rows * self.columns
        found.add(network.stem, places)
        for stage in network.stages:
            assert isinstance(stage, GridStage)
            found.add(stage.local, stage.stride**2)
            places *= stage.stride**2
            found.add(stage.blocks, places)
        found.add(network.head, places)
        return found

    def margins(self) -> list[int]:
        """How far around a patch each map is computed: the stem's, then each stage's."""
        found, margin = [], 0
        for stage in reversed(self.stages):
            margin += stage.depth * (stage.kernel - 1) // 2
            found.append(margin)
            # Python rounds halves to even, as the published code does.
            margin = round(margin / stage.stride) + (stage.stride > 1)
        return [margin + (self.stem - 1) // 2, *reversed(found)]

    def windows(self, patch: tuple[int, int, int] | None) -> list[Window]:
        """Of the map of the stem, and of each stage's: whole, or what a patch needs."""
        scales = [1]
        for stage in self.stages:
            scales.append(scales[-1] * stage.stride)
        found = []
        for scale, margin in zip(scales, self.margins(), strict=True):
            size = (self.rows * scale, self.columns * scale)
            if patch is None:
                found.append(Window((0, 0), size, size))
                continue
            side = patch[2] * scale // scales[-1]
            start = (patch[0] * side - margin, patch[1] * side - margin)
            found.append(Window(start, (side + 2 * margin, side + 2 * margin), size))
        return found


def hinerv(
    size: tuple[int, int],
    frames: int,
    channels: int,
    strides: Sequence[int],
    grid: tuple[int, int],
    depths: Sequence[int] = (3, 3, 3, 1),
    expansions: Sequence[int] = (4, 4, 4, 1),
    kernel: int = 3,
    local: tuple[int, int] | None = None,
) -> GridDesign:
    """A published size of HiNeRV. size: height and width, multiples of the strides' product.

    grid: steps and channels of the finest of two levels of grids; the next has half the steps and
    twice the channels. local: the same of local grids, of three levels, whose channels halve from
    stage to stage; a step a frame and twice the grid's channels, where nothing else is said.
    """
    stride = prod(strides)
    steps, width = local or (frames, 2 * grid[1])
    stages, outputs = [], channels
    for number, (own, depth, expansion) in enumerate(zip(strides, depths, expansions, strict=True)):
        outputs = outputs // 2 if number else outputs
        levels = tuple(
            (max(1, steps >> level), max(width >> number, 1) << level) for level in range(3)
        )
        stages.append(GridStageDesign(own, outputs, depth, expansion * outputs, kernel, levels))
    levels = ((grid[0], grid[1]), (grid[0] // 2, 2 * grid[1]))
    return GridDesign(frames, size[0] // stride, size[1] // stride, levels, channels, tuple(stages))
