"""A small untrained model of blocks' motion."""

import torch

from kodec.codecs import BlockMotion, PictureCodec
from kodec.entropy import ConditionedSlices, FrequencySlices, GainUnit
from kodec.models import RefinedLappedAnalysis, RefinedLappedSynthesis


def small_block_motion(deringing: bool = True, lagrangian: float = 0.1) -> BlockMotion:
    """Ready to code; its tables have counted nothing."""
    torch.manual_seed(0)
    picture = PictureCodec(
        RefinedLappedAnalysis((4, 4, 4)),
        FrequencySlices([12, 36, 720], [2, 1, 1], width=8, context=4, hyper=2),
        RefinedLappedSynthesis((4, 4, 4), blocks=1),
        GainUnit(768, 4.0, 40.0),
    )
    latents = ConditionedSlices(
        [8, 40, 336], [2, 2, 1], features=4, width=8, context=4, lagrangian=lagrangian
    )
    model = BlockMotion(picture, latents, GainUnit(384, 4.0, 40.0), deringing)
    # So that what was never trained has something to say.
    with torch.no_grad():
        for part in latents.slices:
            part.out.weight.normal_(std=0.02)  # type: ignore[operator, union-attr]
        if model.deringing is not None:
            model.deringing.taps.normal_(std=1e-3)
    return model.deploy()
