"""Files of PFNR: one network for videos that come one after the other, a mask of it for each.

masks of a session --> its new weights --> its head
      |                     |
      given the union of    those of earlier sessions are never changed
      earlier masks

A packet is a session: earlier packets stay as they are, bit for bit, when one is added. Source:
"Progressive Fourier Neural Representation for Sequential Video Compilation" (2024). Steps of
weights are found when a session ends, and later sessions begin from the decoded weights.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
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
from kodec.codecs.objective import DISTORTIONS
from kodec.entropy import RateMeter, SymbolPort
from kodec.entropy.parameters import (
    ParameterCoder,
    Quantised,
    TensorLayout,
    code_mask,
    mask_symbols,
)
from kodec.entropy.roles import as_role
from kodec.models.fields import FrameDesign
from kodec.native import BitstreamError, InvalidInputError

from .frame_architecture import BITS, design_for, design_of, integers_of
from .frame_coding import quantised
from .frame_fitting import measured_every

DEFAULT_SIZE = ModelSize(0.5, "bpp")
STEPS = (0, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600)
MAX_SESSIONS = 64
# Frames of a session, where nothing else is said, and the share of weights that each one has.
FRAMES, DENSITY = 24, 0.5
HEAD = "head."
RATE = 5e-4
PRESETS = {"plain": -1, "fourier": 1}


class PFNR(FittedModel):
    """Architecture: the spectral stage + 1, sessions, frames of each, and the NeRV's integers.

    Presets: "plain", and "fourier", whose second stage works in the frequency domain.
    """

    family = family_named("pfnr")
    takes_quality = False
    takes_size = True
    presets = tuple(PRESETS)

    def __init__(self, architecture: tuple[int, ...], size: FittedSize) -> None:
        super().__init__(architecture, size)
        self.design, self.lengths = _parts(architecture, size)
        self.network = as_role("decoder", self.design.build())
        self.shapes = _shapes(self.design)
        self._known: dict[str, Tensor] = {}
        self._union: dict[str, Tensor] = {}

    @classmethod
    def cost_of(cls, architecture: tuple[int, ...], size: FittedSize) -> Cost:
        """See `FittedModel`."""
        design, lengths = _parts(architecture, size)
        cost, shapes = design.cost(), _shapes(design)
        most = ParameterCoder({n: TensorLayout(shape) for n, shape in shapes.items()}).symbols
        masks = sum(mask_symbols(s) for n, s in shapes.items() if not n.startswith(HEAD))
        heads = sum(math.prod(s) for n, s in shapes.items() if n.startswith(HEAD))
        height, width = design.frame_size
        return Cost(
            # All weights once, and a head a session.
            cost.parameters + (len(lengths) - 1) * heads,
            -(-cost.macs // (height * width)),
            cost.peak_bytes + 8 * cost.parameters * len(lengths),
            range(1, most.stop + masks),
            len(lengths),
        )

    def code(
        self, parameters: Mapping[str, Any] | None, port: SymbolPort, packet: int = 0
    ) -> Mapping[str, Any]:
        """See `FittedModel`; in the sessions' order.

        parameters: masks, bool, by "session.name/mask"; new weights, `Quantised` and flat, by
        "session.name".
        """
        if packet == 0:
            self._union = {}
        found: dict[str, Any] = {}
        layout = {}
        for name, shape in self.shapes.items():
            pool = "weights" if len(shape) > 1 else "biases"
            if name.startswith(HEAD):
                layout[name] = TensorLayout(shape, "head")
                continue
            key = f"{packet}.{name}/mask"
            given = None if parameters is None else parameters[key]
            mask = code_mask(port, f"{name}/mask", given, shape, self._union.get(name))
            before = self._union.get(name, torch.zeros(shape, dtype=torch.bool))
            layout[name] = TensorLayout(torch.Size((int((mask & ~before).sum()),)), pool)
            self._union[name] = before | mask
            found[key] = mask
        own = None
        if parameters is not None:
            own = {name: parameters[f"{packet}.{name}"] for name in layout}
        coded = ParameterCoder(layout).code(own, port)
        return found | {f"{packet}.{name}": value for name, value in coded.items()}

    def reconstruct(self, parameters: Mapping[str, Any]) -> Reconstruction:
        """See `FittedModel`."""
        sessions = subnetworks(self.shapes, len(self.lengths), parameters)
        starts = [sum(self.lengths[:n]) for n in range(len(self.lengths))]

        def render(number: int) -> Tensor:
            session = max(n for n, start in enumerate(starts) if start <= number)
            place = number - starts[session]
            time = time_of(place, self.lengths[session], session, len(self.lengths))
            out: Tensor = functional_call(self.network, sessions[session], (time,))
            return out[0, :, : self.size.height, : self.size.width]

        return Reconstruction(self.size, render)

    @classmethod
    def fitting(cls, clip: Clip, goal: Goal) -> FileFitting:
        """See `FittedModel`."""
        if clip.size.components != 3:
            raise InvalidInputError("pfnr codes frames of 3 components, not of 1")
        budget = (goal.size or DEFAULT_SIZE).parameters(clip.size.pixels, BITS)
        integers = _integers_for(clip.size, budget, PRESETS[goal.preset or "plain"])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(goal.seed)
            return SessionFitting(cls(integers, clip.size), clip)

    @classmethod
    def schedule(cls, goal: Goal, budget: Budget | None) -> Schedule:
        """See `FittedModel`."""
        every = measured_every(budget)
        return Schedule((Phase(1.0, Ramp(RATE, RATE), measure_every=every),), STEPS)


def _parts(architecture: tuple[int, ...], size: FittedSize) -> tuple[FrameDesign, tuple[int, ...]]:
    if len(architecture) < 3 or size.components != 3:
        raise BitstreamError("pfnr networks have no such integers: a damaged file")
    spectral, count, rest = architecture[0] - 1, architecture[1], architecture[2:]
    lengths = rest[:count]
    wrong = not 1 <= count <= MAX_SESSIONS or len(lengths) != count or min(lengths) < 1
    if wrong or sum(lengths) != size.frames:
        raise BitstreamError("pfnr networks have no such sessions: a damaged file")
    design = design_of("nerv", False, rest[count:], size)
    if not -1 <= spectral < len(design.stages) or not design.hidden:
        raise BitstreamError("pfnr networks have no such stage: a damaged file")
    return replace(design, sessions=True, spectral=spectral), lengths


def _shapes(design: FrameDesign) -> dict[str, torch.Size]:
    with torch.device("meta"):
        network = design.build()
    return {name: value.shape for name, value in network.named_parameters()}


def _integers_for(size: FittedSize, budget: int, spectral: int) -> tuple[int, ...]:
    """Of a network of at most `budget` parameters; raises as `design_for`."""
    lengths = _lengths(size.frames)
    asked = budget
    while True:
        # Twice encoded times and complex weights come on top of what a NeRV has.
        design = design_for("nerv", False, size, asked)
        integers = (spectral + 1, len(lengths), *lengths, *integers_of(design))
        found = PFNR.cost_of(integers, size).parameters
        if found <= budget:
            return integers
        asked = min(asked - 1, int(asked * budget / found))


def _lengths(frames: int) -> list[int]:
    count = min(MAX_SESSIONS, max(1, round(frames / FRAMES)))
    return [frames * (n + 1) // count - frames * n // count for n in range(count)]


def time_of(place: int | Tensor, frames: int, session: int, sessions: int) -> Tensor:
    """(N, 2): of frames by their place in a session, and of the session."""
    own = torch.as_tensor(place).reshape(-1) / frames
    return torch.stack([own, torch.full_like(own, session / sessions)], 1)


def subnetworks(
    shapes: Mapping[str, torch.Size], sessions: int, parameters: Mapping[str, Any]
) -> list[dict[str, Tensor]]:
    """The weights of each session, from masks and new weights as `PFNR.code` returns them."""
    whole = {name: torch.zeros(shape) for name, shape in shapes.items()}
    union = {name: torch.zeros(shape, dtype=torch.bool) for name, shape in shapes.items()}
    found = []
    for session in range(sessions):
        own = {}
        for name in shapes:
            values = parameters[f"{session}.{name}"].dequantise()
            if name.startswith(HEAD):
                own[name] = values
                continue
            mask = parameters[f"{session}.{name}/mask"]
            whole[name] = whole[name].masked_scatter(mask & ~union[name], values)
            union[name] = union[name] | mask
            own[name] = whole[name] * mask
        found.append(own)
    return found


class SessionFitting(FileFitting):
    """The fitting of a `PFNR`: sessions in turn, with as many steps each.

    values: the weights, and a head of each session; scores, whose largest magnitudes are a
    session's mask; of sessions that have ended the masks, the union of them and the weights that
    they keep.
    """

    divides_steps = True

    def __init__(self, model: PFNR, clip: Clip) -> None:
        self.model, self.clip = model, clip
        self.identity = {"architecture": str(model.architecture)}
        self.values: dict[str, Tensor] = {}
        self.masked = [name for name in model.shapes if not name.startswith(HEAD)]
        for name, value in model.network.named_parameters():
            begun = value.detach().clone()
            if name in self.masked:
                bound = 1 / max(1, begun[0].numel() if begun.dim() > 1 else len(begun)) ** 0.5
                self.values[name] = begun
                self.values[f"{name}/scores"] = torch.empty_like(begun).uniform_(-bound, bound)
                self.values[f"{name}/union"] = torch.zeros_like(begun)
                self.values[f"{name}/kept"] = torch.zeros_like(begun)
            for session in range(len(model.lengths)):
                if name in self.masked:
                    self.values[f"{session}.{name}/mask"] = torch.zeros_like(begun)
                    self.values[f"{session}.{name}/step"] = torch.zeros(())
                else:
                    self.values[f"{session}.{name}"] = begun.clone()
        self.values["ended"] = torch.zeros(())
        for name, state in self.values.items():
            kind = name.rpartition("/")[2]
            state.requires_grad_(kind not in ("union", "kept", "mask", "step", "ended"))
        height, width = clip.size.height, clip.size.width
        down, across = model.design.frame_size
        self._padding = (0, across - width, 0, down - height)
        small = min(model.design.frame_size) < 11
        self.distortion = DISTORTIONS["mse" if small else "l1-ssim"]

    def descend(self, moment: Moment) -> None:
        """Of one frame of the step's session."""
        sessions = len(self.model.lengths)
        session = min(sessions - 1, moment.step * sessions // moment.steps)
        for ended in range(int(self.values["ended"]), session):
            self._end(ended)
        length = self.model.lengths[session]
        place = int(torch.randint(length, ()))
        x = self._pixels(sum(self.model.lengths[:session]) + place)[None]
        own = {name: self._selected(name, session) for name in self.model.shapes}
        time = time_of(place, length, session, sessions)
        out: Tensor = functional_call(self.model.network, own, (time,))
        self.distortion(x, out).mean().backward()

    def measure(self) -> Figures:
        """Of all sessions as they are coded; those to come are what the present one gives."""
        with torch.no_grad():
            parameters = self._parameters()
            meter, errors, bits = RateMeter(training=False), [], 0.0
            for session in range(len(self.model.lengths)):
                self.model.code(parameters, meter, session)
            bits = sum(float(part.sum()) for part in meter.bits.values())
            shown = self.model.reconstruct(parameters)
            for number in range(self.clip.size.frames):
                frame = self.clip.tensor(number)
                errors.append((shown.render(number).clamp(0, 1) - frame).square().mean())
        error = torch.stack(errors)
        psnr = float((-10 * error.clamp(min=1e-10).log10()).mean())
        return Figures(float(error.mean()) * 255**2, bits / self.clip.size.pixels, psnr)

    def result(self, show: Show = nothing_shown) -> tuple[FittedModel, Mapping[str, Any]]:
        """See `FileFitting`."""
        with torch.no_grad():
            return self.model, self._parameters()

    def _pixels(self, number: int) -> Tensor:
        return functional.pad(self.clip.tensor(number)[None], self._padding, mode="replicate")[0]

    def _mask(self, name: str) -> Tensor:
        """Of the present scores: the largest magnitudes."""
        scores = self.values[f"{name}/scores"].detach().abs().flatten()
        kept = max(1, round(DENSITY * scores.numel()))
        threshold = scores.kthvalue(scores.numel() - kept + 1).values
        return (scores >= threshold).view(self.values[name].shape)

    def _selected(self, name: str, session: int) -> Tensor:
        if name not in self.masked:
            return self.values[f"{session}.{name}"]
        scores = self.values[f"{name}/scores"].abs()
        # Gradients pass to the scores unchanged.
        mask = self._mask(name).float() + scores - scores.detach()
        return self._weight(name) * mask

    def _weight(self, name: str) -> Tensor:
        """With what earlier sessions keep; a momentum would move it in the values themselves."""
        union, kept = self.values[f"{name}/union"].bool(), self.values[f"{name}/kept"]
        return torch.where(union, kept, self.values[name])

    @torch.no_grad()
    def _end(self, session: int) -> None:
        """A session's mask is kept, and its new weights are what they are decoded to."""
        self.values["ended"].fill_(session + 1)
        for name in self.masked:
            mask, union = self._mask(name), self.values[f"{name}/union"].bool()
            new = mask & ~union
            if bool(new.any()):
                coded = quantised({name: self.values[name].detach()[new]})[name]
                self.values[f"{session}.{name}/step"].copy_(coded.step)
                self.values[f"{name}/kept"].masked_scatter_(new, coded.dequantise())
            self.values[f"{session}.{name}/mask"].copy_(mask.float())
            self.values[f"{name}/union"].copy_((mask | union).float())

    def _parameters(self) -> dict[str, Any]:
        """What `PFNR.code` takes of all sessions, those that go on or are to come as they stand."""
        found: dict[str, Any] = {}
        union = {
            name: torch.zeros(self.model.shapes[name], dtype=torch.bool) for name in self.masked
        }
        ended = int(self.values["ended"])
        for session in range(len(self.model.lengths)):
            heads = {
                name: self.values[f"{session}.{name}"].detach()
                for name in self.model.shapes
                if name not in self.masked
            }
            for name, coded in quantised(heads).items():
                found[f"{session}.{name}"] = coded
            for name in self.masked:
                stored = self.values[f"{session}.{name}/mask"].bool()
                mask = stored if session < ended else self._mask(name)
                new = mask & ~union[name]
                values = self._weight(name).detach()[new]
                step = float(self.values[f"{session}.{name}/step"])
                found[f"{session}.{name}/mask"] = mask
                found[f"{session}.{name}"] = _in_steps(values, step)
                union[name] |= mask
        return found


def _in_steps(values: Tensor, step: float) -> Quantised:
    if not values.numel():
        return Quantised(values.int(), torch.tensor(2.0**-14))
    if step > 0:
        return Quantised((values / step).round().int(), torch.tensor(step))
    return quantised({"values": values})["values"]
