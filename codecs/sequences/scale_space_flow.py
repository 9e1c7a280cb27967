"""Scale-space flow: each frame from the one before it, by motion that also blurs."""

from collections.abc import Sequence

from torch import Tensor

from kodec.models.motion import scale_space_warp

from .closed_loop import ClosedLoop


class ScaleSpaceFlow(ClosedLoop):
    """The first frame is a keyframe; each other one is predicted from one reference.

    Arguments: see `ClosedLoop`. Source: "Scale-space flow for end-to-end optimized video
    compression" (2020), in the reading of public code (`ssf2020`): hyperpriors of means and scales,
    of stride 8, whose networks are in floating point.
    """

    reference_counts = (0, 1)
    # No displacement, and before the first plane.
    start = (0.0, 0.0, -1.0)

    def predict(self, references: Sequence[Tensor], fields: Tensor) -> Tensor:
        """The reference, displaced and blurred by fields (N, 3, H, W)."""
        return scale_space_warp(self.volume(references[0]), fields)
