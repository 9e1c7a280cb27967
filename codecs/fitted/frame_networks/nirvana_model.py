"""Files of NIRVANA: a network a group of frames, each begun from and coded against the one before.

Source: "NIRVANA: Neural Implicit Representations of Videos with Adaptive Networks and
Autoregressive Patch-wise Modeling" (2023). The rate of weights in training is that of a Laplace
distribution as wide as they are, where the published code learns a distribution; convolutions and
biases, which it does not charge, are coded too.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional

from kodec.codecs.fitted.fitted_model import (
    Clip,
    Cost,
    FileFitting,
    FittedModel,
    FittedSize,
    Goal,
    Reconstruction,
)
from kodec.codecs.fitted.fitting import Budget, Figures, Show, nothing_shown
from kodec.codecs.fitted.schedule import Moment, Phase, Ramp, Schedule
from kodec.codecs.fitted_families import family_named
from kodec.codecs.model_size import ModelSize
from kodec.entropy import SymbolPort
from kodec.entropy.parameters import ParameterCoder, Quantised, TensorLayout
from kodec.entropy.roles import as_role
from kodec.models.fields import NetworkCost, PatchDesign, PatchNetwork
from kodec.native import BitstreamError, InvalidInputError

from .frame_coding import measured, quantised
from .frame_fitting import measured_every

DEFAULT_SIZE = ModelSize(1.0, "bpp")
STEPS = (0, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600)
BITS = 5.0
MAX_GROUPS = 4096
# Side, frames, width, depth, channels.
BOUNDS = ((4, 256), (1, 16), (4, 4096), (2, 8), (2, 256))
# Whole numbers that weights begin between, of the first layer and of others; their largest as they
# are used, which a learned scale multiplies; and how much faster they learn than the rest.
FIRST, OTHER, FASTER = 200.0, 3.0, 100.0
RATE = 5e-4
RATE_WEIGHT = 1e-3
# Steps between looks at the largest.
REFRESH = 10
PATCHES = 64


class NIRVANA(FittedModel):
    """Architecture: side of patches, frames a group, width, depth, channels. A packet a group."""

    family = family_named("nirvana")
    takes_quality = False
    takes_size = True

    def __init__(self, architecture: tuple[int, ...], size: FittedSize) -> None:
        super().__init__(architecture, size)
        self.design = _design(architecture, size)
        self.network = as_role("decoder", self.design.build())
        self.layout = _layout(self.design)
        self.coder = ParameterCoder(self.layout)
        self.groups = _groups(size, self.design)
        self._before: dict[str, Tensor] = {}

    @classmethod
    def cost_of(cls, architecture: tuple[int, ...], size: FittedSize) -> Cost:
        """See `FittedModel`."""
        design = _design(architecture, size)
        layout, groups = _layout(design), _groups(size, design)
        if groups > MAX_GROUPS:
            raise BitstreamError(f"nirvana networks have {MAX_GROUPS} groups at most")
        count = sum(math.prod(tensor.shape) for tensor in layout.values())
        with torch.device("meta"):
            network = design.build()
        one = NetworkCost(count)
        one.add(network.stem, 1)
        one.add(network.up, (design.side // 2) ** 2)
        one.add(network.head, design.side**2)
        rows, columns = _patches(size, design.side)
        one.largest *= rows * columns
        per_pixel = -(-one.macs // (design.side**2 * design.frames))
        peak = one.peak_bytes + 8 * count * groups
        return Cost(count * groups, per_pixel, peak, ParameterCoder(layout).symbols, groups)

    def code(
        self, parameters: Mapping[str, Any] | None, port: SymbolPort, packet: int = 0
    ) -> Mapping[str, Any]:
        """See `FittedModel`; parameters: `Quantised`, named by group. In the groups' order."""
        own = None
        if parameters is not None:
            own = {name: parameters[f"{packet}.{name}"] for name in self.layout}
        found = self.coder.code(own, port, self._before if packet else None)
        self._before = {n: found[n].integers for n in self.layout if is_whole(n)}
        return {f"{packet}.{name}": value for name, value in found.items()}

    def forget(self) -> None:
        """What earlier packets have told: the next one is coded as if it were the first."""
        self._before = {}

    def reconstruct(self, parameters: Mapping[str, Any]) -> Reconstruction:
        """See `FittedModel`."""
        shown: dict[int, Tensor] = {}

        def render(number: int) -> Tensor:
            group, place = divmod(number, self.design.frames)
            if group not in shown:
                shown.clear()
                own = {n: parameters[f"{group}.{n}"].dequantise() for n in self.layout}
                shown[group] = drawn(self.network, own, self.design, self.size)
            return shown[group][place]

        return Reconstruction(self.size, render)

    @classmethod
    def fitting(cls, clip: Clip, goal: Goal) -> FileFitting:
        """See `FittedModel`."""
        if clip.size.components != 3:
            raise InvalidInputError("nirvana codes frames of 3 components, not of 1")
        budget = (goal.size or DEFAULT_SIZE).parameters(clip.size.pixels, BITS)
        width = _width_for(clip.size, budget)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(goal.seed)
            model = cls((SIDE, GROUP, width, 3, _channels(width)), clip.size)
            return GroupFitting(model, clip)

    @classmethod
    def schedule(cls, goal: Goal, budget: Budget | None) -> Schedule:
        """See `FittedModel`."""
        every = measured_every(budget)
        return Schedule((Phase(1.0, Ramp(RATE, RATE), measure_every=every),), STEPS)


