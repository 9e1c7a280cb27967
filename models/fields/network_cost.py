"""What a network takes, from its layers' shapes: they may be on torch's meta device."""

from dataclasses import dataclass

from torch import nn

# Of a frame's largest tensor, as many are alive at once at most: a layer's input, its output, what
# is added, and a library's own copy.
ALIVE = 4
BYTES = 4


@dataclass
class NetworkCost:
    """Parameters, multiplications of one frame, and the values of its largest tensor."""

    parameters: int = 0
    macs: int = 0
    largest: int = 0

    def add(self, part: nn.Module | None, places: int) -> None:
        """Convolutions and linear layers of a part, each at so many places of its output."""
        for layer in [] if part is None else part.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                weight = layer.weight
                self.macs += weight.numel() * places
                self.largest = max(self.largest, places * weight.shape[0])

    @property
    def peak_bytes(self) -> int:
        """Of memory: parameters as they are built and as they are filled, and a frame's tensors."""
        return BYTES * (2 * self.parameters + ALIVE * self.largest)
