"""Files of PFNR: one network for videos that come one after the other, a mask of it for each.

masks of a session --> its new weights --> its head
      |                     |
      given the union of    those of earlier sessions are never changed
      earlier masks

A packet is a session: earlier packets stay as they are, bit for bit, when one is added. Source:
"Progressive Fourier Neural Representation for Sequential Video Compilation" (2024). Steps of
weights are found when a session ends, and later sessions begin from the decoded weights. A
session's number goes in as a share of the most that there may be, where the published code has the
share of all: so that frames do not change when sessions are added.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from kodec.codecs.fitted.fitted_model import (
    Clip,
    Cost,
    FileFitting,
    FittedModel,
    FittedSize,
    Goal,
    Reconstruction,
)
from kodec.codecs.fitted.fitting import Budget
from kodec.codecs.fitted.schedule import Phase, Ramp, Schedule
from kodec.codecs.fitted_families import family_named
from kodec.codecs.model_size import ModelSize
from kodec.codecs.sequences.scene_cuts import SceneCuts
from kodec.entropy import SymbolPort
from kodec.entropy.parameters import ParameterCoder, TensorLayout, code_mask, mask_symbols
from kodec.entropy.roles import as_role
from kodec.models.fields import FrameDesign
from kodec.native import BitstreamError, InvalidInputError

from .frame_architecture import BITS, design_for, design_of, integers_of
from .frame_fitting import measured_every
from .session_fitting import HEAD, SessionFitting, Sessions, subnetworks, time_of

DEFAULT_SIZE = ModelSize(0.5, "bpp")
STEPS = (0, 100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600)
MAX_SESSIONS = 64
# Frames of a session, where nothing else is said.
FRAMES = 24
RATE = 5e-4
# The stage that works in the frequency domain.
FOURIER = 1


class PFNR(FittedModel):
    """Architecture: the spectral stage + 1, sessions, frames of each, and the NeRV's integers.

    Presets: "plain"; "fourier", whose second stage works in the frequency domain; "scenes": a
    session is a scene ("Scene Matters: Model-based Deep Video Compression", 2023, a reading).
    """

    family = family_named("pfnr")
    takes_quality = False
    takes_size = True
    presets = ("plain", "fourier", "scenes")
    combines = True

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
            time = time_of(place, self.lengths[session], session / MAX_SESSIONS)
            out: Tensor = functional_call(self.network, sessions[session], (time,))
            return out[0, :, : self.size.height, : self.size.width]

        return Reconstruction(self.size, render)

    @classmethod
    def fitting(cls, clip: Clip, goal: Goal) -> FileFitting:
        """See `FittedModel`."""
        if clip.size.components != 3:
            raise InvalidInputError("pfnr codes frames of 3 components, not of 1")
        budget = (goal.size or DEFAULT_SIZE).parameters(clip.size.pixels, BITS)
        lengths = scenes_of(clip) if "scenes" in goal.words else _lengths(clip.size.frames)
        spectral = FOURIER if "fourier" in goal.words else -1
        integers = _integers_for(clip.size, budget, spectral, lengths)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(goal.seed)
            model = cls(integers, clip.size)
            frames = [clip.tensor(number).mean((1, 2)) for number in range(clip.size.frames)]
            model.network.begin_at(torch.stack(frames).mean(0))
            return SessionFitting(model, model.parts, clip)

    def extension(self, parameters: Mapping[str, Any], clip: Clip, goal: Goal) -> FileFitting:
        """See `FittedModel`: the clip is a session more."""
        size, count = self.size, len(self.lengths)
        if clip.size != replace(size, frames=clip.size.frames):
            raise InvalidInputError(
                f"the archive holds {size.width}x{size.height} of {size.bit_depth} bits, not "
                f"{clip.size.width}x{clip.size.height} of {clip.size.bit_depth}"
            )
        if count == MAX_SESSIONS:
            raise InvalidInputError(f"an archive holds {count} videos at most: begin another")
        integers = self.architecture[:1] + (count + 1, *self.lengths, clip.size.frames)
        integers += self.architecture[2 + count :]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(goal.seed + count)
            model = type(self)(integers, replace(size, frames=size.frames + clip.size.frames))
            return SessionFitting(model, model.parts, clip, parameters, count)

    @property
    def parts(self) -> Sessions:
        """What is fitted."""
        shares = tuple(number / MAX_SESSIONS for number in range(len(self.lengths)))
        return Sessions(self.network, self.shapes, self.lengths, shares, self.design.frame_size)

    @property
    def sessions(self) -> tuple[int, ...]:
        """See `FittedModel`."""
        return self.lengths

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


def _integers_for(
    size: FittedSize, budget: int, spectral: int, lengths: list[int]
) -> tuple[int, ...]:
    """Of a network of at most `budget` parameters; raises as `design_for`."""
    asked = budget
    while True:
        # Twice encoded times and complex weights come on top of what a NeRV has.
        design = design_for("nerv", False, size, asked)
        integers = (spectral + 1, len(lengths), *lengths, *integers_of(design))
        found = PFNR.cost_of(integers, size).parameters
        if found <= budget:
            return integers
        asked = min(asked - 1, int(asked * budget / found))


def scenes_of(clip: Clip) -> list[int]:
    """Frames of each scene of a clip; of more than `MAX_SESSIONS`, the last ones are one."""
    cuts = SceneCuts()
    starts = [0]
    for number, frame in enumerate(clip.pixels):
        # Green stands for luma.
        if cuts.is_cut(frame[..., 1], clip.bit_depth) and len(starts) < MAX_SESSIONS:
            starts.append(number)
    ends = [*starts[1:], len(clip.pixels)]
    return [end - start for start, end in zip(starts, ends, strict=True)]


def _lengths(frames: int) -> list[int]:
    count = min(MAX_SESSIONS, max(1, round(frames / FRAMES)))
    return [frames * (n + 1) // count - frames * n // count for n in range(count)]
