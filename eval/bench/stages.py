"""Where a codec's time goes: seconds of each stage of coding a picture."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch

from kodec.codecs import Codec, to_array, to_tensor
from kodec.entropy import SymbolPort, SymbolReader, SymbolWriter

from .race import Pixels

STAGES = {
    "coder": "the rANS coder, its index checksums and compiled serial orders included",
    "symbols": "the rest of the port: quantisation, table indexes, values for what follows",
    "networks": "the latent model: hyperprior and contexts",
    "transform": "analysis or synthesis, with strips and gain",
    "pixels": "to the network's numbers and back",
}


class Stopwatch:
    """Seconds by stage, each without those of the stages inside it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self._clock = clock
        self._inner = [0.0]

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what is inside."""
        self._inner.append(0.0)
        start = self._clock()
        try:
            yield
        finally:
            whole = self._clock() - start
            self.seconds[name] += whole - self._inner.pop()
            self._inner[-1] += whole


class _Timed:
    """Stands in for an object and times its methods as a stage."""

    def __init__(self, inner: Any, stage: str, watch: Stopwatch) -> None:
        self._inner, self._stage, self._watch = inner, stage, watch

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if not callable(method):
            return method

        def timed(*arguments: Any, **named: Any) -> Any:
            with self._watch.stage(self._stage):
                return method(*arguments, **named)

        return timed


class _TimedWriter(SymbolWriter):
    """A writer of one item whose encoder is timed."""

    def __init__(self, watch: Stopwatch) -> None:
        super().__init__(1)
        self._encoders = [_Timed(one, "coder", watch) for one in self._encoders]  # type: ignore[misc]


class _TimedReader(SymbolReader):
    """A reader of one item whose decoder is timed."""

    def __init__(self, stream: bytes, watch: Stopwatch) -> None:
        with watch.stage("coder"):
            super().__init__([stream])
        self._decoders = [_Timed(one, "coder", watch) for one in self._decoders]  # type: ignore[misc]


@torch.inference_mode()
def time_stages(
    codec: Codec, pixels: Pixels, quality: int | None, clock: Callable[[], float]
) -> dict[str, dict[str, float]]:
    """Seconds of each of `STAGES`, encoding and decoding pixels (H, W, C) once, by direction.

    quality: as `Codec.check_quality` gives it.
    """
    network = codec.network
    height, width, components = pixels.shape
    size = (1, height, width)
    condition = codec.condition(quality)
    cond = network.conditions(size, condition)
    encoding, decoding = Stopwatch(clock), Stopwatch(clock)

    writer = _TimedWriter(encoding)
    port = cast(SymbolPort, _Timed(writer, "symbols", encoding))
    with encoding.stage("pixels"):
        x = network.pad(to_tensor(pixels).to(codec.device))
    with encoding.stage("transform"):
        latents = network.analyse(x, cond, port)
    with encoding.stage("networks"):
        network.code_latents(latents, cond, port)
    (stream,) = writer.finish()

    reader = _TimedReader(stream, decoding)
    port = cast(SymbolPort, _Timed(reader, "symbols", decoding))
    with decoding.stage("networks"):
        coded = network.code_latents(None, cond, port)
    reader.finish()
    with decoding.stage("transform"):
        x_hat = network.reconstruct(coded, size, condition)
    with decoding.stage("pixels"):
        to_array(x_hat, components)
    return {"encode": encoding.seconds, "decode": decoding.seconds}
