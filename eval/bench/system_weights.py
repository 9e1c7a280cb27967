"""Random weights that code a picture sensibly: latents spread over `SPREAD` steps, scales fit them.

For codecs of a config, and for CompressAI's models of the same sizes, so that all have as much to
code as trained ones.
"""

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from kodec.codecs import PictureCodec, load_model
from kodec.codecs.foreign import import_checkpoint
from kodec.entropy import RateMeter, channel_spans

SPREAD = (0.05, 2.0)
"""Standard deviations of the latents' channels, in quantisation steps, the last and the first."""


def set_own_weights(network: PictureCodec, x: Tensor, quality: float) -> None:
    """Of a codec with random weights; x: the picture (1, 3, H, W), quality: for variable rate."""
    latents: Any = network.latents
    if network.calibrates:
        # As training starts: from a batch of two qualities.
        both = torch.tensor([quality / 2, quality]) if network.variable_rate else None
        network.calibrate(x.expand(2, -1, -1, -1), both)
        return
    _, _, height, width = x.shape
    condition = torch.tensor([quality]) if network.variable_rate else None
    cond = network.conditions((1, height, width), condition)

    gain = torch.ones(1, latents.channels, 1, 1)
    if network.gain is not None and condition is not None:
        gain = network.gain.apply_gain(gain, condition).detach()

    def analyse() -> Tensor:
        return network.analyse(network.pad(x), cond, RateMeter(training=False)).y / gain

    deviations = _deviations(latents.channels)
    y = _set_spread(network.analysis, analyse, deviations / gain.flatten()) * gain
    if hasattr(latents, "hyper_analysis"):
        _set_spread(
            latents.hyper_analysis,
            lambda: latents.hyper_analysis(latents.hyper_input(y)),
            torch.full((len(_last_layer(latents.hyper_analysis).bias),), 2.0),
        )
    parts = list(getattr(latents, "slices", ()))
    for part, span in zip(parts, channel_spans(p.channels for p in parts), strict=True):
        scales = deviations[span]
        # Heads that only join contexts have no layers of their own.
        predicting = [part.contexts["scale"]] if "scale" in part.contexts else part.heads
        for predictor in predicting:
            _set_scales(_last_layer(predictor), scales, latents.log_scales, before_means=False)
    if not hasattr(latents, "slices") and hasattr(latents, "hyper_synthesis"):
        layer = _last_layer(latents.hyper_synthesis)
        _set_scales(layer, deviations, latents.log_scales, before_means=False)


def set_their_weights(model: Any, family: str, x: Tensor) -> None:
    """Of CompressAI's model of that name, with random weights."""
    hyper = model.latent_codec["hyper"] if hasattr(model, "latent_codec") else model
    # It alone takes magnitudes, and predicts no means.
    scales_only = family == "bmshj2018-hyperprior"
    deviations = _deviations(len(_last_layer(model.g_a).bias))
    y = _set_spread(model.g_a, lambda: model.g_a(x), deviations)
    if hasattr(hyper, "h_a"):
        shown = y.abs() if scales_only else y
        width = len(_last_layer(hyper.h_a).bias)
        _set_spread(hyper.h_a, lambda: hyper.h_a(shown), torch.full((width,), 2.0))
    else:
        _fit_bottleneck(model.entropy_bottleneck, deviations)
    layers = list(_their_parameter_layers(model))
    spans = channel_spans(len(layer.bias) // (1 if scales_only else 2) for layer in layers)
    for layer, span in zip(layers, spans, strict=True):
        _set_scales(layer, deviations[span], log=False, before_means=True)


def import_weights(model: nn.Module, family: str) -> dict[str, Tensor]:
    """What `kodec import` makes of CompressAI's weights."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, file = Path(folder) / "theirs.pth", Path(folder) / "ours.safetensors"
        torch.save(model.state_dict(), checkpoint)
        import_checkpoint(checkpoint, file, family)
        return load_model(file)[0].state_dict()


def _deviations(channels: int) -> Tensor:
    low, high = np.log(SPREAD)
    return torch.linspace(float(high), float(low), channels).exp()


def _last_layer(module: nn.Module) -> Any:
    """The last convolution or linear layer that is not inside an attention block."""
    attention = ("conv_a", "conv_b", "trunk", "gate", "affine")
    layers = [
        layer
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
        and not any(part in name for part in attention)
    ]
    return layers[-1]


@torch.no_grad()
def _set_spread(analysis: nn.Module, apply: Callable[[], Tensor], deviations: Tensor) -> Tensor:
    """Scale the analysis' last layer so that its outputs have mean 0 and these deviations.

    Returns those outputs. (Attention behind that layer is left out of this: it adds little.)
    """
    layer = _last_layer(analysis)
    y = apply()
    deviation, mean = torch.std_mean(y[0].flatten(1), dim=1)
    factor = deviations / deviation.clamp_min(1e-9)
    layer.weight.mul_(factor[:, None, None, None])
    layer.bias.sub_(mean).mul_(factor)
    return (y - mean[:, None, None]) * factor[:, None, None]


@torch.no_grad()
def _set_scales(layer: Any, scales: Tensor, log: bool, before_means: bool) -> None:
    """Let a layer predict about these scales, and means about 0."""
    channels = len(scales)
    layer.weight.mul_(0.1)
    layer.bias.zero_()
    place = slice(0, channels) if before_means else slice(-channels, None)
    layer.bias[place] = scales.log() if log else scales


def _their_parameter_layers(model: Any) -> Iterator[Any]:
    """CompressAI's layers that give scales, in the order of the latents that they are for."""
    if hasattr(model, "latent_codec"):
        for group in model.latent_codec["y"].latent_codec.values():
            yield _last_layer(group.entropy_parameters)
    elif hasattr(model, "entropy_parameters"):
        yield _last_layer(model.entropy_parameters)
    elif hasattr(model, "h_s"):
        yield _last_layer(model.h_s)


@torch.no_grad()
def _fit_bottleneck(prior: Any, deviations: Tensor) -> None:
    """Narrow CompressAI's factorised density from its start to these deviations."""
    narrower = 4 / deviations.clamp_min(0.2)
    steep = nn.functional.softplus(prior.matrices[0]) * narrower[:, None, None]
    prior.matrices[0].copy_(steep + torch.log(-torch.expm1(-steep)))
    low = torch.full((prior.channels, 1, 1), -100.0)
    for column, target in enumerate((-prior.target[2], 0.0, prior.target[2])):
        below, above = low.clone(), -low
        for _ in range(50):
            middle = (below + above) / 2
            less = prior._logits_cumulative(middle, stop_gradient=True) < target
            below, above = torch.where(less, middle, below), torch.where(less, above, middle)
        prior.quantiles[:, :, column] = middle[..., 0]
