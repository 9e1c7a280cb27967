"""Transforms with other latent models, by a config section alone: trained a step, then on disk."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from compositions import LATENTS, TRANSFORMS, config_of
from kodec.__main__ import main
from kodec.codecs import Picture, PictureCodec, build_module, load, read_picture, save_model
from kodec.entropy import RateMeter

HEIGHT, WIDTH = 37, 51


def trained_a_step(config: dict[str, object]) -> PictureCodec:
    """The codec after one step of rate-distortion training, which must have moved every part."""
    torch.manual_seed(0)
    network = build_module(config)
    assert isinstance(network, PictureCodec)
    with torch.no_grad():
        # Weights that give every network something to do: some are zero at the start.
        for parameter in network.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-3)
    x = torch.rand(2, 3, 64, 64)
    port = RateMeter(training=True)
    x_hat = network.code(x, (2, 64, 64), None, port).x_hat
    loss = port.total().mean() / 64**2 + 0.013 * 255**2 * (x_hat - x).square().mean()
    assert loss.isfinite()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0, error_if_nonfinite=True)
    optimiser.step()
    missing = [name for name, p in network.named_parameters() if p.grad is None]
    assert not missing
    for part in ("analysis", "latents", "synthesis"):
        own = [n for n, _ in network.named_parameters() if n.startswith(f"{part}.")]
        moved = dict(network.named_parameters())
        # Companded integers alone have no weights.
        assert any(not torch.equal(before[name], moved[name]) for name in own) or not own, part
    return network


# Every latent model with another transform than in test_codec.py, and every transform again. With
# the 768 channels of the refined lapped transform, most latent models have millions of weights.
OTHERS = [name for name in TRANSFORMS if name not in ("gdn", "refined lapped")]
COMPOSITIONS = [
    *((OTHERS[number % len(OTHERS)], latents) for number, latents in enumerate(LATENTS)),
    ("refined lapped", "companded"),
]


@pytest.mark.parametrize(("transform", "latents"), COMPOSITIONS)
def test_composition_trains_and_codes_files(transform: str, latents: str, tmp_path: Path) -> None:
    config = config_of((transform, latents, False))
    model, source = tmp_path / "model.safetensors", tmp_path / "in.png"
    save_model(trained_a_step(config), config, model, "small")
    pixels = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    Image.fromarray(pixels).save(source)

    coded, out = tmp_path / "a.kdc", tmp_path / "out.png"
    assert main(["encode", str(source), str(coded), "--model", str(model), "--quiet"]) == 0
    assert main(["decode", str(coded), str(out), "--model", str(model), "--quiet"]) == 0

    codec = load(model)
    encoded = codec.encode_picture(Picture(pixels))
    assert coded.read_bytes() == encoded.data
    assert np.array_equal(read_picture(out).pixels, encoded.reconstruction.pixels)
    assert read_picture(out).pixels.shape == pixels.shape
    bits = sum(codec.estimate_bits(Picture(pixels)).values())
    assert abs(len(encoded.data) - bits / 8) <= 0.01 * bits / 8 + 64
