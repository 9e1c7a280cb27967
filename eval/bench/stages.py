"""Where a codec's time goes: seconds of each stage of coding a picture."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, cast

import torch

from kodec.codecs import Codec, to_array, to_tensor
from kodec.entropy import HostCoders, SymbolPort, SymbolReader, SymbolWriter
from kodec.native import Decoder, Encoder

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

    def __init__(self, clock: Callable[[], float], stages: Iterable[str] = STAGES) -> None:
        self.seconds = dict.fromkeys(stages, 0.0)
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


class Timed:
    """Stands in for an object and times its methods as a stage, or some as others."""

    def __init__(
        self,
        inner: Any,
        stage: str,
        watch: Stopwatch,
        others: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._inner, self._stage, self._watch = inner, stage, watch
        self._others = others

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if not callable(method):
            return method

        def timed(*arguments: Any, **named: Any) -> Any:
            with self._watch.stage(self._others.get(name, self._stage)):
                return method(*arguments, **named)

        return timed


class TimedWriter(SymbolWriter):
    """A writer of one item whose encoder is timed."""

    def __init__(self, watch: Stopwatch) -> None:
        def encoder() -> Encoder:
            return cast(Encoder, Timed(Encoder(), "coder", watch))

        super().__init__(1, HostCoders(encoder))


class TimedReader(SymbolReader):
    """A reader of one item whose decoder is timed."""

    def __init__(self, stream: bytes, watch: Stopwatch) -> None:
        def decoder(stream: bytes) -> Decoder:
            with watch.stage("coder"):
                return cast(Decoder, Timed(Decoder(stream), "coder", watch))

        super().__init__([stream], HostCoders(decoder=decoder))


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

    writer = TimedWriter(encoding)
    port = cast(SymbolPort, Timed(writer, "symbols", encoding))
    with encoding.stage("pixels"):
        x = network.pad(to_tensor(pixels).to(codec.device))
    with encoding.stage("transform"):
        latents = network.analyse(x, cond, port)
    with encoding.stage("networks"):
        network.code_latents(latents, cond, port)
    (stream,) = writer.finish()

    reader = TimedReader(stream, decoding)
    port = cast(SymbolPort, Timed(reader, "symbols", decoding))
    with decoding.stage("networks"):
        coded = network.code_latents(None, cond, port)
    reader.finish()
    with decoding.stage("transform"):
        x_hat = network.reconstruct(coded, size, condition)
    with decoding.stage("pixels"):
        to_array(x_hat, components)
    return {"encode": encoding.seconds, "decode": decoding.seconds}
