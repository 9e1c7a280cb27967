"""Files of fitted networks: written, and read with everything checked before it is built."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, BinaryIO

import torch

from kodec.codecs.container import ChunkReader, ChunkWriter, FittedHeader, Packet
from kodec.codecs.container.head_fields import Kind
from kodec.codecs.fitted_families import family_of
from kodec.codecs.machine import check_machine, machine_fingerprint
from kodec.codecs.memory_guard import MemoryGuard
from kodec.entropy import RateMeter, SymbolReader, SymbolWriter
from kodec.native import BitstreamError, InvalidInputError, UnsupportedError

from .fitted_model import FittedModel, FittedSize, Limits, Reconstruction

FITTED: tuple[Kind, ...] = ("fitted",)
_NO_FIT = "the file's head does not fit its network: a damaged file"


def head_of(model: FittedModel, rate: Fraction = Fraction(25)) -> FittedHeader:
    """What the file of a network says about itself."""
    size, local = model.size, model.portability == "local"
    return FittedHeader(
        model.family.number,
        model.family.version,
        size.width,
        size.height,
        size.frames,
        size.components,
        model.architecture,
        model.portability,
        model.model_id,
        size.bit_depth,
        machine_fingerprint("cpu").encode("ascii") if local else b"",
        rate,
    )


@torch.no_grad()
def write_fitted(
    file: IO[bytes],
    model: FittedModel,
    parameters: Mapping[str, Any],
    metadata: Mapping[str, bytes] | None = None,
    rate: Fraction = Fraction(25),
    earlier: Sequence[bytes] = (),
) -> Reconstruction:
    """Write a network's file; returns what it will decode to.

    earlier: packets that it begins with, as another file has them. Raises `InvalidInputError` where
    the network is beyond what its own decoder takes, `UnsupportedError` where it would write other
    earlier packets.
    """
    cost, seen = model.cost(), dict[str, Any]()
    Limits().check(cost, model.size)
    with ChunkWriter(file, head_of(model, rate), metadata) as writer:
        for number in range(cost.packets):
            port = SymbolWriter(1)
            seen |= model.code(parameters, port, number)
            # More would cost three bytes each, and a stream is short beside what is made of it.
            (stream,) = port.finish(lanes=1)
            SymbolReader([stream]).expect(cost.symbols)
            if number < len(earlier) and stream != earlier[number]:
                raise UnsupportedError(
                    "another version of kodec wrote what is to be kept bit for bit: add with that"
                )
            writer.write(stream)
    return model.reconstruct(seen)


@dataclass(frozen=True)
class FittedFile:
    """A file that was read: its head, metadata, network and parameters, and what they come to."""

    header: FittedHeader
    metadata: Mapping[str, bytes]
    model: FittedModel
    parameters: Mapping[str, Any]
    reconstruction: Reconstruction
    packets: tuple[bytes, ...]

    @property
    def packet_bytes(self) -> int:
        """Of all packets."""
        return sum(map(len, self.packets))

    @torch.no_grad()
    def bits_by_part(self) -> dict[str, float]:
        """Bits of each part by the tables that it was coded with, without the coder's own."""
        meter = RateMeter(training=False)
        for number in range(self.model.cost().packets):
            self.model.code(self.parameters, meter, number)
        return {name: float(bits.sum()) for name, bits in meter.bits.items()}

    def bytes_by_part(self, size: int) -> dict[str, float]:
        """All of the file's `size` bytes: heads, each part, and what the coder took beside them."""
        parts = {name: bits / 8 for name, bits in self.bits_by_part().items()}
        return {
            "header, framing, metadata": size - self.packet_bytes,
            **parts,
            "coder's own": self.packet_bytes - math.fsum(parts.values()),
        }


@torch.no_grad()
def read_fitted(
    file: BinaryIO | bytes,
    device: str = "cpu",
    limits: Limits = Limits(),
    model: str | Path | None = None,
) -> FittedFile:
    """Read a network's file; frames are made later, when they are asked for.

    model: shared weights, by file or embedded name, of families that have such. Raises
    `BitstreamError` for damage, `UnsupportedError` for a family that this version does not have and
    for a network beyond the limits, which is not built then.
    """
    reader = ChunkReader(file, kinds=FITTED)
    header = reader.header
    assert isinstance(header, FittedHeader)
    kind = family_of(header.family, header.version).model()
    size = FittedSize(
        header.width, header.height, header.frames, header.components, header.bit_depth
    )
    try:
        cost = kind.cost_of(header.architecture, size)
    except InvalidInputError as error:
        raise BitstreamError(f"the file's head is damaged: {error}") from None
    limits.check(cost, size)
    if header.portability == "local":
        check_machine(header.machine.decode("ascii", "replace"), device)
    built: FittedModel | None = None
    parameters: dict[str, Any] = {}
    packets: list[bytes] = []
    with MemoryGuard(size.width, size.height):
        for packet in reader:
            assert isinstance(packet, Packet)
            if len(packets) == cost.packets:
                raise BitstreamError(f"the file has more packets than {cost.packets}: damaged")
            port = SymbolReader([packet.data])
            port.expect(cost.symbols)
            if built is None:
                built = _built(kind, header, size, model).to(device)
            parameters |= built.code(None, port, len(packets))
            # Nothing is made of a stream before it is known to be whole.
            port.finish()
            packets.append(packet.data)
        if built is None or len(packets) != cost.packets:
            raise BitstreamError(f"the file has {len(packets)} packets of {cost.packets}: damaged")
        shown = built.reconstruct(parameters)
    return FittedFile(header, reader.metadata, built, parameters, shown, tuple(packets))


def _built(
    kind: type[FittedModel], header: FittedHeader, size: FittedSize, model: str | Path | None
) -> FittedModel:
    try:
        built = kind.build_for(header.architecture, size, header.model_id, model)
    except InvalidInputError as error:
        raise BitstreamError(f"the file's head is damaged: {error}") from None
    if built.portability != header.portability or built.model_id != header.model_id:
        raise BitstreamError(_NO_FIT)
    return built.prepare()
