"""Published structures, beside CompressAI's: as many weights, and the same numbers from them."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kodec.entropy import (
    Conditions,
    Distribution,
    FactorisedLatents,
    MeanScaleHyperprior,
    RateMeter,
    ScaleHyperprior,
)

PUBLISHED: dict[str, Any] = {
    "scales": "linear",
    "prior_filters": (3, 3, 3, 3),
    "centred_prior": True,
}


def count(*modules: nn.Module) -> int:
    return sum(p.numel() for module in modules for p in module.parameters())


def load_prior(ours: nn.Module, theirs: nn.Module) -> None:
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


class Blocks:
    """A port that keeps the distributions, and rounds."""

    def __init__(self) -> None:
        self.by_name: dict[str, Distribution] = {}

    def code(self, name: str, y: Tensor | None, dist: Distribution) -> Tensor:
        assert y is not None
        self.by_name[name] = dist
        return dist.dequantise(dist.quantise(y))


def disturbed(model: nn.Module) -> Any:
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
