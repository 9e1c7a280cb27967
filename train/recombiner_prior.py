"""The prior of RECOMBINER and its mappings, from pictures: expectation and maximisation in turn."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from kodec.codecs.fitted.priors.recombiner import (
    FIRST_SCALE,
    LEVELS,
    Recombiner,
    initial_weights,
    scale_of,
)
from kodec.codecs.fitted.priors.sample_plan import COST_UNIT
from kodec.entropy.relative_entropy import kl_bits
from kodec.models.fields.recombiner import PatchLayout
from kodec.native import InvalidInputError

# The weight of the divergence changes by this factor where the rate is off.
WEIGHT_STEP = 1.25
LATENT_GAIN = 8.0
# How far below its budget the rate may be.
BAND = 0.1


@dataclass(frozen=True)
class PriorTraining:
    """How long, and for which rate.

    rounds: updates of the prior, each after `steps` passes over the pictures. bpp: the average
    divergence to come to, in bits per pixel. rate: Adam's. pixels: drawn of each patch in a step.
    batch: pictures of a step.
    """

    rounds: int
    steps: int
    bpp: float
    rate: float = 2e-3
    pixels: int = 256
    batch: int = 4


class _Posteriors:
    """The posteriors of a few pictures, with an optimiser of their own."""

    def __init__(self, model: Recombiner, layout: PatchLayout, x: Tensor, rate: float) -> None:
        self.targets = layout.split(x)
        count = len(x)
        self.mean = model.flat(layout, "mean").detach().repeat(count, 1)
        for level, start in zip(LEVELS, model.levels(self.mean, layout).values(), strict=True):
            # Where all start alike no level would ever differ from another.
            n = model.field.weights
            start[..., :n] += 1e-3 * torch.randn_like(start[..., :n])
            if level == "patch":
                start[..., n:] += FIRST_SCALE * torch.randn_like(start[..., n:])
        self.mean.requires_grad_()
        self.raw = model.flat(layout, "raw_start").detach().repeat(count, 1).requires_grad_()
        self.optimiser = torch.optim.Adam([self.mean, self.raw], lr=rate)


@dataclass(frozen=True)
class Round:
    """What a round came to: bits per pixel, PSNR in dB of samples, and the divergence's weight."""

    number: int
    bpp: float
    psnr: float
    weight: float


def train_prior(
    model: Recombiner,
    x: Tensor,
    training: PriorTraining,
    show: Callable[[Round], None] = lambda done: None,
) -> None:
    """Fit a model's prior, matrices and upsampling to pictures (N, 3, H, W) in [0, 1], in place.

    Raises `InvalidInputError` where the pictures are not whole groups of patches.
    """
    span = model.side * model.group
    if x.ndim != 4 or x.shape[1] != 3 or x.shape[2] % span or x.shape[3] % span:
        raise InvalidInputError(f"RECOMBINER trains on crops of multiples of {span} pixels")
    layout = model.layout(x.shape[2], x.shape[3])
    with torch.no_grad():
        model.prior("whole").mean.copy_(initial_weights(model.field))
        # One rate suits all numbers if latents are about as small as weights.
        model.field.upsample.conv1.weight.mul_(LATENT_GAIN)
    folds = [_Posteriors(model, layout, fold, training.rate) for fold in x.split(training.batch)]
    mappings = torch.optim.Adam(model.field.parameters(), lr=training.rate / 4)
    weight = float(model.kl_weight)
    for number in range(training.rounds):
        errors, bits = [], []
        fall = 0.5 * (1 + math.cos(math.pi * number / training.rounds))
        for optimiser in (mappings, *(fold.optimiser for fold in folds)):
            for group in optimiser.param_groups:
                base = training.rate / 4 if optimiser is mappings else training.rate
                group["lr"] = base * (0.1 + 0.9 * fall)
        for _ in range(training.steps):
            for fold in folds:
                error, cost = _step(model, layout, fold, mappings, weight, training.pixels)
                errors.append(error)
                bits.append(cost / (len(fold.targets) * x.shape[2] * x.shape[3]))
        _update(model, layout, folds)
        bpp = sum(bits[-len(folds) :]) / len(folds)
        psnr = -10 * math.log10(sum(errors[-len(folds) :]) / len(folds))
        show(Round(number, bpp, psnr, weight))
        if bpp > training.bpp:
            weight *= WEIGHT_STEP
        elif bpp < (1 - BAND) * training.bpp:
            weight /= WEIGHT_STEP
    model.kl_weight.fill_(weight)
    _costs(model, layout, folds)


def _step(
    model: Recombiner,
    layout: PatchLayout,
    fold: _Posteriors,
    mappings: torch.optim.Optimizer,
    weight: float,
    pixels: int,
) -> tuple[float, float]:
    """One step; returns the squared error and the divergence in bits."""
    chosen = torch.randperm(model.side**2)[:pixels]
    scale = scale_of(fold.raw)
    sample = fold.mean + scale * torch.randn_like(scale)
    y = model.render(sample, layout, chosen)
    error = (y - fold.targets[:, :, chosen]).square().mean()
    prior = model.flat(layout, "mean").detach(), model.flat(layout, "scale").detach()
    bits = kl_bits(fold.mean, scale, *prior).sum()
    loss = error * len(fold.targets) * layout.patches + weight * math.log(2) * bits
    for optimiser in (mappings, fold.optimiser):
        optimiser.zero_grad()
    loss.backward()
    for optimiser in (mappings, fold.optimiser):
        optimiser.step()
    return float(error.detach()), float(bits.detach())


@torch.no_grad()
def _update(model: Recombiner, layout: PatchLayout, folds: list[_Posteriors]) -> None:
    """The best prior for the posteriors: mean of means; mean variance + variance of means."""
    means = model.levels(torch.cat([fold.mean for fold in folds]), layout)
    raws = model.levels(torch.cat([fold.raw for fold in folds]), layout)
    for level in LEVELS:
        mean, raw = means[level].flatten(0, 1), raws[level].flatten(0, 1)
        prior = model.prior(level)
        prior.mean.copy_(mean.mean(0))
        variance = scale_of(raw).square().mean(0) + mean.var(0, correction=0)
        prior.scale.copy_(variance.sqrt())
        prior.raw_start.copy_(raw.mean(0))


@torch.no_grad()
def _costs(model: Recombiner, layout: PatchLayout, folds: list[_Posteriors]) -> None:
    """Each number's average divergence, rounded up."""
    prior = model.flat(layout, "mean"), model.flat(layout, "scale")
    bits = torch.cat([kl_bits(fold.mean, scale_of(fold.raw), *prior) for fold in folds])
    for level, cost in model.levels(bits, layout).items():
        average = cost.flatten(0, 1).mean(0)
        model.prior(level).costs.copy_((average * COST_UNIT).ceil().int())
