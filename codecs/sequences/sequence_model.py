"""What a codec of sequences is: one program, step by step, whose states pass from step to step."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from kodec.codecs.coding_model import CodingModel
from kodec.codecs.container import Step
from kodec.entropy import SymbolPort

State = Mapping[str, Tensor]
"""What a step leaves to later ones, by name: a value, which nobody changes in place."""

EIGHT_BITS = 1 / 255
"""Grid of references that are frames: what the decoder shows is what later frames are made from."""
FINE = 2.0**-16
"""Grid of latents and features, in their own units."""


@dataclass(frozen=True)
class FrameStep:
    """What a model is told of one step.

    size: (N, H, W) of the frames, which need not fit any stride. frames: T, how many in a row.
    quality: (N,) in [0, 63], or None for a fixed rate. references: states that it reads, in the
    model's order; none at a refresh.
    """

    size: tuple[int, int, int]
    frames: int = 1
    quality: Tensor | None = None
    references: tuple[State, ...] = ()


class Slots(dict[int, State]):
    """States that later steps may read, by slot; whoever runs steps has some."""

    def read(self, step: Step) -> tuple[State, ...]:
        """What a step reads, in the model's order; a refresh empties all slots first.

        Of a file, the container has checked that the slots are filled.
        """
        if step.refresh:
            self.clear()
        return tuple(self[slot] for slot in step.references)

    def keep(self, step: Step, state: State) -> None:
        """Put a step's state where the step says, if anywhere."""
        if step.keep is not None:
            self[step.keep] = state


class SequenceModel(CodingModel, ABC):
    """A model of frames in sequence.

    group: most frames in a step. reference_counts: how many states a step may read, 0 among them.
    structure: name of the `Structure` that it codes in unless another is asked for.
    """

    group: int = 1
    reference_counts: tuple[int, ...] = (0, 1)
    structure: str = "low-delay"

    @abstractmethod
    def code(self, x: Tensor | None, step: FrameStep, port: SymbolPort) -> tuple[Tensor, State]:
        """Pass one step's frames through the port.

        x: RGB (N, T, 3, H, W) in [0, 1], or None on the reading side. Returns frames of the same
        shape, around [0, 1], and the state. All of a state that is not made of integers is snapped.
        """

    @abstractmethod
    def symbols(self, step: FrameStep) -> range:
        """How many symbols an item's stream of this step may hold; mostly a single number."""

    def snap(
        self, port: SymbolPort, name: str, x: Tensor, step: float = FINE, guard: float = 1e-9
    ) -> Tensor:
        """State on the grid of `step`: see `SymbolPort.snap`; of class local as it is."""
        return x if self.portability == "local" else port.snap(name, x, step, guard)

    def snapped(self, values: int) -> int:
        """Symbols of an item's stream that so many snapped values count as."""
        return 0 if self.portability == "local" else values
