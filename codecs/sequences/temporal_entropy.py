"""A frozen picture model whose latents are predicted from the frame before.

    x_t --> analysis, gain --> y_t --(latents: known "temporal" = y_hat of t-1)--> y_hat_t
    y_hat_t --> inverse gain, synthesis --> x_hat_t

No motion, no residual: time enters through probabilities alone, and a reconstruction depends on its
own latents only. Source: "Spatiotemporal entropy model is all you need for learned video
compression" (2021), for which there is no public code: a reading.
"""

from collections.abc import Callable
from typing import cast

import torch
from torch import Tensor, nn

from kodec.codecs.coded_transform import CodedLatents, LatentModel
from kodec.codecs.pictures.picture_codec import PictureCodec
from kodec.entropy import TEMPORAL, Conditions, SymbolPort, as_role
from kodec.native import InvalidInputError

from .sequence_model import FrameStep, SequenceModel, State


class TemporalEntropy(SequenceModel):
    """Frames coded by a picture model, but for its latent model where there is a frame before.

    picture: a trained `PictureCodec` without side latents, which training leaves as it is. latents:
    a latent model that reads `TEMPORAL` of what is known.
    """

    reference_counts = (0, 1)

    def __init__(self, picture: PictureCodec, latents: nn.Module) -> None:
        super().__init__(picture.portability)
        if picture.side is not None:
            raise InvalidInputError(
                "a picture model with side latents can't be conditioned on the frame before"
            )
        if latents.channels != picture.latents.channels:
            raise InvalidInputError(
                f"the picture model has {picture.latents.channels} channels of latents, the "
                f"temporal one {latents.channels}: give both the same"
            )
        self.picture = picture.requires_grad_(False)
        self.latents = as_role("shared", latents)

    @property
    def variable_rate(self) -> bool:
        """Whether the picture model takes a quality."""
        return self.picture.variable_rate

    def adopt_picture(self, fill: Callable[[nn.Module], None]) -> None:
        """Let `fill` give the picture model weights, and the latent model start from them."""
        fill(self.picture)
        own = self.latents.state_dict()
        given = self.picture.latents.state_dict()
        shared = {k: v for k, v in given.items() if k in own and own[k].shape == v.shape}
        self.latents.load_state_dict(own | shared)

    def code(self, x: Tensor | None, step: FrameStep, port: SymbolPort) -> tuple[Tensor, State]:
        """One frame, from the one before it if there is one."""
        size, quality = step.size, step.quality
        frame = None if x is None else x[:, 0]
        if not step.references:
            coded = self.picture.code_picture(frame, size, quality, port)
        else:
            known = {TEMPORAL: self._scaled(step.references[0], quality)}
            cond = Conditions(self.picture.latent_shape(*size), quality, known)
            y = None
            if frame is not None:
                y = self.picture.analyse(self.picture.pad(frame), cond).y.float()
            with self.uncast():
                coded = CodedLatents(cast(LatentModel, self.latents).code(y, cond, port))
        state = {"latents": self.snap(port, TEMPORAL, coded.y_hat)}
        if quality is not None:
            state["quality"] = quality
        return self.picture.reconstruct(coded, size, quality)[:, None], state

    def _scaled(self, state: State, quality: Tensor | None) -> Tensor:
        """The latents of a state in the quantisation steps of another quality."""
        latents, gain = state["latents"], self.picture.gain
        if gain is None or quality is None or torch.equal(state["quality"], quality):
            return latents
        with self.uncast():
            return gain.change_gain(latents, state["quality"], quality)

    def symbols(self, step: FrameStep) -> range:
        """As many as the latent model's that codes it, and the state's."""
        shape = self.picture.latent_shape(*step.size)
        if step.references:
            count = cast(LatentModel, self.latents).symbols(*shape[-2:])
            coded = range(count, count + 1) if isinstance(count, int) else count
        else:
            coded = self.picture.symbols(shape)
        state = self.snapped(shape[1:].numel())
        return range(coded.start + state, coded.stop + state)
