"""Where a sequence model's time goes: seconds of each stage, from a video file and back to one."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import numpy as np
import torch

from kodec.codecs.coded_transform import CodedTransform
from kodec.codecs.container import ChunkReader, ChunkWriter, Packet, SequenceHeader
from kodec.codecs.sequences.sequence_model import SequenceModel
from kodec.codecs.sequences.stepping import Stepper, pictures_of
from kodec.codecs.sequences.stream_format import SEQUENCES
from kodec.codecs.sequences.video_codec import VideoCodec
from kodec.codecs.video_files.frames import Frame
from kodec.codecs.video_files.rgb_frames import frame_of_rgb, rgb_of_frame
from kodec.codecs.video_files.video_writing import VideoWriter
from kodec.entropy import SymbolPort
from kodec.eval.sources.source import VideoSource
from kodec.native import KodecError

from .stages import Stopwatch, Timed, TimedReader, TimedWriter

VIDEO_STAGES = {
    "reading": "the video file's frames, or the coded file's packets",
    "colour": "to RGB and back to the file's planes",
    "analysis": "pixels or errors to latents, with gain",
    "networks": "the latent models: hyperprior and contexts",
    "symbols": "the port: quantisation, table indexes, values for what follows",
    "coder": "the rANS coder",
    "synthesis": "latents to pixels, errors or motion",
    "state": "prediction, padding, and what a frame leaves to later ones",
    "writing": "the coded file, or the frames as a raw one",
}
_OF_TRANSFORMS = {"analyse": "analysis", "code_latents": "networks", "synthesise": "synthesis"}


@torch.no_grad()
def time_video_stages(
    codec: VideoCodec,
    source: VideoSource,
    data: bytes,
    folder: Path,
    clock: Callable[[], float],
) -> dict[str, dict[str, float]]:
    """Seconds of each of `VIDEO_STAGES`, encoding and decoding the source once, by direction.

    data: the source's coded file, whose steps are coded again one by one. folder: for what is
    written. Raises KodecError where the stages give other bytes or another number of frames.
    """
    encoding, decoding = Stopwatch(clock, VIDEO_STAGES), Stopwatch(clock, VIDEO_STAGES)
    packets = [
        packet for packet in ChunkReader(data, kinds=SEQUENCES) if isinstance(packet, Packet)
    ]
    with _stages_of(codec.network, encoding):
        _encode(codec, source, ChunkReader(data, kinds=SEQUENCES).header, packets, folder, encoding)
    with _stages_of(codec.network, decoding):
        count = _decode(codec, source, data, folder, decoding)
    if (folder / "coded.kdc").read_bytes() != data or count != sum(
        step.frames for packet in packets for step in packet.steps
    ):
        raise KodecError(f"stage by stage, {codec.name} coded {source.path} to something else")
    return {"encode": encoding.seconds, "decode": decoding.seconds}


def _encode(
    codec: VideoCodec,
    source: VideoSource,
    header: object,
    packets: Sequence[Packet],
    folder: Path,
    watch: Stopwatch,
) -> None:
    assert isinstance(header, SequenceHeader)
    with watch.stage("reading"):
        video = source.open()
        frames: list[Frame] = list(video.frames())
    stepper = _stepper(codec, header)
    with (folder / "coded.kdc").open("wb") as file:
        with watch.stage("writing"):
            chunks = ChunkWriter(file, header)
        for packet in packets:
            writer = TimedWriter(watch)
            port = _timed_port(writer, watch)
            for step in packet.steps:
                sources = frames[step.first : step.first + step.frames]
                with watch.stage("colour"):
                    rgb = np.stack([rgb_of_frame(frame, video.form) for frame in sources])
                    x = torch.from_numpy(rgb)[None].to(codec.device)
                with watch.stage("state"):
                    stepper.run(x, step, port)
            with watch.stage("coder"):
                coded = writer.finish()[0]
            with watch.stage("writing"):
                chunks.write(coded, packet.steps)
        with watch.stage("writing"):
            chunks.close()
            file.flush()


def _decode(
    codec: VideoCodec, source: VideoSource, data: bytes, folder: Path, watch: Stopwatch
) -> int:
    """Returns how many frames there were, in the order that they were coded in."""
    form = source.open().form
    with watch.stage("reading"):
        reader = ChunkReader(data, kinds=SEQUENCES)
    assert isinstance(reader.header, SequenceHeader)
    stepper = _stepper(codec, reader.header)
    # What is written is in coding order, as it takes no time to put frames in another.
    with VideoWriter(folder / "decoded.yuv", form) as out:
        packets = iter(reader)
        while True:
            with watch.stage("reading"):
                packet = next(packets, None)
            if packet is None:
                return out.count
            assert isinstance(packet, Packet)
            symbols = TimedReader(packet.data, watch)
            port = _timed_port(symbols, watch)
            for step in packet.steps:
                with watch.stage("state"):
                    x_hat = stepper.run(None, step, port)
                with watch.stage("colour"):
                    decoded = [frame_of_rgb(rgb, form) for rgb in pictures_of(x_hat)]
                with watch.stage("writing"):
                    for frame in decoded:
                        out.write(frame)
            with watch.stage("coder"):
                symbols.finish()


def _stepper(codec: VideoCodec, header: SequenceHeader) -> Stepper:
    return Stepper(codec.network, (header.height, header.width), header.quality, codec.device)


def _timed_port(port: TimedWriter | TimedReader, watch: Stopwatch) -> SymbolPort:
    return cast(SymbolPort, Timed(port, "symbols", watch, {"snap": "state"}))


@contextmanager
def _stages_of(network: SequenceModel, watch: Stopwatch) -> Iterator[None]:
    """Time what the model's parts do as stages of their own."""
    changed: list[tuple[torch.nn.Module, str]] = []
    for module in network.modules():
        names: dict[str, str] = {}
        if isinstance(module, CodedTransform):
            names = _OF_TRANSFORMS
        elif not isinstance(module, SequenceModel) and hasattr(module, "code"):
            names = {"code": "networks"}
        for name, stage in names.items():
            timed = Timed(module, stage, watch)
            setattr(module, name, getattr(timed, name))
            changed.append((module, name))
    try:
        yield
    finally:
        for module, name in changed:
            delattr(module, name)