SIDE, GROUP = 32, 3


def _design(architecture: tuple[int, ...], size: FittedSize) -> PatchDesign:
    fits = len(architecture) == len(BOUNDS) and all(
        least <= value <= most for value, (least, most) in zip(architecture, BOUNDS, strict=True)
    )
    if not fits or architecture[0] % 2 or architecture[4] % 2 or size.components != 3:
        raise BitstreamError("nirvana networks have no such integers: a damaged file")
    return PatchDesign(*architecture)


def _layout(design: PatchDesign) -> dict[str, TensorLayout]:
    with torch.device("meta"):
        network = design.build()
    return {
        name: TensorLayout(value.shape, "weights" if value.dim() > 1 else "biases")
        for name, value in network.named_parameters()
    }


def _groups(size: FittedSize, design: PatchDesign) -> int:
    return -(-size.frames // design.frames)


def _patches(size: FittedSize, side: int) -> tuple[int, int]:
    return -(-size.height // side), -(-size.width // side)


def is_whole(name: str) -> bool:
    """Whether a tensor is whole numbers in training too: the sine layers' weights."""
    return name.startswith("stem") and name.endswith("weight")


def _width_for(size: FittedSize, budget: int) -> int:
    groups = -(-size.frames // GROUP)

    def count(width: int) -> int:
        layout = _layout(PatchDesign(SIDE, GROUP, width, 3, _channels(width)))
        return groups * sum(math.prod(tensor.shape) for tensor in layout.values())

    low, high = 7, 4096
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if count(middle) <= budget else (low, middle - 1)
    if low < 8:
        raise InvalidInputError(
            f"nirvana takes {count(8):,} parameters or more for this video, not {budget:,}: give "
            "a larger --size"
        )
    return low


def _channels(width: int) -> int:
    """16 of the published width of 512, and fewer in small networks; an even number."""
    return max(2, min(16, width // 8 * 2))


def centres(rows: int, columns: int) -> Tensor:
    """Of patches, (rows x columns, 2) in [-1, 1]."""
    down, across = ((2 * torch.arange(n) + 1) / n - 1 for n in (rows, columns))
    return torch.stack(torch.meshgrid(down, across, indexing="ij"), -1).flatten(0, 1)


def drawn(
    network: PatchNetwork, values: Mapping[str, Tensor], design: PatchDesign, size: FittedSize
) -> Tensor:
    """All frames of a group, (frames, 3, H, W)."""
    rows, columns = _patches(size, design.side)
    patches: Tensor = functional_call(network, dict(values), (centres(rows, columns),))
    grid = patches.unflatten(0, (rows, columns)).permute(2, 3, 0, 4, 1, 5)
    whole = grid.reshape(design.frames, 3, rows * design.side, columns * design.side)
    shown: Tensor = whole[..., : size.height, : size.width]
    return shown


class GroupFitting(FileFitting):
    """The fitting of a `NIRVANA`: groups in turn, the first one twice as long.

    A group begins from what the one before is decoded to. values: of each group, sine layers'
    weights as numbers to be rounded, and their scales; all else as it is.
    """

    divides_steps = True

    def __init__(self, model: NIRVANA, clip: Clip) -> None:
        self.model, self.clip, self.design = model, clip, model.design
        self.identity = {"architecture": str(model.architecture)}
        self.values: dict[str, Tensor] = {}
        model.network.begin_at(torch.stack(self._frames(0)).mean((0, 2, 3)))
        first = dict(model.network.named_parameters())
        for group in range(model.groups):
            for name, value in first.items():
                begun = value.detach().clone()
                if is_whole(name):
                    scale = begun.abs().max()
                    reach = FIRST if name == "stem.0.weight" else OTHER
                    begun = begun / scale * reach
                    self.values[f"{group}.{name}.scale"] = scale.clone()
                    self.values[f"{group}.{name}.most"] = torch.tensor(reach)
                self.values[f"{group}.{name}"] = begun
        self.values["begun"] = torch.zeros(())
        for name, own in self.values.items():
            own.requires_grad_(name != "begun" and not name.endswith(".most"))
        self.rows, self.columns = _patches(clip.size, self.design.side)
        self.places = centres(self.rows, self.columns)

    def optimiser(self) -> torch.optim.Optimizer:
        """Adam; whole numbers learn a hundred times as fast."""
        fast: list[Tensor] = []
        slow: list[Tensor] = []
        for name, value in self.values.items():
            if value.requires_grad:
                (fast if is_whole(name.partition(".")[2]) else slow).append(value)
        groups: list[dict[str, Any]] = [{"params": fast, "scale": FASTER}, {"params": slow}]
        return torch.optim.Adam(groups, lr=1.0)

    def group_at(self, step: int, steps: int) -> tuple[int, int]:
        """The group of a step, and how many steps of it were done."""
        shares = self.model.groups + 1
        share = min(shares - 1, step * shares // steps)
        group = max(0, share - 1)
        start = -(-(group + 1) * steps // shares) if group else 0
        return group, step - start

    def descend(self, moment: Moment) -> None:
        """Of the step's group: some patches of its frames."""
        group, done = self.group_at(moment.step, moment.steps)
        for begun in range(int(self.values["begun"]) + 1, group + 1):
            self._begin(begun)
        own = self._own(group)
        if done % REFRESH == 0:
            self._look(group)
        chosen = torch.randperm(len(self.places))[:PATCHES]
        weights, bits = self._weights(own, group)
        out: Tensor = functional_call(self.model.network, weights, (self.places[chosen],))
        error = (out - self._target(group)[chosen]).square().mean()
        count = sum(v.numel() for n, v in own.items() if is_whole(n))
        (error + RATE_WEIGHT * bits / count * error.detach()).backward()

    def measure(self) -> Figures:
        """Of all groups as they are coded."""
        with torch.no_grad():
            coded, bits, errors = {}, 0.0, []
            for group in range(self.model.groups):
                coded = self._quantised(group)
                bits += sum(measured(coded, self.model.layout).values())
                values = {name: value.dequantise() for name, value in coded.items()}
                shown = drawn(self.model.network, values, self.design, self.clip.size)
                for place, frame in enumerate(self._frames(group)):
                    if group * self.design.frames + place < self.clip.size.frames:
                        errors.append((shown[place].clamp(0, 1) - frame).square().mean())
        error = torch.stack(errors)
        psnr = float((-10 * error.clamp(min=1e-10).log10()).mean())
        loss = float(error.mean()) * 255**2
        return Figures(loss, bits / self.clip.size.pixels, psnr)

    def result(self, show: Show = nothing_shown) -> tuple[FittedModel, Mapping[str, Any]]:
        """See `FileFitting`."""
        found = {}
        with torch.no_grad():
            for group in range(self.model.groups):
                for name, value in self._quantised(group).items():
                    found[f"{group}.{name}"] = value
        return self.model, found

    def _own(self, group: int) -> dict[str, Tensor]:
        return {name: self.values[f"{group}.{name}"] for name in self.model.layout}

    @torch.no_grad()
    def _begin(self, group: int) -> None:
        """From what the group before is decoded to."""
        self.values["begun"].fill_(group)
        for name, value in self._quantised(group - 1).items():
            whole = is_whole(name)
            begun = value.integers.float() if whole else value.dequantise()
            self.values[f"{group}.{name}"].copy_(begun)
            if whole:
                for part in ("scale", "most"):
                    earlier = self.values[f"{group - 1}.{name}.{part}"]
                    self.values[f"{group}.{name}.{part}"].copy_(earlier)

    @torch.no_grad()
    def _look(self, group: int) -> None:
        for name, value in self._own(group).items():
            if is_whole(name):
                most = value.round().abs().max().clamp(min=1.0)
                self.values[f"{group}.{name}.most"].copy_(most)

    def _step(self, group: int, name: str) -> Tensor:
        return self.values[f"{group}.{name}.scale"] / self.values[f"{group}.{name}.most"]

    def _weights(self, own: Mapping[str, Tensor], group: int) -> tuple[dict[str, Tensor], Tensor]:
        """What the network takes, rounded straight through; and an estimate of its bits."""
        found, bits = dict(own), torch.zeros(())
        for name, value in own.items():
            if not is_whole(name):
                continue
            rounded = value + (value.round() - value).detach()
            found[name] = rounded * self._step(group, name)
            earlier = self.values[f"{group - 1}.{name}"].detach().round() if group else 0.0
            noisy = value - earlier + torch.rand_like(value) - 0.5
            width = noisy.detach().abs().mean().clamp(min=0.2)
            bits = bits + (noisy.abs() / width).sum() / math.log(2)
        return found, bits

    def _quantised(self, group: int) -> dict[str, Quantised]:
        own = self._own(group)
        plain = {name: value for name, value in own.items() if not is_whole(name)}
        found = quantised({name: value.detach() for name, value in plain.items()})
        for name, value in own.items():
            if is_whole(name):
                step = self._step(group, name).detach().abs().clamp(min=1e-6)
                whole = value.detach().round()
                found[name] = Quantised(whole.int(), step.float())
        return {name: found[name] for name in self.model.layout}

    def _frames(self, group: int) -> list[Tensor]:
        last = self.clip.size.frames - 1
        first = group * self.design.frames
        return [self.clip.tensor(min(last, first + place)) for place in range(self.design.frames)]

    def _target(self, group: int) -> Tensor:
        """(patches, frames, 3, side, side)."""
        side = self.design.side
        frames = torch.stack(self._frames(group))
        height, width = frames.shape[-2:]
        padding = (0, self.columns * side - width, 0, self.rows * side - height)
        padded = functional.pad(frames, padding, mode="replicate")
        grid = padded.unflatten(3, (self.columns, side)).unflatten(2, (self.rows, side))
        patches: Tensor = grid.permute(2, 4, 0, 1, 3, 5).flatten(0, 1)
        return patches
