"""One stream of several steps, and what each of them would take alone."""

from typing import Any

from kodec.entropy import HostEncoders, SymbolWriter
from kodec.native import Encoder


class SharedWriter(SymbolWriter):
    """Writes one item's steps to one stream; of several, each is coded apart too, to be sized.

    One stream's header, checksums and states serve all its steps: they take more than a small
    frame's symbols.
    """

    def __init__(self, several: bool) -> None:
        super().__init__(1)
        [self._whole] = self._encoders.on_host()
        self._alone = Encoder() if several else None
        self._tell()

    def next_step(self) -> int:
        """Bytes of the step that ends here, in a stream of its own; 1 where there is one step."""
        if self._alone is None:
            return 1
        size = len(self._alone.finish())
        self._alone = Encoder()
        self._tell()
        return size

    def finish(self, segments: int = 0, lanes: int = 0) -> list[bytes]:
        """The stream of all steps."""
        return [self._whole.finish(segments, lanes)]

    def _tell(self) -> None:
        if self._alone is not None:
            both: Any = _Both(self._whole, self._alone)
            self._encoders = HostEncoders([both])


class _Both:
    """Two encoders that are given the same."""

    def __init__(self, *encoders: Encoder) -> None:
        self._encoders = encoders

    def add(self, *block: Any) -> None:
        for encoder in self._encoders:
            encoder.add(*block)

    def choose(self, *block: Any) -> None:
        for encoder in self._encoders:
            encoder.choose(*block)
