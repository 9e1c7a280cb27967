"""Running a model's steps on one side: states in slots, packets of one or more steps."""

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from kodec.codecs.container import Step
from kodec.entropy import SymbolPort, SymbolReader
from kodec.native import BitstreamError, InvalidInputError

from .sequence_model import FrameStep, SequenceModel, Slots, State
from .shared_writer import SharedWriter

HIGHEST_QUALITY = 63

Encoded = tuple[bytes, list[Tensor], list[float]]
"""A packet's coded bytes, and step by step the frames that its decoder will show and its share of
the bytes, which sum to 1."""


class Stepper:
    """What encoder and decoder both do with a step; each has its own.

    size: (height, width). quality: of the sequence, which steps' offsets are added to; None for a
    model of fixed rate.
    """

    def __init__(
        self, model: SequenceModel, size: tuple[int, int], quality: int | None, device: str = "cpu"
    ) -> None:
        self._model = model
        self._size = (1, *size)
        self._quality = quality
        self._device = device
        self.slots = Slots()
        """States that later steps may read. Whoever puts others there goes on from them."""

    def quality_of(self, step: Step) -> int | None:
        """The quality that a step is coded at."""
        if self._quality is None:
            return None
        return min(max(self._quality + step.quality, 0), HIGHEST_QUALITY)

    def described(self, step: Step, states: Sequence[State]) -> FrameStep:
        """The step as the model is told of it."""
        quality = self.quality_of(step)
        at = None if quality is None else torch.tensor([float(quality)], device=self._device)
        return FrameStep(self._size, step.frames, at, tuple(states))

    def fits(self, step: Step) -> bool:
        """Whether the model has such steps."""
        return (
            len(step.references) in self._model.reference_counts
            and step.frames <= self._model.group
        )

    def run(self, x: Tensor | None, step: Step, port: SymbolPort) -> Tensor:
        """Pass the step's frames (1, T, 3, H, W) through the port, and keep its state."""
        described = self.described(step, self.slots.read(step))
        x_hat, state = self._model.code(x, described, port)
        self.slots.keep(step, state)
        return x_hat

    @torch.no_grad()
    def encode(self, steps: Sequence[Step], frames: Sequence[Tensor]) -> Encoded:
        """Code a packet of steps."""
        for step in steps:
            if not self.fits(step):
                raise InvalidInputError(
                    f"the model codes {self._model.group} frames in a step from "
                    f"{' or '.join(map(str, self._model.reference_counts))} references, not "
                    f"{step.frames} from {len(step.references)}: choose another structure"
                )
        port = SharedWriter(several=len(steps) > 1)
        shown, sizes = [], []
        for x, step in zip(frames, steps, strict=True):
            shown.append(self.run(x, step, port))
            sizes.append(port.next_step())
        return port.finish()[0], shown, [size / sum(sizes) for size in sizes]

    @torch.no_grad()
    def decode(self, data: bytes, steps: Sequence[Step]) -> list[Tensor]:
        """The frames in a packet's coded bytes, step by step.

        Nothing is computed before the stream holds as many symbols as its steps have. Raises
        BitstreamError for damage and for steps that are not the model's, MismatchError where this
        machine's states are not the encoder's.
        """
        least = most = 0
        for step in steps:
            if not self.fits(step):
                raise BitstreamError(
                    f"the step of frame {step.first} has {step.frames} frames from "
                    f"{len(step.references)} references, which its model does not code: a damaged "
                    "file"
                )
            symbols = self._model.symbols(self.described(step, [{}] * len(step.references)))
            least, most = least + symbols[0], most + symbols[-1]
        reader = SymbolReader([data])
        reader.expect(range(least, most + 1))
        shown = [self.run(None, step, reader) for step in steps]
        reader.finish()
        if not all(x_hat.isfinite().all() for x_hat in shown):
            raise BitstreamError("its pixels are not finite: a damaged file, or an unsound model")
        return shown


def pictures_of(x_hat: Tensor) -> list[NDArray[Any]]:
    """Of one step (1, T, 3, H, W), its pictures (3, H, W)."""
    return list(x_hat[0].cpu().numpy())
