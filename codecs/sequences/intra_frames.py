"""A picture model as a model of sequences: every frame by itself."""

from torch import Tensor

from kodec.codecs.pictures.picture_codec import PictureCodec
from kodec.entropy import SymbolPort

from .sequence_model import FrameStep, SequenceModel, State


class IntraFrames(SequenceModel):
    """Codes each frame as a picture; a refresh all along."""

    reference_counts = (0,)
    structure = "intra"

    def __init__(self, picture: PictureCodec) -> None:
        super().__init__(picture.portability)
        self.picture = picture

    @property
    def variable_rate(self) -> bool:
        """Whether the picture model takes a quality."""
        return self.picture.variable_rate

    def code(self, x: Tensor | None, step: FrameStep, port: SymbolPort) -> tuple[Tensor, State]:
        """One frame, which leaves nothing to others."""
        picture = None if x is None else x[:, 0]
        return self.picture.code(picture, step.size, step.quality, port).x_hat[:, None], {}

    def symbols(self, step: FrameStep) -> range:
        """As many as the picture's."""
        return self.picture.symbols_per_item(*step.size[1:])
