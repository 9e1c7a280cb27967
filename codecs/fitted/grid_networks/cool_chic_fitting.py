"""Cool-chic's fit: latents and networks of one picture on the fitting loop."""

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kodec.codecs.fitted.fitting import Figures, Fitting
from kodec.codecs.fitted.schedule import (
    MAX_CANDIDATES,
    Moment,
    Phase,
    PhaseKeys,
    Schedule,
    read_schedule,
)
from kodec.entropy.contexts.grid_rate import arm_rate
from kodec.entropy.latents.integer_arm import LEAST, MOST
from kodec.entropy.ports.relaxation import kumaraswamy_noise, soft_round_with_noise
from kodec.models.fields.grid_synthesis import synthesise
from kodec.models.fields.grid_upsampling import BICUBIC, upsample
from kodec.native import InvalidInputError

from .cool_chic_architecture import (
    CoolChicArchitecture,
    arm_of,
    filters_of,
    synthesis_of,
)
from .soap import Soap

LATENTS = "latents"
MOST_OF_NETWORKS = 0.1
DECAY = 0.01

PACKAGED = Path(__file__).with_name("cool_chic.yaml")


def gain_at(weight_of_rate: float) -> float:
    """What latents are multiplied by before rounding: the more bits, the larger the steps."""
    if weight_of_rate < 2e-4:
        return 24.0
    return 20.0 if weight_of_rate < 5e-4 else 16.0


