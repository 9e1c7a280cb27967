"""A small real family of fitted networks: sines of the place, two matrices."""

import math
from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn

from kodec.codecs.fitted import (
    Budget,
    Clip,
    Cost,
    Figures,
    FileFitting,
    FittedModel,
    FittedSize,
    Goal,
    Moment,
    Phase,
    Ramp,
    Reconstruction,
    Schedule,
)
from kodec.codecs.fitted.fitting import Show, nothing_shown
from kodec.codecs.fitted_families import Family, register
from kodec.entropy import RateMeter, SymbolPort
from kodec.entropy.parameters import (
    CODING_BYTES,
    ParameterCoder,
    Quantised,
    TensorLayout,
    given_step,
)
from kodec.entropy.roles import as_role
from kodec.native import BitstreamError

COORDINATES = register(
    Family(250, 0, "coordinates", "coordinate_network:CoordinateNetwork", videos=True)
)
STEP = 1 / 32


class CoordinateNetwork(FittedModel):
    """Architecture: (frequencies, width)."""

    family = COORDINATES
    takes_size = True
    presets = ("wide",)

    def __init__(self, architecture: tuple[int, ...], size: FittedSize) -> None:
        super().__init__(architecture, size)
        self.frequencies, self.width = architecture
        inputs = 2 * self.frequencies * (2 + (size.frames > 1))
        self.layers: nn.Sequential = as_role(
            "decoder",
            nn.Sequential(
                nn.Linear(inputs, self.width), nn.GELU(), nn.Linear(self.width, size.components)
            ),
        )

    @classmethod
    def cost_of(cls, architecture: tuple[int, ...], size: FittedSize) -> Cost:
        if len(architecture) != 2 or not all(1 <= n <= 1 << 20 for n in architecture):
            raise BitstreamError("coordinate networks have two sizes, 1 to 2^20")
        frequencies, width = architecture
        inputs = 2 * frequencies * (2 + (size.frames > 1))
        macs = width * (inputs + size.components)
        count = macs + width + size.components
        peak = CODING_BYTES * count + 4 * size.width * size.height * (inputs + width)
        return Cost(count, macs, peak, cls._coder(architecture, size).symbols)

    @staticmethod
    def _coder(architecture: tuple[int, ...], size: FittedSize) -> ParameterCoder:
        (frequencies, width), colours = architecture, size.components
        inputs = 2 * frequencies * (2 + (size.frames > 1))
        shapes = ((width, inputs), (width,), (colours, width), (colours,))
        names = ("0.weight", "0.bias", "2.weight", "2.bias")
        return ParameterCoder(
            {n: TensorLayout(torch.Size(s)) for n, s in zip(names, shapes, strict=True)}
        )

    @classmethod
    def build(cls, architecture: tuple[int, ...], size: FittedSize) -> Self:
        cls.cost_of(architecture, size)
        return cls(architecture, size)

    def code(
        self, parameters: Mapping[str, Any] | None, port: SymbolPort, packet: int = 0
    ) -> Mapping[str, Any]:
        return self._coder(self.architecture, self.size).code(parameters, port)

    def reconstruct(self, parameters: Mapping[str, Any]) -> Reconstruction:
        with torch.no_grad():
            for name, value in self.layers.named_parameters():
                value.copy_(parameters[name].dequantise())
        return Reconstruction(self.size, lambda number: self.draw(self.layers, number))

    def draw(self, layers: nn.Module, number: int) -> Tensor:
        size = self.size
        y, x = (torch.arange(n, dtype=torch.float32) / n for n in (size.height, size.width))
        places = [y[:, None].expand(-1, size.width), x.expand(size.height, -1)]
        if size.frames > 1:
            places.append(torch.full_like(places[0], number / size.frames))
        waves = 2 ** torch.arange(self.frequencies) * math.pi * torch.stack(places, -1)[..., None]
        features = torch.cat([waves.sin(), waves.cos()], -1).flatten(2)
        drawn: Tensor = layers(features)
        return drawn.permute(2, 0, 1)

    @classmethod
    def fitting(cls, clip: Clip, goal: Goal) -> FileFitting:
        return CoordinateFitting(clip, goal)

    @classmethod
    def schedule(cls, goal: Goal, budget: Budget | None) -> Schedule:
        phases = (
            Phase(3.0, Ramp(0.03, 0.01), measure_every=5),
            Phase(1.0, Ramp(0.003, 0.001), measure_every=5, from_best=True),
        )
        return Schedule(phases, (0, 1, 2, 4, 8, 12, 40, 80, 160, 320))


class CoordinateFitting(FileFitting):
    def __init__(self, clip: Clip, goal: Goal) -> None:
        self.clip = clip
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(goal.seed)
            quality = 32 if goal.quality is None else goal.quality
            width = 8 if goal.size is None else max(1, int(goal.size.value) // 20)
            self.model = CoordinateNetwork((4, width + quality // 8), clip.size)
        self.values = dict(self.model.layers.named_parameters())
        self.identity = {"architecture": str(self.model.architecture)}

    def _loss(self, layers: nn.Module, number: int) -> Tensor:
        return (self.model.draw(layers, number) - self.clip.tensor(number)).square().mean()

    def descend(self, moment: Moment) -> None:
        self._loss(self.model.layers, moment.step % self.clip.size.frames).backward()

    def _quantised(self) -> dict[str, Quantised]:
        return {name: given_step(value.detach(), STEP) for name, value in self.values.items()}

    @torch.no_grad()
    def measure(self) -> Figures:
        other = CoordinateNetwork(self.model.architecture, self.clip.size)
        other.reconstruct(self._quantised())
        frames = range(self.clip.size.frames)
        error = sum(float(self._loss(other.layers, n)) for n in frames) / len(frames)
        meter = RateMeter(training=False)
        other.code(self._quantised(), meter)
        bpp = float(meter.total()) / self.clip.size.pixels
        return Figures(error, bpp, -10 * math.log10(error))

    def result(self, show: Show = nothing_shown) -> tuple[FittedModel, Mapping[str, Any]]:
        return self.model, self._quantised()
