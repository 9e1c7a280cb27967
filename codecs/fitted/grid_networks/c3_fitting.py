"""C3's fit: latents and two networks of one picture on the fitting loop.

Source: "C3: High-performance and low-complexity neural compression from a single image or video"
(2024). The quantisation step of 0.4 stands in the networks' first weights.
"""

import hashlib
import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from kodec.codecs.fitted.fitting import Figures, Fitting
from kodec.codecs.fitted.schedule import Moment, Phase, PhaseKeys
from kodec.entropy.contexts.context_rate import context_rate
from kodec.entropy.contexts.grid_rate import LATENT_CODING, laplace_bits
from kodec.entropy.latents.gelu_arm import STRAIGHT_GELU, WINDOW, WINDOW_CONTEXTS, straight_gelu
from kodec.entropy.latents.integer_arm import LEAST, LOG_SCALE_OFFSET, MOST
from kodec.entropy.ports.relaxation import kumaraswamy_noise, soft_round, soft_round_mean
from kodec.models.blocks.core_floats import core_takes_floats
from kodec.models.blocks.position_network import PositionLayer
from kodec.models.fields.c3_synthesis import c3_synthesis, stacked
from kodec.models.fields.grid_synthesis import Convolution
from kodec.native import InvalidInputError

from .c3_architecture import C3Architecture, layers_of, synthesis_of

LATENTS = "latents"
STEP = 0.4
MOST_GRADIENT = 0.1
# Of rounding with gradients: nearly none but beside the middles between integers.
STRAIGHT_TEMPERATURE = 1e-4
PLATEAU_FACTOR = 0.8
_KEPT = "kept."
# Where a plateau stands: the best loss, steps since, and the factor of the rate.
_STANDING = "plateau"


class C3Fitting(Fitting):
    """A fit of one picture (1, colours, H, W), values in [0, 1].

    weight_of_rate: the loss is the mean squared error of such values plus this times bits per
    pixel. Networks count for nothing until they are integers.
    """

    def __init__(
        self, x: Tensor, architecture: C3Architecture, weight_of_rate: float, seed: int = 0
    ) -> None:
        _, colours, height, width = x.shape
        self.x, self.architecture, self.weight_of_rate = x, architecture, weight_of_rate
        self.grids = architecture.grids(height, width)
        self.networks = list(architecture.shapes(colours))
        self._optimiser: torch.optim.Optimizer | None = None
        fitted = {LATENTS: torch.zeros(architecture.positions(height, width))}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            for name, shape in architecture.shapes(colours).items():
                fitted[name] = _initial(name, shape)
        self.fitted = {name: value.requires_grad_() for name, value in fitted.items()}
        kept = {_KEPT + name: value.detach().clone() for name, value in fitted.items()}
        standing = torch.tensor([math.inf, 0.0, 1.0], dtype=torch.float64)
        self.values = {**self.fitted, **kept, _STANDING: standing}
        gains = [
            torch.full((grid.rows * grid.columns,), 2.0**grid.level / STEP) for grid in self.grids
        ]
        self._gains = torch.cat(gains)
        self.identity = {
            "picture": hashlib.sha256(x.contiguous().numpy().tobytes()).hexdigest()[:16],
            "architecture": ",".join(map(str, architecture.integers)),
            "weight of the rate": repr(weight_of_rate),
            "seed": str(seed),
        }

    def optimiser(self) -> torch.optim.Optimizer:
        """Adam of all that is fitted."""
        self._optimiser = torch.optim.Adam(self.fitted.values(), lr=1.0)
        return self._optimiser

    def begin(self, phase: Phase) -> None:
        """A plateau is looked for anew."""
        self.values[_STANDING].copy_(torch.tensor([math.inf, 0.0, 1.0]))

    def scaled(self) -> Tensor:
        """The latents in steps."""
        return self.fitted[LATENTS] * self._gains

    def integers(self) -> Tensor:
        """The latents as they are coded, in float32."""
        return self.scaled().detach().round_().clamp_(LEAST, MOST)

    def split(self, latents: Tensor) -> list[Tensor]:
        """Of all latents in one, each grid's (h, w)."""
        sizes = [(grid.rows, grid.columns) for grid in self.grids]
        parts = latents.split([height * width for height, width in sizes])
        return [part.view(size) for part, size in zip(parts, sizes, strict=True)]

    def descend(self, moment: Moment) -> None:
        """Gradients of the squared error plus the weighed bits per pixel, their norm cut."""
        loss = self._loss(self._relaxed(moment))
        plateau = int(moment.knob("plateau", 0))
        if plateau and self._stands(float(loss.detach()), plateau):
            loss = self._loss(self._relaxed(moment))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(list(self.fitted.values()), MOST_GRADIENT)
        factor = float(self.values[_STANDING][2])
        assert self._optimiser is not None
        for group in self._optimiser.param_groups:
            group["lr"] *= factor

    @torch.no_grad()
    def _stands(self, loss: float, patience: int) -> bool:
        """Note a loss; whether nothing came of so many steps, and the best state is there again."""
        standing = self.values[_STANDING]
        if loss < float(standing[0]):
            standing[0], standing[1] = loss, 0
            for name, value in self.fitted.items():
                self.values[_KEPT + name].copy_(value)
            return False
        standing[1] += 1
        if standing[1] < patience:
            return False
        standing[1] = 0
        standing[2] *= PLATEAU_FACTOR
        for name, value in self.fitted.items():
            value.copy_(self.values[_KEPT + name])
        assert self._optimiser is not None
        self._optimiser.state.clear()
        return True

    def _relaxed(self, moment: Moment) -> Tensor:
        scaled = self.scaled()
        if moment.phase.words.get("rounding", "soft") == "straight":
            soft = soft_round(scaled, STRAIGHT_TEMPERATURE)
            return (soft + (scaled.round() - soft).detach()).clamp(LEAST, MOST)
        temperature = moment.knob("temperature")
        noise = kumaraswamy_noise(torch.rand_like(scaled), moment.knob("noise"))
        found = soft_round_mean(soft_round(scaled, temperature) + noise, temperature)
        return found.clamp(LEAST, MOST)

    def _loss(self, latents: Tensor) -> Tensor:
        grids = self.split(latents)
        bits = c3_bits(grids, layers_of(self.values, "arm.layer"))
        error = (self.picture(grids) - self.x).square().mean()
        return error + self.weight_of_rate / self.pixels * bits

    def picture(self, grids: Sequence[Tensor]) -> Tensor:
        """What the synthesis makes of the grids, clamped to [0, 1]."""
        return c3_synthesis(stacked(grids), synthesis_of(self.values)).clamp(0, 1)

    @property
    def pixels(self) -> int:
        """Of the picture."""
        return self.x.shape[-2] * self.x.shape[-1]

    @torch.no_grad()
    def measure(self) -> Figures:
        """Of integers, 8-bit samples and the networks as they are, without the networks' bits."""
        grids = self.split(self.integers())
        bits = float(c3_bits(grids, layers_of(self.values, "arm.layer")))
        return self.figures(bits, self.picture(grids))

    def figures(self, bits: float, picture: Tensor) -> Figures:
        """Of so many bits and a picture in [0, 1]; the loss in bits per pixel."""
        samples = picture.mul(255).round()
        error = float((samples - self.x * 255).square().mean(dtype=torch.float64)) / 255**2
        bpp = bits / self.pixels
        psnr = -10 * math.log10(error) if error else math.inf
        return Figures(bpp + error / self.weight_of_rate, bpp, psnr)