class CoolChicFitting(Fitting):
    """A fit of one picture (1, colours, H, W), values in [0, 1].

    weight_of_rate: the loss is the mean squared error of such values plus this times bits per
    pixel, 1e-4 (many bits) to 2e-2; figures have bits per pixel + the error of whole samples over
    it. Networks count for nothing until they are integers.
    """

    def __init__(
        self,
        x: Tensor,
        architecture: CoolChicArchitecture,
        weight_of_rate: float,
        seed: int = 0,
        bit_depth: int = 8,
    ) -> None:
        _, colours, height, width = x.shape
        self.x = x
        self.peak = 2**bit_depth - 1
        self.architecture = architecture
        self.weight_of_rate = weight_of_rate
        self.gain = gain_at(weight_of_rate)
        self.grids = architecture.grids(height, width)
        self.levels = [grid.level for grid in self.grids]
        self.seed = seed
        self.phase: Phase | None = None
        self.values = {LATENTS: torch.zeros(architecture.positions(height, width))}
        for name, shape in architecture.shapes(colours).items():
            self.values[name] = torch.zeros(shape)
        with torch.random.fork_rng(devices=[]):
            self.restart(0)
        for value in self.values.values():
            value.requires_grad_()
        self.identity = {
            "picture": hashlib.sha256(x.contiguous().numpy().tobytes()).hexdigest(),
            "architecture": ",".join(map(str, architecture.integers)),
            "weight of the rate": repr(weight_of_rate),
            "seed": str(seed),
        }

    @torch.no_grad()
    def restart(self, candidate: int) -> None:
        """Other first weights; residual layers begin as identities."""
        torch.manual_seed(MAX_CANDIDATES * self.seed + candidate)
        for name, value in self.values.items():
            if name == LATENTS or name.endswith("bias") or "residual" in name:
                value.zero_()
            elif name.startswith("upsampling.doubling"):
                value.copy_(torch.tensor(BICUBIC))
            elif name.startswith("upsampling.lateral"):
                value.copy_(torch.tensor([0.0, 0.0, 0.0, 1.0]))
            elif name.startswith("arm.hidden"):
                value.zero_()
            elif name.startswith("synthesis"):
                most = 1 / (value.shape[0] ** 2 * math.sqrt(value[0].numel()))
                value.uniform_(-most, most)
            else:
                value.normal_().div_(value.shape[0] ** 2)

    def optimiser(self) -> torch.optim.Optimizer:
        """SOAP of the networks, Adam of the latents, as the phase has them."""
        eager = self.phase is not None and bool(self.phase.words.get("eager", False))
        groups: list[dict[str, Any]] = [
            {
                "params": [value for name, value in self.values.items() if name != LATENTS],
                "betas": (0.95, 0.95),
                "decay": DECAY,
                "every": 1 if eager else 10,
            },
            {
                "params": [self.values[LATENTS]],
                "betas": (0.725, 0.97) if eager else (0.9, 0.999),
            },
        ]
        return Soap(groups)

    def begin(self, phase: Phase) -> None:
        """Remember what the optimiser is to be."""
        self.phase = phase

    def integers(self) -> Tensor:
        """The latents as they are coded, in float32."""
        scaled = self.values[LATENTS].detach() * self.gain
        return scaled.round_().clamp_(LEAST, MOST)

    def split(self, latents: Tensor) -> list[Tensor]:
        """Of all latents in one, each grid's (h, w)."""
        sizes = [(grid.rows, grid.columns) for grid in self.grids]
        parts = latents.split([height * width for height, width in sizes])
        return [part.view(size) for part, size in zip(parts, sizes, strict=True)]

    def picture(self, grids: Sequence[Tensor]) -> Tensor:
        """What the synthesis makes of the grids, clamped to [0, 1]."""
        seen = [g for g, grid in zip(grids, self.grids, strict=True) if not grid.hyper]
        features = upsample(seen, filters_of(self.values))
        return synthesise(features, synthesis_of(self.values)).clamp(0, 1)

    def descend(self, moment: Moment) -> None:
        """Gradients of the squared error plus the weighed bits per pixel."""
        grids = self.split(self._relaxed(moment))
        bits = arm_rate(grids, self.levels, arm_of(self.values)).sum()
        error = (self.picture(grids) - self.x).square().mean()
        (error + self.weight_of_rate / self._pixels * bits).backward()
        networks = [value for name, value in self.values.items() if name != LATENTS]
        torch.nn.utils.clip_grad_norm_(networks, MOST_OF_NETWORKS)

    def _relaxed(self, moment: Moment) -> Tensor:
        rounding = moment.phase.words.get("rounding", "soft")
        if rounding == "hard":
            return self.integers()
        latents = self.values[LATENTS] * self.gain
        # What the authors' first phases have: more noise for fewer bits.
        usual = (0.747 - 0.432 * math.log10(self.weight_of_rate)) / 10
        amount = moment.knob("noise", usual)
        if moment.phase.words.get("noise_kind", "gaussian") == "gaussian":
            noise = torch.randn_like(latents) * amount
        else:
            noise = kumaraswamy_noise(torch.rand_like(latents), amount)
        return soft_round_with_noise(latents, noise, moment.knob("temperature"))

    @property
    def _pixels(self) -> int:
        return self.x.shape[-2] * self.x.shape[-1]

    @torch.no_grad()
    def measure(self) -> Figures:
        """Of integers, whole samples and the networks as they are, without the networks' bits."""
        grids = self.split(self.integers())
        bits = float(arm_rate(grids, self.levels, arm_of(self.values)).sum(dtype=torch.float64))
        return self.figures(bits, self.picture(grids))

    @torch.no_grad()
    def figures(self, bits: float, picture: Tensor) -> Figures:
        """Of so many bits and a picture in [0, 1]."""
        samples = picture.mul(self.peak).round()
        wrong = (samples - self.x * self.peak).square().mean(dtype=torch.float64)
        error = float(wrong) / self.peak**2
        bpp = bits / self._pixels
        psnr = -10 * math.log10(error) if error else math.inf
        return Figures(bpp + error / self.weight_of_rate, bpp, psnr)


def check_phase(phase: Phase) -> None:
    """Raise `InvalidInputError` for words that mean nothing here."""
    rounding = phase.words.get("rounding", "soft")
    kind = phase.words.get("noise_kind", "gaussian")
    if rounding not in ("soft", "hard") or kind not in ("gaussian", "kumaraswamy"):
        raise InvalidInputError(
            "a phase's rounding is soft or hard, its noise_kind gaussian or kumaraswamy, not "
            f"{rounding!r} and {kind!r}"
        )


# Words of a phase: rounding "soft" (under noise) or "hard" (networks alone are fitted); noise
# "gaussian" (its deviation is the knob) or "kumaraswamy" (its peak is); eager: the optimiser
# forgets faster and makes its bases anew in each step.
KEYS = PhaseKeys(
    frozenset({"temperature", "noise"}),
    frozenset({"rounding", "noise_kind", "eager"}),
    check_phase,
)


def usual_schedule(steps: int | None) -> Schedule:
    """The packaged schedule for so many steps, None for a number that is not known yet."""
    name = "cool-chic"
    for least in (4_000, 9_000, 12_000):
        if steps is not None and steps >= least:
            name = f"cool-chic-{least}"
    return read_schedule(name, PACKAGED, KEYS)
