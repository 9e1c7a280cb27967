"""Frame networks as the integers in a file's head, and the sizes that a budget leads to."""

from collections.abc import Callable
from math import ceil, prod

from kodec.codecs.fitted.fitted_model import FittedSize
from kodec.models.fields import FrameDesign, GridDesign, Recipe, StageDesign, System
from kodec.native import BitstreamError, InvalidInputError

# Of each integer before the stages, and of each in a stage: the least and the most.
FIELDS = (
    ("channels", 4, 4096),
    ("head_kernel", 1, 7),
    ("base", 101, 1000),
    ("levels", 0, 256),
    ("hidden", 0, 8192),
    ("embedding", 0, 256),
    ("unfold", 1, 16),
    ("code", 0, 512),
)
STAGE = (("stride", 1, 16), ("kernel", 1, 7), ("width", 1, 4096))
MAX_STAGES = 16
MAX_STRIDE = 1024
# Places of the first features, where each has weights of its own or attends to all others.
MAX_PLACES = 1 << 14
HUNDREDTHS = 100

# Strides by their product: what keeps first features small for a size of frames, HNeRV's first.
STRIDES = {
    80: (5, 4, 2, 2),
    320: (5, 4, 4, 2, 2),
    120: (5, 3, 2, 2, 2),
    160: (5, 4, 2, 2, 2),
    240: (5, 4, 3, 2, 2),
    16: (4, 2, 2),
    32: (4, 2, 2, 2),
    48: (4, 3, 2, 2),
    64: (4, 4, 2, 2),
    96: (4, 4, 3, 2),
    128: (4, 4, 2, 2, 2),
}
# Of a file's parameter, coded, for budgets in bytes and bits.
BITS = 7.4


def integers_of(design: FrameDesign) -> tuple[int, ...]:
    """What stands in the head; the frames' size gives the rest."""
    head = {name: getattr(design, name) for name, _, _ in FIELDS if name != "base"}
    head["base"] = round(design.base * HUNDREDTHS)
    found = [head[name] for name, _, _ in FIELDS]
    for stage in design.stages:
        found += [stage.stride, stage.kernel, stage.width]
    return tuple(found)


def design_of(
    system: System, boosted: bool, integers: tuple[int, ...], size: FittedSize
) -> FrameDesign:
    """The network of a head's integers, which are not to be trusted.

    Raises `BitstreamError` where they are none.
    """
    count, rest = divmod(len(integers) - len(FIELDS), len(STAGE))
    if rest or not 1 <= count <= MAX_STAGES:
        raise BitstreamError(f"{system} networks have 8 integers and 3 a stage: a damaged file")
    bounds = FIELDS + STAGE * count
    for (name, least, most), value in zip(bounds, integers, strict=True):
        if not least <= value <= most or (name.endswith("kernel") and value % 2 == 0):
            raise BitstreamError(f"{system} networks have no {name} of {value}: a damaged file")
    head = dict(zip((name for name, _, _ in FIELDS), integers, strict=False))
    base = head.pop("base") / HUNDREDTHS
    flat = integers[len(FIELDS) :]
    stages = tuple(StageDesign(*flat[3 * n : 3 * n + 3]) for n in range(count))
    stride = prod(stage.stride for stage in stages)
    if stride > MAX_STRIDE or stride % head["unfold"]:
        raise BitstreamError(f"{system} networks have no stride of {stride}: a damaged file")
    rows, columns = first_features(size, stride * head["unfold"], head["unfold"])
    design = FrameDesign(
        system,
        rows,
        columns,
        head["channels"],
        stages,
        head["head_kernel"],
        boosted,
        base,
        head["levels"],
        head["hidden"],
        head["embedding"],
        head["unfold"],
        head["code"],
    )
    _check(design)
    return design


def first_features(size: FittedSize, stride: int, unfold: int = 1) -> tuple[int, int]:
    """Rows and columns of the first features, for frames padded to multiples of `stride`."""
    return unfold * ceil(size.height / stride), unfold * ceil(size.width / stride)


def _check(design: FrameDesign) -> None:
    timed = design.system != "hnerv"
    wrong = {
        "embedding": (design.embedding > 0) == timed,
        "levels": design.levels == 0 and (timed or design.boosted),
        "hidden": design.hidden < 2 if design.system in ("e-nerv", "nerv++") else False,
        "code": design.code == 0 and (design.boosted or design.system == "e-nerv"),
        "unfold": timed and design.unfold > 1,
        "size": timed and design.rows * design.columns > MAX_PLACES,
    }
    for name, damaged in wrong.items():
        if damaged:
            raise BitstreamError(f"{design.system} networks have no such {name}: a damaged file")