def _initial(name: str, shape: tuple[int, ...]) -> Tensor:
    if name.endswith("bias") or "residual" in name:
        return torch.zeros(shape)
    value = torch.empty(shape)
    torch.nn.init.trunc_normal_(value, std=1 / math.sqrt(value[0].numel()), a=-2.0, b=2.0)
    return value * STEP if name.split(".")[-2] == "0" else value


def c3_bits(grids: Sequence[Tensor], layers: Sequence[Convolution]) -> Tensor:
    """Bits of all grids (h, w) by the entropy network's layers; in float32 the core's."""
    if not core_takes_floats(*grids, layers[0].weight):
        return plain_c3_bits(grids, layers)
    *inner, last = layers
    network = [PositionLayer(*layer, activation=STRAIGHT_GELU) for layer in inner]
    network.append(PositionLayer(*last))
    none = [None] * len(grids)
    bits = context_rate(grids, none, WINDOW_CONTEXTS, network, None, LATENT_CODING)
    return bits.sum()


def plain_c3_bits(grids: Sequence[Tensor], layers: Sequence[Convolution]) -> Tensor:
    """`c3_bits` in PyTorch."""
    first, *others = layers
    window = 2 * WINDOW + 1
    kernel = F.pad(first.weight, (0, window * (WINDOW + 1) - len(WINDOW_CONTEXTS)))
    kernel = kernel.view(-1, 1, WINDOW + 1, window)
    margins = (WINDOW, WINDOW, WINDOW, 0)
    x = torch.cat(
        [
            F.conv2d(F.pad(grid[None, None], margins), kernel, first.bias).flatten(2)[0]
            for grid in grids
        ],
        1,
    )
    for layer in others:
        x = torch.addmm(layer.bias[:, None], layer.weight, straight_gelu(x))
    mean, log_scale = x
    values = torch.cat([grid.flatten() for grid in grids])
    bits: Tensor = laplace_bits(values, mean, log_scale - LOG_SCALE_OFFSET).sum()
    return bits


def check_phase(phase: Phase) -> None:
    """Raise `InvalidInputError` for words that mean nothing here."""
    rounding = phase.words.get("rounding", "soft")
    if rounding not in ("soft", "straight"):
        raise InvalidInputError(f"a phase's rounding is soft or straight, not {rounding!r}")


PHASES = PhaseKeys(
    frozenset({"temperature", "noise", "plateau"}), frozenset({"rounding"}), check_phase
)
