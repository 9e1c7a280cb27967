"""HiNeRV's networks as the integers in a file's head, and the sizes that a budget leads to."""

from math import prod

from kodec.codecs.fitted.fitted_model import FittedSize
from kodec.models.fields import GridDesign, GridStageDesign
from kodec.native import BitstreamError, InvalidInputError

from .frame_architecture import MAX_STAGES, MAX_STRIDE, first_features, strides_for

MAX_LEVELS = 4
# channels, stem, levels; of each level: steps, channels; stages, local levels; of each stage:
# stride, width, depth, hidden, kernel, and of each of its levels: steps, channels.
_LEVEL = ((1, 65535), (1, 256))
_STAGE = ((1, 16), (1, 4096), (1, 8), (1, 16384), (1, 7))


def grid_integers_of(design: GridDesign) -> tuple[int, ...]:
    """What stands in the head; the frames' size gives the rest."""
    found = [design.channels, design.stem, len(design.levels)]
    found += [n for level in design.levels for n in level]
    found += [len(design.stages), len(design.stages[0].local)]
    for stage in design.stages:
        found += [stage.stride, stage.width, stage.depth, stage.hidden, stage.kernel]
        found += [n for level in stage.local for n in level]
    return tuple(found)


def grid_design_of(integers: tuple[int, ...], size: FittedSize) -> GridDesign:
    """The network of a head's integers, which are not to be trusted.

    Raises `BitstreamError` where they are none.
    """
    given = iter(integers)

    def number(least: int, most: int) -> int:
        value = next(given, -1)
        if not least <= value <= most:
            raise BitstreamError("hinerv networks have no such integers: a damaged file")
        return value

    def pairs(count: int) -> tuple[tuple[int, int], ...]:
        return tuple((number(*_LEVEL[0]), number(*_LEVEL[1])) for _ in range(count))

    def stage() -> GridStageDesign:
        stride, width, depth, hidden, kernel = (number(*bounds) for bounds in _STAGE)
        return GridStageDesign(stride, width, depth, hidden, kernel, pairs(local))

    channels, stem = number(1, 4096), number(1, 7)
    levels = pairs(number(1, MAX_LEVELS))
    count, local = number(1, MAX_STAGES), number(1, MAX_LEVELS)
    stages = tuple(stage() for _ in range(count))
    stride = prod(stage.stride for stage in stages)
    odd = stem % 2 and all(stage.kernel % 2 for stage in stages)
    if next(given, None) is not None or stride > MAX_STRIDE or not odd:
        raise BitstreamError("hinerv networks have no such integers: a damaged file")
    rows, columns = first_features(size, stride)
    return GridDesign(size.frames, rows, columns, levels, channels, stages, stem)


def grid_design_for(size: FittedSize, budget: int) -> GridDesign:
    """The widest network of at most `budget` parameters, with the published depths.

    Raises `InvalidInputError` where the budget is too small for any.
    """
    strides = strides_for(size)
    low, high = 3, 4096
    while low < high:
        middle = (low + high + 1) // 2
        fits = _at(size, strides, middle).cost().parameters <= budget
        low, high = (middle, high) if fits else (low, middle - 1)
    if low == 3:
        least = _at(size, strides, 4).cost().parameters
        raise InvalidInputError(
            f"hinerv takes {least:,} parameters or more for this video, not {budget:,}: give a "
            "larger --size"
        )
    return _at(size, strides, low)


def _at(size: FittedSize, strides: tuple[int, ...], channels: int) -> GridDesign:
    rows, columns = first_features(size, prod(strides))
    # Published: 40 steps for 132 frames, and 2 to 8 channels as the network is wide.
    steps = max(2, size.frames * 3 // 10)
    grid = max(1, min(8, channels // 68))
    stages, width = [], channels
    for number, stride in enumerate(strides):
        width = max(4, width // 2) if number else width
        last = number == len(strides) - 1
        local = tuple(
            (max(1, size.frames >> level), max(2 * grid >> number, 1) << level)
            for level in range(3)
        )
        depth, expansion = (1, 1) if last else (3, 4)
        stages.append(GridStageDesign(stride, width, depth, expansion * width, 3, local))
    levels = ((steps, grid), (max(1, steps // 2), 2 * grid))
    return GridDesign(size.frames, rows, columns, levels, channels, tuple(stages))
