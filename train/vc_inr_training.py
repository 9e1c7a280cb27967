"""VC-INR's shared weights: a gated network by meta-learning, then a codec of its latent vectors."""

from collections.abc import Callable

import torch
from torch import Tensor

from kodec.codecs.fitted.priors.vc_inr import INNER_STEPS, GatedFields
from kodec.entropy import RateMeter

# Of a patch's pixels, a step looks at one in so many.
SHARE = 3

Show = Callable[[int, float, float], None]
"""Called with the step, the loss, and PSNR in dB or bits per pixel."""


def train_field(
    model: GatedFields,
    x: Tensor,
    steps: int,
    rate: float = 2e-3,
    patches: int = 64,
    show: Show = lambda step, loss, figure: None,
) -> None:
    """Train the network and the rates so that a few steps describe a patch of x (N, 3, H, W).

    Gradients pass through the inner steps. x: of whole patches, in [0, 1].
    """
    layout = model.layout(x.shape[2], x.shape[3])
    targets = layout.split(x).flatten(0, 1)
    parameters = [*model.field.parameters(), *model.rates.parameters()]
    optimiser = torch.optim.Adam(parameters, lr=rate)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * (1 - 0.9 * step / steps)
        pixels = torch.randperm(model.side**2)[: model.side**2 // SHARE]
        batch = targets[torch.randint(len(targets), (patches,))][:, pixels]
        vectors = model.inner_steps(batch, INNER_STEPS, pixels, learn=True)
        error = (model.field(vectors, pixels) - batch).square().mean()
        optimiser.zero_grad()
        error.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        show(step, float(error.detach()), -10 * float(error.detach().log10()))


def train_codec(
    model: GatedFields,
    x: Tensor,
    lam: float,
    steps: int,
    rate: float = 1e-3,
    batch: int = 4,
    show: Show = lambda step, loss, figure: None,
) -> None:
    """Train analysis, synthesis and hyperprior on the latents of x (N, 3, H, W), in [0, 1].

    lam: bits per pixel + lam x squared error of 8-bit samples. The network is what it is.
    """
    layout = model.layout(x.shape[2], x.shape[3])
    targets = layout.split(x)
    grid = model.latent_grid(model.inner_steps(targets.flatten(0, 1)), layout)
    _scale(model, grid)
    parameters = [
        *model.analysis.parameters(),
        *model.synthesis.parameters(),
        *model.latents.parameters(),
    ]
    optimiser = torch.optim.Adam(parameters, lr=rate)
    pixels = x.shape[2] * x.shape[3]
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = rate * (1 - 0.9 * step / steps)
        chosen = torch.randperm(len(x))[:batch]
        meter = RateMeter(training=True)
        y = model.analysis(grid[chosen])
        coded = model.code(y, y.shape, meter)
        seen = torch.randperm(model.side**2)[: model.side**2 // SHARE]
        samples = model.samples(coded, seen)
        error = 255**2 * (samples - targets[chosen][:, :, seen]).square().mean()
        bpp = meter.total().sum() / (len(chosen) * pixels)
        loss = bpp + lam * error
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        show(step, float(loss.detach()), float(bpp.detach()))


@torch.no_grad()
def _scale(model: GatedFields, grid: Tensor) -> None:
    """Begin with latents of a few steps either way, and the way back undone."""
    gain = 4 / grid.std((0, 2, 3)).clamp(min=1e-6)
    model.analysis.gain.copy_(gain)
    model.synthesis.gain.copy_(1 / gain)
