"""Bidirectional flow: a frame from one before it and one behind it, blended by a mask."""

from collections.abc import Sequence

import torch
from torch import Tensor

from kodec.models.motion import scale_space_warp

from .closed_loop import ClosedLoop


class BidirectionalFlow(ClosedLoop):
    """Frames predicted from two references, each by a scale-space flow of its own.

        prediction = mask * (first, warped) + (1 - mask) * (second, warped)

    Both flows and the mask are one autoencoder's, which sees the frame and both references. A step
    with one reference has it twice: both flows go there, as two hypotheses. Arguments: see
    `ClosedLoop`.

    A reading of "End-to-end rate-distortion optimized learned hierarchical bi-directional video
    compression" (2021), which has two motion fields, a learned mask and a coded residual, on the
    parts of `ScaleSpaceFlow`: its flow network, subsampling and prediction of flows are not here.
    `gain` is as in "Flexible-rate learned hierarchical bi-directional video compression with motion
    refinement and frame-level bit allocation" (2022).
    """

    reference_counts = (0, 1, 2)
    structure = "hierarchical"
    # Twice as in `ScaleSpaceFlow`, and the mask's logit.
    start = (0.0, 0.0, -1.0, 0.0, 0.0, -1.0, 0.0)

    def predict(self, references: Sequence[Tensor], fields: Tensor) -> Tensor:
        """Both references, displaced, blurred and blended by fields (N, 7, H, W)."""
        first, second = references
        to_first, to_second, logit = fields.split((3, 3, 1), dim=1)
        volume = self.volume(first)
        one = scale_space_warp(volume, to_first)
        other = scale_space_warp(volume if second is first else self.volume(second), to_second)
        return other + torch.sigmoid(logit) * (one - other)
