"""What stands between pixels and port: the precision of everything that bits depend on."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from compositions import LATENTS, SIDES, config_of
from kodec.codecs import PictureCodec, build_module
from kodec.entropy import RateMeter


class _Given(nn.Module):
    """An analysis that finds the latents it was given; with `side_channels`, features too."""

    stride = 16

    def __init__(self, y: Tensor, features: Tensor | None = None) -> None:
        super().__init__()
        self.y, self.features = y, features
        if features is not None:
            self.side_channels = features.shape[1]

    def forward(self, x: Tensor, quality: Tensor | None, send: Any = None) -> Tensor:
        if self.features is not None:
            send(self.features)
        return self.y


def _codec(transform: str, latents: str, dtype: torch.dtype) -> PictureCodec:
    """A codec with weights that do something, whose analysis finds latents of a large spread."""
    torch.manual_seed(0)
    codec = build_module(config_of((transform, latents, transform not in SIDES)))
    assert isinstance(codec, PictureCodec)
    with torch.no_grad():
        for parameter in codec.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    shape = (2, codec.latent_model.channels, 4, 4)
    features = torch.randn(2, 4, 16, 16).to(dtype) if transform in SIDES else None
    codec.analysis = _Given((60 * torch.randn(shape)).to(dtype), features)
    return codec


def _coded(codec: PictureCodec, autocast: bool, training: bool) -> tuple[dict[str, Tensor], Tensor]:
    torch.manual_seed(1)
    quality = torch.tensor([10.0, 50.0]) if codec.variable_rate else None
    port = RateMeter(training)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        coded = codec.code_picture(torch.rand(2, 3, 64, 64), (2, 64, 64), quality, port)
    return port.bits, coded.y_hat


SYSTEMS = [("gdn", name) for name in LATENTS] + [(name, "factorised") for name in SIDES]


@pytest.mark.parametrize(("transform", "latents"), SYSTEMS)
def test_mixed_precision_changes_no_mean_no_scale_and_no_likelihood(
    transform: str, latents: str
) -> None:
    codec = _codec(transform, latents, torch.float32)
    for training in (True, False):
        bits, y_hat = _coded(codec, False, training)
        mixed, mixed_y_hat = _coded(codec, True, training)
        assert torch.equal(mixed_y_hat, y_hat)
        assert mixed.keys() == bits.keys()
        assert all(torch.equal(mixed[name], bits[name]) for name in bits)


@pytest.mark.parametrize(("transform", "latents"), SYSTEMS)
def test_latents_in_half_precision_are_coded_in_that_of_the_weights(
    transform: str, latents: str
) -> None:
    bits, y_hat = _coded(_codec(transform, latents, torch.bfloat16), True, True)
    assert y_hat.dtype == torch.float32
    assert all(b.dtype == torch.float32 and b.isfinite().all() for b in bits.values())
