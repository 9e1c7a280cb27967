"""Training of VC-INR's shared weights: a few steps describe patches, the codec's loss falls."""

import torch

from kodec.codecs import GatedFields
from kodec.train.vc_inr_training import train_codec, train_field
from small_recombiner import waves


def test_few_steps_describe_patches_and_their_latents_are_coded() -> None:
    torch.manual_seed(0)
    model = GatedFields(hidden=[16, 16], latents=8, rank=4, side=16, width=8, hyper=4)
    x = waves(4, 64, 64)
    found: list[tuple[float, float]] = []

    def note(step: int, loss: float, figure: float) -> None:
        found.append((loss, figure))

    train_field(model, x, 180, patches=16, show=note)
    # PSNR in dB: of no steps, then of trained ones.
    assert found[-1][1] > found[0][1] + 4
    layout = model.layout(64, 64)
    targets = layout.split(x[:1]).flatten(0, 1)
    errors = [
        float((model.field(model.inner_steps(targets, n)) - targets).square().mean().detach())
        for n in (0, 3)
    ]
    assert errors[1] < 0.8 * errors[0]
    found.clear()
    train_codec(model, x, 0.01, 60, show=note)
    assert sum(loss for loss, _ in found[-10:]) < 0.95 * sum(loss for loss, _ in found[:10])
