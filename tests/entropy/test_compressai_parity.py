"""Published structures, beside CompressAI's: as many weights, and the same numbers from them."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kodec.entropy import (
    Checkerboard,
    Conditions,
    Distribution,
    FactorisedLatents,
    MeanScaleHyperprior,
    RasterAutoregression,
    RateMeter,
    ScaleHyperprior,
    UnevenSlices,
)

PUBLISHED: dict[str, Any] = {
    "scales": "linear",
    "prior_filters": (3, 3, 3, 3),
    "centred_prior": True,
}


def count(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def load_prior(ours: nn.Module, theirs: Any) -> None:
    ours.load_state_dict(
        {
            **{k: v for k, v in theirs.state_dict().items() if k.split(".")[0] in PRIOR_PARTS},
            "centre": theirs.quantiles[:, 0, 1],
        }
    )


PRIOR_PARTS = ("matrices", "biases", "factors")


def means_first(state: dict[str, Tensor], layer: str) -> dict[str, Tensor]:
    """CompressAI's networks give scales before means."""
    return {
        k: torch.cat(v.chunk(2)[::-1]) if k.rpartition(".")[0] == layer else v
        for k, v in state.items()
    }


class Blocks(RateMeter):
    """A port that keeps the distributions, and rounds."""

    def __init__(self) -> None:
        super().__init__(training=False)
        self.by_name: dict[str, Distribution] = {}

    def code(self, name: str, y: Tensor | None, dist: Distribution) -> Tensor:
        assert y is not None
        self.by_name[name] = dist
        return dist.dequantise(dist.quantise(y))


def disturbed(model: Any) -> Any:
    """CompressAI's model with weights that give every network something to do."""
    torch.manual_seed(1)
    for name, parameter in model.named_parameters():
        if "entropy_bottleneck" not in name and "gdn" not in name:
            nn.init.normal_(parameter, std=1.5 / parameter[0].numel() ** 0.5)
    nn.init.uniform_(model.entropy_bottleneck.quantiles, -1, 1)
    return model.eval()


def latents(channels: int) -> tuple[Tensor, Conditions]:
    torch.manual_seed(2)
    y = 4 * torch.randn(2, channels, 8, 12)
    return y, Conditions(y.shape)


def assert_same_bits(
    ours: Any, y: Tensor, cond: Conditions, likelihoods: dict[str, Tensor]
) -> None:
    meter = RateMeter(training=False)
    ours.code(y, cond, meter)
    theirs = sum(-v.log2().sum().item() for v in likelihoods.values())
    assert meter.total().sum().item() == pytest.approx(theirs, rel=1e-4)


@torch.no_grad()
def test_factorised() -> None:
    from compressai.models import FactorizedPrior

    theirs = disturbed(FactorizedPrior(8, 12))
    ours = FactorisedLatents(12, filters=(3, 3, 3, 3), centred=True)
    # Theirs has three quantiles per channel besides, trained by a loss of their own.
    assert count(ours) == count(theirs.entropy_bottleneck) - 3 * 12
    load_prior(ours.prior, theirs.entropy_bottleneck)
    y, cond = latents(12)
    y_hat, likelihoods = theirs.entropy_bottleneck(y)
    assert torch.allclose(ours.code(y, cond, Blocks()), y_hat, atol=1e-5)
    assert_same_bits(ours, y, cond, {"y": likelihoods})


@torch.no_grad()
@pytest.mark.parametrize("kind", ["scale", "mean-scale"])
def test_hyperpriors(kind: str) -> None:
    from compressai.models import google

    if kind == "scale":
        theirs = disturbed(google.ScaleHyperprior(8, 12))
        ours: Any = ScaleHyperprior(12, 8, **PUBLISHED)
        ours.hyper_synthesis.load_state_dict(theirs.h_s.state_dict())
    else:
        theirs = disturbed(google.MeanScaleHyperprior(8, 12))
        ours = MeanScaleHyperprior(12, 8, **PUBLISHED)
        ours.hyper_synthesis.load_state_dict(means_first(theirs.h_s.state_dict(), "4"))
    assert count(ours.hyper_analysis) == count(theirs.h_a)
    assert count(ours.hyper_synthesis) == count(theirs.h_s)
    assert count(ours.hyper_prior) == count(theirs.entropy_bottleneck) - 3 * 8
    ours.hyper_analysis.load_state_dict(theirs.h_a.state_dict())
    load_prior(ours.hyper_prior, theirs.entropy_bottleneck)
    y, cond = latents(12)
    z = theirs.h_a(y.abs() if kind == "scale" else y)
    z_hat, z_likelihoods = theirs.entropy_bottleneck(z)
    if kind == "scale":
        scales, means = theirs.h_s(z_hat), torch.zeros_like(y)
        y_hat, likelihoods = theirs.gaussian_conditional(y, scales)
    else:
        scales, means = theirs.h_s(z_hat).chunk(2, 1)
        y_hat, likelihoods = theirs.gaussian_conditional(y, scales, means=means)
    port = Blocks()
    assert torch.allclose(ours.code(y, cond, port), y_hat, atol=1e-4)
    block: Any = port.by_name["y"]
    assert torch.allclose(block.mean, means, atol=1e-4)
    assert torch.allclose(block.log_scale.exp(), scales.clamp(min=0.11), rtol=1e-4)
    assert_same_bits(ours, y, cond, {"y": likelihoods, "z": z_likelihoods})


