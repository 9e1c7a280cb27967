"""A clip as the steps of a sequence: what is coded from what, and states on their way."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

from kodec.codecs import HIGHEST_QUALITY
from kodec.codecs.container import Step
from kodec.codecs.sequences.scheduling import Schedule, schedule
from kodec.codecs.sequences.sequence_model import FrameStep, SequenceModel, Slots, State
from kodec.codecs.sequences.structures import Structure

from .phases import Detach


@dataclass(frozen=True)
class UnrolledStep:
    """A step of clips of one batch, coded.

    step: which frames, from what. quality: (N,), its offset included. frames: (N, T, 3, H, W) as
    they were given. x_hat: as the decoder sees them.
    """

    step: Step
    quality: Tensor
    frames: Tensor
    x_hat: Tensor


def steps_of_clip(frames: int, structure: Structure, group: int) -> list[Step]:
    """The steps of a clip in coding order; a refresh comes first."""
    numbers = ((number, False) for number in range(frames))
    return [found.step for found in schedule(numbers, Schedule[int](structure, group))]


def unroll(
    model: SequenceModel,
    x: Tensor,
    quality: Tensor,
    structure: Structure,
    code: Callable[[Tensor, FrameStep], tuple[Tensor, State]],
    detach: Detach = "none",
) -> Iterator[UnrolledStep]:
    """Code clips step by step; states go from call to call.

    x: (N, T, 3, H, W). quality: (N,) of the sequences. code: passes a step's frames through a port.
    detach: past which states no gradient goes back.
    """
    n, count, _, h, w = x.shape
    slots = Slots()
    for step in steps_of_clip(count, structure, model.group):
        read = slots.read(step)
        at = (quality + step.quality).clamp(0, HIGHEST_QUALITY)
        given = at if model.variable_rate else None
        frames = x[:, step.first : step.first + step.frames].contiguous()
        x_hat, state = code(frames, FrameStep((n, h, w), step.frames, given, read))
        if detach == "every" or (detach == "intra" and step.refresh):
            state = _detached(state)
        slots.keep(step, state)
        yield UnrolledStep(step, at, frames, x_hat)


def _detached(state: Mapping[str, Tensor]) -> State:
    return {name: value.detach() for name, value in state.items()}
