"""The fitting of a frame network to the frames of one video."""

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, Self

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from kodec.codecs.fitted.fitting import Budget, Figures, Fitting
from kodec.codecs.fitted.schedule import Moment, Phase
from kodec.codecs.objective import DISTORTIONS, SMALLEST_FOR_MS_SSIM, check_distortion
from kodec.native import InvalidInputError

from .adan import Adan
from .flow_consistency import FlowConsistency
from .frame_coding import EMBEDDING

OPTIMISERS = ("adam", "adan")
# What stands in for those of MS-SSIM where frames are too small for it.
OF_MS_SSIM = {"ms-ssim": "l1-ssim", "l1-ms-ssim": "l1-ssim", "frequency": "frequency-ssim"}
Clock = Literal["begins", "ends", "counts"]
# The frames that are computed at once where no gradients are asked for.
AT_ONCE = 4
MEASURE_EVERY = 400

# Phases' knobs. Above 0: parameters are used as they will be decoded, gradients pass unchanged.
ROUNDED = "rounded"
# The share of weights that are kept, from the beginning of the phase on.
KEPT = "kept"
# What a bit a parameter counts, relative to the distortion; steps are learned then.
RATE = "rate"
# Of the difference between neighbours under their motion.
FLOW_WEIGHT = 0.1
# How much faster than weights logarithms of steps learn.
STEPS_FASTER = 20.0


def measured_every(budget: Budget | None) -> int:
    """After how many steps a video's fit is measured."""
    return MEASURE_EVERY if budget is None else budget.every(MEASURE_EVERY)


class Coding(Protocol):
    """How parameters are coded."""

    def __call__(self, parameters: Mapping[str, Tensor]) -> tuple[Mapping[str, Tensor], float]:
        """Parameters by name -> as a decoder will have them, and the bits that they take."""

    def rounded(self, name: str, value: Tensor) -> Tensor:
        """One as it will be decoded; gradients pass unchanged."""


class AdaptiveCoding(Coding, Protocol):
    """A coding that prunes weights, and whose steps are learned; see `FrameCoding`."""

    @property
    def state(self) -> Mapping[str, Tensor]:
        """Masks and steps, by name."""

    @property
    def steps(self) -> Sequence[Tensor]:
        """What of it is learned."""

    def prune(self, parameters: Mapping[str, Tensor], kept: float) -> None:
        """Keep a share of the weights."""

    def learn_steps(self, parameters: Mapping[str, Tensor]) -> None:
        """Begin to learn steps."""

    def kept(self, name: str, value: Tensor) -> Tensor:
        """A tensor without what was pruned."""

    def bits(self, name: str, value: Tensor) -> Tensor:
        """About what a tensor takes, with gradients."""