def as_linear(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """1x1 convolutions (layers 0, 2, 4) as the layers of a `PointwiseHead`, means first."""
    return {
        f"layers.{int(k.split('.')[0]) // 2}.{k.split('.')[1]}": v.flatten(1) if v.ndim > 1 else v
        for k, v in means_first(state, "4").items()
    }


def without_mask(state: dict[str, Tensor]) -> dict[str, Tensor]:
    return {k: v for k, v in state.items() if k != "mask"}


def load_hyper(ours: Any, theirs: Any, last: str | None = None) -> None:
    """theirs: HyperLatentCodec. last: the layer of the synthesis that gives means and scales."""
    ours.hyper_analysis.load_state_dict(theirs.h_a.state_dict())
    state = theirs.h_s.state_dict()
    ours.hyper_synthesis.load_state_dict(means_first(state, last) if last else state)
    load_prior(ours.hyper_prior, theirs.entropy_bottleneck)


def disturbed_latents(model: Any) -> Any:
    torch.manual_seed(1)
    for name, parameter in model.latent_codec.named_parameters():
        if "entropy_bottleneck" not in name:
            nn.init.normal_(parameter, std=1.2 / parameter[0].numel() ** 0.5)
    return model.eval()


def same_from_latents(ours: Any, theirs: Any, channels: int) -> None:
    """theirs: HyperpriorLatentCodec."""
    y, cond = latents(channels)
    y, ours, theirs = y.double(), ours.double(), theirs.double()
    result = theirs(y)
    y_hat = ours.code(y, cond, Blocks())
    assert torch.allclose(y_hat, result["y_hat"], atol=1e-4), (y_hat - result["y_hat"]).abs().max()
    assert_same_bits(ours, y, cond, result["likelihoods"])


@torch.no_grad()
def test_checkerboard() -> None:
    from compressai.models import Cheng2020AnchorCheckerboard

    model = disturbed_latents(Cheng2020AnchorCheckerboard(12))
    theirs = model.latent_codec
    ours: Any = Checkerboard(12, 12, networks="cheng2020", **PUBLISHED)
    assert count(ours) == count(theirs) - 3 * 12
    load_hyper(ours, theirs["hyper"])
    part = ours.slices[0]
    part.contexts["spatial"].load_state_dict(
        without_mask(theirs["y"].context_prediction.state_dict())
    )
    part.heads[0].load_state_dict(as_linear(theirs["y"].entropy_parameters.state_dict()))
    same_from_latents(ours, theirs, 12)


@torch.no_grad()
@pytest.mark.parametrize("name", ["JointAutoregressiveHierarchicalPriors", "Cheng2020Anchor"])
def test_raster(name: str) -> None:
    """Beside CompressAI's compress, since its forward rounds without the means."""
    from compressai import models

    anchor = name == "Cheng2020Anchor"
    theirs = disturbed(models.Cheng2020Anchor(12) if anchor else getattr(models, name)(8, 12))
    networks = "cheng2020" if anchor else "mbt2018"
    ours: Any = RasterAutoregression(12, 12 if anchor else 8, networks=networks, **PUBLISHED)
    parts = theirs.h_a, theirs.h_s, theirs.context_prediction, theirs.entropy_parameters
    hyper = theirs.entropy_bottleneck.channels
    assert count(ours) == count(*parts, theirs.entropy_bottleneck) - 3 * hyper
    ours.hyper_analysis.load_state_dict(theirs.h_a.state_dict())
    ours.hyper_synthesis.load_state_dict(theirs.h_s.state_dict())
    load_prior(ours.hyper_prior, theirs.entropy_bottleneck)
    ours.context.load_state_dict(without_mask(theirs.context_prediction.state_dict()))
    ours.head.load_state_dict(as_linear(theirs.entropy_parameters.state_dict()))
    ours.double(), theirs.double()
    y, cond = latents(12)
    y = y.double()[:, :, :4]
    y_hat = ours.code(y, Conditions(y.shape), RateMeter(training=False))
    z_hat, _ = theirs.entropy_bottleneck(theirs.h_a(y))
    contexts = torch.cat([theirs.h_s(z_hat), theirs.context_prediction(y_hat)], dim=1)
    scales, means = theirs.entropy_parameters(contexts).chunk(2, 1)
    # What CompressAI's serial loop would have coded, given the latents before each.
    assert torch.allclose(y_hat, torch.round(y - means) + means, atol=1e-6)
    meter = RateMeter(training=False)
    ours.code(y, Conditions(y.shape), meter)
    _, likelihoods = theirs.gaussian_conditional(y, scales, means=means)
    bits = -likelihoods.log2().sum().item()
    assert meter.bits["y"].sum().item() == pytest.approx(bits, rel=1e-6)


@torch.no_grad()
def test_uneven_slices() -> None:
    from compressai.models import Elic2022Official

    model = disturbed_latents(Elic2022Official(8, 24, groups=[4, 8, 12]))
    theirs = model.latent_codec
    ours: Any = UnevenSlices(24, 8, slices=(4, 8, 12), **PUBLISHED)
    assert count(ours) == count(theirs) - 3 * 8
    load_hyper(ours, theirs["hyper"])
    for k, part in enumerate(ours.slices):
        codec = theirs["y"].latent_codec[f"y{k}"]
        spatial = without_mask(codec.context_prediction.state_dict())
        part.contexts["spatial"].load_state_dict(spatial)
        part.heads[0].load_state_dict(as_linear(codec.entropy_parameters.state_dict()))
        if k:
            channel = theirs["y"].channel_context[f"y{k}"].state_dict()
            part.contexts["channel"].layers.load_state_dict(channel)
    same_from_latents(ours, theirs, 24)


def test_full_sizes() -> None:
    """As many weights as CompressAI's at the published widths."""
    from compressai.models import Elic2022Official

    theirs = Elic2022Official().latent_codec
    with torch.device("meta"):
        ours = UnevenSlices(320, 192, **PUBLISHED)
    assert count(ours) == count(theirs) - 3 * 192