def design_for(
    system: System, boosted: bool, size: FittedSize, budget: int, strides: tuple[int, ...] = ()
) -> FrameDesign:
    """The widest network of at most `budget` parameters, frames' embeddings among them.

    strides: of the stages; by default such as suit the frames' size. Raises `InvalidInputError`
    where the budget is too small for any.
    """
    strides = strides or strides_for(size)
    of = {"hnerv": _hnerv, "e-nerv": _e_nerv}.get(system, _nerv)

    def at(width: int) -> FrameDesign:
        return of(system, boosted, size, budget, strides, width)

    width = _widest(at, size, budget)
    if width == 0:
        least, name = sent(at(4), size.frames), system + "-boost" * boosted
        raise InvalidInputError(
            f"{name} takes {least:,} parameters or more for this video, not {budget:,}: give a "
            "larger --size"
        )
    return at(width)


def sent(design: FrameDesign | GridDesign, frames: int) -> int:
    """The values that a decoder needs: the network's, and embeddings."""
    return design.cost().parameters + frames * prod(design.embedding_shape)


def strides_for(size: FittedSize) -> tuple[int, ...]:
    """Strides that leave few first features and pad little."""

    def waste(stride: int) -> float:
        rows, columns = first_features(size, stride)
        padded = rows * columns * stride**2 / (size.width * size.height)
        few = rows * columns / 8
        return float(padded * max(1.0, few) ** 0.2)

    return STRIDES[min(STRIDES, key=waste)]


def _widest(at: Callable[[int], FrameDesign], size: FittedSize, budget: int) -> int:
    """The greatest width from 4 on whose network fits the budget; 0 where none does."""
    low, high = 3, 4096
    while low < high:
        middle = (low + high + 1) // 2
        fits = sent(at(middle), size.frames) <= budget
        low, high = (middle, high) if fits else (low, middle - 1)
    return low if low > 3 else 0


def _blocks(boosted: bool, strides: tuple[int, ...]) -> tuple[int, ...]:
    """Boosted networks have two blocks in later stages."""
    return tuple(2 if boosted and number > 1 else 1 for number in range(len(strides)))


def _hnerv(
    system: System,
    boosted: bool,
    size: FittedSize,
    budget: int,
    strides: tuple[int, ...],
    width: int,
) -> FrameDesign:
    greatest = 3 if boosted else 5
    blocks = _blocks(boosted, strides)
    recipe = Recipe(strides, (1, 5), 1.2, _lowest(budget), True, blocks=blocks, greatest=greatest)
    rows, columns = first_features(size, prod(strides))
    # Embeddings of 16 channels, or so many as are a quarter of the budget.
    embedding = max(1, min(16, budget // (4 * rows * columns * size.frames)))
    return FrameDesign(
        system,
        rows,
        columns,
        width,
        recipe.stages(width),
        head_kernel=3,
        boosted=boosted,
        levels=80 if boosted else 0,
        embedding=embedding,
        code=_code(budget) if boosted else 0,
    )


def _nerv(
    system: System,
    boosted: bool,
    size: FittedSize,
    budget: int,
    strides: tuple[int, ...],
    width: int,
) -> FrameDesign:
    lowest = 96 if budget >= 2_000_000 and not boosted else _lowest(budget)
    recipe = Recipe(strides, (3, 3), 2, lowest, False, blocks=_blocks(boosted, strides))
    rows, columns = first_features(size, prod(strides))
    hidden = 256 if boosted else 512
    return FrameDesign(
        system,
        rows,
        columns,
        width,
        recipe.stages(width),
        boosted=boosted,
        levels=80 if boosted else 40,
        hidden=hidden if budget >= 1_000_000 else hidden // 4,
        code=_code(budget) if boosted else 0,
    )


def _e_nerv(
    system: System,
    boosted: bool,
    size: FittedSize,
    budget: int,
    strides: tuple[int, ...],
    width: int,
) -> FrameDesign:
    blocks = _blocks(boosted, strides)
    recipe = Recipe(strides, (3, 3), 2, _lowest(budget), False, expansion=3, blocks=blocks)
    rows, columns = first_features(size, prod(strides))
    attention = 128 if budget >= 1_000_000 else 64 if budget >= 400_000 else 16
    return FrameDesign(
        system,
        rows,
        columns,
        width,
        recipe.stages(width),
        boosted=boosted,
        levels=80,
        hidden=attention,
        code=_code(budget) if boosted else attention,
    )


def _lowest(budget: int) -> int:
    """The least width of a stage: the published one, or a small one."""
    return 12 if budget >= 60_000 else 4


def _code(budget: int) -> int:
    """The width of the time's code in boosted networks: the published one, or a small one."""
    return 32 if budget >= 500_000 else 8