@dataclass(frozen=True)
class FrameRecipe:
    """How frame networks are fitted, beside phases.

    distortion: its name, see `DISTORTIONS`. batch: frames a step; what is left of an epoch is
    dropped. optimiser: "adam" or "adan". clock: what a network gets for frame i of N: "begins"
    i / N, "ends" (i + 1) / N (Boosting-NeRV), "counts" i. halves: whether the network runs in
    bfloat16 in steps; measurements are in float32. Raises `InvalidInputError`.
    """

    distortion: str = "mse"
    batch: int = 2
    optimiser: str = "adam"
    clock: Clock = "begins"
    halves: bool = False

    def __post_init__(self) -> None:
        check_distortion(self.distortion)
        if self.batch < 1:
            raise InvalidInputError(f"a batch has 1 frame or more, not {self.batch}")
        if self.optimiser not in OPTIMISERS:
            raise InvalidInputError(f"optimisers are {OPTIMISERS}, not {self.optimiser!r}")

    def for_frames(self, height: int, width: int) -> Self:
        """The same, with SSIM in place of MS-SSIM where frames are too small for it."""
        if min(height, width) >= SMALLEST_FOR_MS_SSIM or self.distortion not in OF_MS_SSIM:
            return self
        return replace(self, distortion=OF_MS_SSIM[self.distortion])

    def times(self, numbers: Tensor, frames: int) -> Tensor:
        """What the network gets for frames by number, of so many."""
        if self.clock == "counts":
            return numbers
        return (numbers + int(self.clock == "ends")) / frames

    def steps(self, frames: int, epochs: int) -> int:
        """Of so many epochs."""
        return epochs * max(1, frames // self.batch)


class FrameFitting(Fitting):
    """A `Fitting` of a network to frames (T, 3, H, W), whole numbers up to `peak`.

    network: times (N,) and embeddings or None -> frames (N, 3, H', W') in [0, 1]; frames are padded
    by repetition to `padded`, H' and W', and measured without. encoder: frames to
    embeddings, which is fitted with it and not sent. coding: what is measured is what it leaves of
    the parameters. seed: of the order of frames. The loss is the mean squared error x 255^2, at the
    rate that the coding gives; in phases with a `RATE` it grows with that. identity: see `Fitting`.
    flow: where it is set, frames are to move as the source does.
    """

    coding: Coding
    adaptive: AdaptiveCoding | None = None
    flow: FlowConsistency | None = None

    def __init__(
        self,
        network: nn.Module,
        frames: Tensor,
        coding: Coding,
        recipe: FrameRecipe,
        encoder: nn.Module | None = None,
        padded: tuple[int, int] | None = None,
        identity: Mapping[str, str] | None = None,
        seed: int = 0,
        peak: int = 255,
    ) -> None:
        self.network, self.encoder = network, encoder
        self.frames, self.coding, self.recipe, self.seed = frames, coding, recipe, seed
        self.peak = peak
        height, width = frames.shape[-2:]
        down, across = padded or (height, width)
        self._padding = (0, across - width, 0, down - height)
        parts = {"network": network} | ({} if encoder is None else {"encoder": encoder})
        self.values = {
            f"{part}.{name}": value
            for part, module in parts.items()
            for name, value in module.named_parameters()
        }
        self._rate = 0.0
        self.identity = {
            **(identity or {}),
            "frames": hashlib.sha256(frames.cpu().numpy().tobytes()).hexdigest()[:16],
            "recipe": repr(recipe),
            "seed": str(seed),
        }

    def adapt(self, coding: AdaptiveCoding) -> None:
        """Code by this, whose state is the fit's too."""
        self.coding = self.adaptive = coding
        self.values = {**self.values, **{f"coding.{n}": v for n, v in coding.state.items()}}

    def optimiser(self) -> torch.optim.Optimizer:
        """The recipe's."""
        kind = Adan if self.recipe.optimiser == "adan" else torch.optim.Adam
        steps = [] if self.adaptive is None else list(self.adaptive.steps)
        apart = {id(step) for step in steps}
        learned = [v for v in self.values.values() if v.requires_grad and id(v) not in apart]
        groups: list[dict[str, Any]] = [{"params": learned}]
        groups += [{"params": steps, "scale": STEPS_FASTER}] if steps else []
        return kind(groups, lr=1.0)

    def begin(self, phase: Phase) -> None:
        """Prune, or begin to learn steps, where the phase does."""
        self._rate = phase.knob(RATE, 1.0, 0.0)
        kept = phase.knob(KEPT, 0.0, 1.0)
        if not self._rate and kept == 1.0:
            return
        if self.adaptive is None:
            raise InvalidInputError("this fit neither prunes weights nor learns their steps")
        if kept < 1.0:
            self.adaptive.prune(self.sent(), kept)
        if self._rate:
            self.adaptive.learn_steps(self.sent())

    def descend(self, moment: Moment) -> None:
        """Of the step's batch of frames."""
        chosen = self.batch_at(moment.step)
        if self.flow is not None:
            # Each frame, and behind them the ones before.
            chosen = torch.cat([chosen, (chosen - 1).clamp(min=0)])
        x = self._pixels(chosen)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.recipe.halves):
            own = dict(self.network.named_parameters())
            embedded = {} if self.encoder is None else {EMBEDDING: self.encoder(x)}
            out = self._shown(chosen, own, embedded, rounded=moment.knob(ROUNDED, 0.0) > 0)
        out = out.float()
        if self.flow is not None:
            out, x, steady = out.chunk(2)[0], x.chunk(2)[0], self._unsteadiness(chosen, x, out)
        loss = DISTORTIONS[self.recipe.distortion](x, out).mean()
        if self.flow is not None:
            loss = loss + FLOW_WEIGHT * steady
        rate = moment.knob(RATE, 0.0)
        if rate:
            loss = loss + rate * self._bits(own, embedded) * loss.detach()
        loss.backward()

    def _unsteadiness(self, chosen: Tensor, x: Tensor, out: Tensor) -> Tensor:
        """What frames differ by from the ones before, moved, where the source does not."""
        assert self.flow is not None
        numbers = chosen.chunk(2)[0]
        later = numbers > 0
        if not bool(later.any()):
            return torch.zeros(())
        (now, before), (shown, earlier) = x.chunk(2), out.chunk(2)
        own = numbers[later]
        mask = self.flow.steady(now[later], before[later], own)
        moved = self.flow.moved(earlier[later], own)
        return DISTORTIONS[self.recipe.distortion](moved * mask, shown[later] * mask).mean()

    def _shown(
        self,
        chosen: Tensor,
        own: Mapping[str, Tensor],
        embedded: Mapping[str, Tensor],
        rounded: bool,
    ) -> Tensor:
        own = {name: self._kept(name, value) for name, value in own.items()}
        if rounded:
            own = {name: self.coding.rounded(name, value) for name, value in own.items()}
            embedded = {n: self.coding.rounded(n, value) for n, value in embedded.items()}
        inputs = (self.recipe.times(chosen, len(self.frames)), *embedded.values())
        out: Tensor = functional_call(self.network, own, inputs)
        return out

    def _bits(self, own: Mapping[str, Tensor], embedded: Mapping[str, Tensor]) -> Tensor:
        """Of a parameter, on average; embeddings of a batch stand for all."""
        assert self.adaptive is not None
        bits = torch.stack([self.adaptive.bits(name, value) for name, value in own.items()]).sum()
        count = sum(value.numel() for value in own.values())
        for name, value in embedded.items():
            share = len(self.frames) / len(value)
            bits = bits + share * self.adaptive.bits(name, value.float())
            count += round(share * value.numel())
        return bits / count

    def _kept(self, name: str, value: Tensor) -> Tensor:
        return value if self.adaptive is None else self.adaptive.kept(name, value)

    def measure(self) -> Figures:
        """Of the parameters as they are coded, and all frames."""
        with torch.no_grad():
            decoded, bits = self.coding(self.sent())
            errors = [
                self._errors(decoded, part)
                for part in torch.arange(len(self.frames)).split(AT_ONCE)
            ]
        error = torch.cat(errors)
        psnr = float((-10 * error.clamp(min=1e-10).log10()).mean())
        _, _, height, width = self.frames.shape
        bpp = bits / (len(self.frames) * height * width)
        loss = float(error.mean()) * 255**2
        if self._rate:
            count = sum(value.numel() for value in decoded.values())
            loss *= math.exp(self._rate * bits / count)
        return Figures(loss if math.isfinite(psnr) else math.nan, bpp, psnr)

    @torch.no_grad()
    def sent(self) -> dict[str, Tensor]:
        """The parameters that a decoder needs, by name: the network's, and frames' embeddings."""
        found = {
            name: self._kept(name, value.detach())
            for name, value in self.network.named_parameters()
        }
        if self.encoder is not None:
            parts = torch.arange(len(self.frames)).split(AT_ONCE)
            found[EMBEDDING] = torch.cat([self.encoder(self._pixels(part)) for part in parts])
        return found

    def batch_at(self, step: int) -> Tensor:
        """The numbers of the frames of a step; an epoch has each once, in an order of its own."""
        batch = min(self.recipe.batch, len(self.frames))
        epoch, place = divmod(step, len(self.frames) // batch)
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        order = torch.randperm(len(self.frames), generator=generator)
        return order[place * batch : (place + 1) * batch]

    def some_pixels(self, count: int) -> Tensor:
        """So many frames, from the first to the last, as the network is to give them."""
        last = len(self.frames) - 1
        return self._pixels(torch.linspace(0, last, min(count, last + 1)).long())

    def _pixels(self, numbers: Tensor) -> Tensor:
        x = self.frames[numbers].float() / self.peak
        return functional.pad(x, self._padding, mode="replicate")

    def _errors(self, parameters: Mapping[str, Tensor], numbers: Tensor) -> Tensor:
        height, width = self.frames.shape[-2:]
        difference = self._pixels(numbers) - self._rendered(parameters, numbers)
        return difference[..., :height, :width].square().mean((1, 2, 3))

    def _rendered(self, parameters: Mapping[str, Tensor], numbers: Tensor) -> Tensor:
        own = {name: value for name, value in parameters.items() if name != EMBEDDING}
        embedding = parameters.get(EMBEDDING)
        times = self.recipe.times(numbers, len(self.frames))
        chosen = None if embedding is None else embedding[numbers]
        inputs = (times,) if chosen is None else (times, chosen)
        out: Tensor = functional_call(self.network, own, inputs)
        return out
