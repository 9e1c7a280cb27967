"""Published systems with random weights that code a picture sensibly, CompressAI's and ours.

Latents spread from 0.05 to 2 steps, and scales fit them.
"""

import tempfile
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn

import kodec.train
from kodec.codecs import (
    Codec,
    ModelInfo,
    PictureCodec,
    build_module,
    load_model,
)
from kodec.codecs.foreign import import_checkpoint
from kodec.codecs.model_file import model_id
from kodec.entropy import Conditions, RateMeter

CONFIGS = Path(kodec.train.__file__).parent / "configs"
SPREAD = (0.05, 2.0)

Config = dict[str, Any]


def published(family: str) -> Any:
    """CompressAI's model of the size of our config, with random weights; None without one."""
    from compressai import models
    from compressai.models.sensetime import Elic2022Official

    makers: dict[str, Callable[[], nn.Module]] = {
        "bmshj2018-factorized": lambda: models.FactorizedPrior(128, 192),
        "bmshj2018-hyperprior": lambda: models.ScaleHyperprior(128, 192),
        "mbt2018-mean": lambda: models.MeanScaleHyperprior(128, 192),
        "mbt2018": lambda: models.JointAutoregressiveHierarchicalPriors(192, 192),
        "cheng2020-anchor": lambda: models.Cheng2020Anchor(128),
        "cheng2020-attn": lambda: models.Cheng2020Attention(128),
        "elic": lambda: Elic2022Official(192, 320),
    }
    return makers[family]().eval() if family in makers else None


def fixed_rate_configs() -> list[str]:
    """Names of the configs of one rate: published systems are."""
    found = []
    for path in sorted(CONFIGS.glob("*.yaml")):
        if codec_section(path.stem)["init_args"].get("gain") is None:
            found.append(path.stem)
    return found


def codec_section(name: str) -> Config:
    """What a config says of its codec."""
    section: Config = yaml.safe_load((CONFIGS / f"{name}.yaml").read_text())["model"]["codec"]
    return section


def last_layer(module: nn.Module) -> Any:
    """The last convolution or linear layer that is not inside an attention block."""
    layers = [
        layer
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
        and not any(part in name for part in ("conv_a", "conv_b", "trunk", "gate", "affine"))
    ]
    return layers[-1]


def spread(channels: int) -> Tensor:
    """Standard deviations of the latents' channels, in quantisation steps."""
    low, high = np.log(SPREAD)
    return torch.linspace(float(high), float(low), channels).exp()


@torch.no_grad()
def set_spread(analysis: nn.Module, apply: Callable[[], Tensor], deviations: Tensor) -> Tensor:
    """Scale the analysis' last layer so that its outputs have mean 0 and these deviations.

    Returns those outputs. (Attention behind that layer is left out of this: it adds little.)
    """
    layer = last_layer(analysis)
    y = apply()
    deviation, mean = torch.std_mean(y[0].flatten(1), dim=1)
    factor = deviations / deviation.clamp_min(1e-9)
    layer.weight.mul_(factor[:, None, None, None])
    layer.bias.sub_(mean).mul_(factor)
    return (y - mean[:, None, None]) * factor[:, None, None]


@torch.no_grad()
def set_scales(layer: Any, scales: Tensor, log: bool, before_means: bool) -> None:
    """Let a layer predict about these scales, and means about 0."""
    channels = len(scales)
    layer.weight.mul_(0.1)
    layer.bias.zero_()
    place = slice(0, channels) if before_means else slice(-channels, None)
    layer.bias[place] = scales.log() if log else scales


def their_parameter_layers(model: Any) -> Iterator[Any]:
    """CompressAI's layers that give scales, in the order of the latents that they are for."""
    if hasattr(model, "latent_codec"):
        for group in model.latent_codec["y"].latent_codec.values():
            yield last_layer(group.entropy_parameters)
    elif hasattr(model, "entropy_parameters"):
        yield last_layer(model.entropy_parameters)
    elif hasattr(model, "h_s"):
        yield last_layer(model.h_s)


@torch.no_grad()
def fit_bottleneck(prior: Any, deviations: Tensor) -> None:
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


def make_theirs(family: str, x: Tensor) -> Any:
    """CompressAI's model with random weights that code the picture `x` sensibly; or None."""
    model = published(family)
    if model is None:
        return None
    hyper = model.latent_codec["hyper"] if hasattr(model, "latent_codec") else model
    channels = len(last_layer(model.g_a).bias)
    deviations = spread(channels)
    y = set_spread(model.g_a, lambda: model.g_a(x), deviations)
    if hasattr(hyper, "h_a"):
        width = len(last_layer(hyper.h_a).bias)
        shown = y.abs() if family == "bmshj2018-hyperprior" else y
        set_spread(hyper.h_a, lambda: hyper.h_a(shown), torch.full((width,), 2.0))
    else:
        fit_bottleneck(model.entropy_bottleneck, deviations)
    start = 0
    for layer in their_parameter_layers(model):
        count = len(layer.bias) // (1 if family == "bmshj2018-hyperprior" else 2)
        set_scales(layer, deviations[start : start + count], False, before_means=True)
        start += count
    return model


def make_ours_alone(section: Config, x: Tensor) -> dict[str, Tensor]:
    """Weights of a config without a counterpart, set like those of `make_theirs`."""
    network: Any = build_module(section)
    network.eval()
    latents = network.latents
    rows, columns = x.shape[-2] // network.stride, x.shape[-1] // network.stride
    cond = Conditions(torch.Size((1, latents.channels, rows, columns)))

    def analyse() -> Tensor:
        y: Tensor = network.analyse(x, cond, RateMeter(training=False)).y
        return y

    deviations = spread(latents.channels)
    y = set_spread(network.analysis, analyse, deviations)
    if hasattr(latents, "hyper_analysis"):
        width = len(last_layer(latents.hyper_analysis).bias)
        set_spread(
            latents.hyper_analysis,
            lambda: latents.hyper_analysis(latents.hyper_input(y)),
            torch.full((width,), 2.0),
        )
    start = 0
    for part in getattr(latents, "slices", ()):
        scales = deviations[start : start + part.channels]
        start += part.channels
        # Heads that only join contexts have no layers of their own.
        predicting = [part.contexts["scale"]] if "scale" in part.contexts else part.heads
        for network_of_scales in predicting:
            set_scales(last_layer(network_of_scales), scales, latents.log_scales, False)
    if not hasattr(latents, "slices") and hasattr(latents, "hyper_synthesis"):
        set_scales(last_layer(latents.hyper_synthesis), deviations, latents.log_scales, False)
    state: dict[str, Tensor] = network.state_dict()
    return state


def imported(model: Any, family: str) -> dict[str, Tensor]:
    """What `kodec import` makes of CompressAI's weights."""
    with tempfile.TemporaryDirectory() as folder:
        checkpoint, file = Path(folder) / "theirs.pth", Path(folder) / "ours.safetensors"
        torch.save(model.state_dict(), checkpoint)
        import_checkpoint(checkpoint, file, family)
        return load_model(file)[0].state_dict()


def make_codec(name: str, section: Config, state: dict[str, Tensor], portability: str) -> Codec:
    """The config's codec with these weights, ready to code."""
    section = deepcopy(section)
    section["init_args"]["portability"] = portability
    network = build_module(section)
    assert isinstance(network, PictureCodec)
    network.load_state_dict(state)
    network.deploy()
    return Codec(network, ModelInfo(name, section, model_id(network, section)))
