"""Frames to files and back, by every kind of sequence model; damage, seeking, formats."""

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch

from closed_loops import small_model
from compositions import config_of
from kodec.codecs import (
    ChunkReader,
    ModelInfo,
    Packet,
    PictureCodec,
    SequenceHeader,
    SequenceModel,
    Step,
    TemporalEntropy,
    build_module,
)
from kodec.codecs.container import Colour
from kodec.codecs.sequences.intra_frames import IntraFrames
from kodec.codecs.sequences.rate_control import Coded, RateControl
from kodec.codecs.sequences.structures import Structure
from kodec.codecs.sequences.video_codec import VideoCodec
from kodec.codecs.sequences.video_encoder import CodedStep, Coding
from kodec.codecs.video_files.frame_times import FrameClock
from kodec.codecs.video_files.frames import Frame, VideoFormat
from kodec.codecs.video_files.picture_folder import frame_of_pixels
from kodec.codecs.video_files.pixel_formats import libav_frame
from kodec.entropy import FrequencySlices
from kodec.native import BitstreamError, InvalidInputError, UnsupportedError
from video_frames import assert_same

FORM = VideoFormat(37, 26, "420", 8, Fraction(25))
MODELS = ("intra", "temporal entropy", "scale-space", "bidirectional")


@cache
def codec_of(name: str) -> VideoCodec:
    """Small, with random weights that give every network something to do."""
    model: SequenceModel
    if name in ("scale-space", "bidirectional"):
        model = small_model(name, gain=(1.0, 4.0))
    else:
        torch.manual_seed(0)
        picture = build_module(config_of(("gdn", "frequency slices", True)))
        assert isinstance(picture, PictureCodec)
        with torch.no_grad():
            for parameter in picture.parameters():
                parameter.add_(0.05 * torch.randn_like(parameter))
        picture.calibrate(torch.rand(2, 3, 32, 32), torch.tensor([10.0, 50.0]))
        model = IntraFrames(picture)
        if name == "temporal entropy":
            arguments: dict[str, Any] = {"slices": (3, 5), "phases": (4, 2), "width": 8}
            latents = FrequencySlices(**arguments, context=4, hyper=4, temporal=True)
            model = TemporalEntropy(picture, latents)
            model.adopt_picture(lambda part: None)
            with torch.no_grad():
                for parameter in latents.parameters():
                    parameter.add_(0.05 * torch.randn_like(parameter))
        model.deploy()
    return VideoCodec(model, ModelInfo("small", {}, bytes(8)))


def clip(count: int, form: VideoFormat = FORM) -> list[Frame]:
    """Something that moves, with noise."""
    rng = np.random.default_rng(0)
    kind = np.uint8 if form.bit_depth == 8 else np.uint16
    top = 2**form.bit_depth - 1
    frames = []
    for number in range(count):
        planes = []
        for height, width in form.plane_shapes:
            y, x = np.mgrid[:height, :width]
            wave = np.sin(0.3 * (x + 2 * number) + 0.2 * y)
            values = top * (0.5 + 0.3 * wave + 0.02 * rng.normal(size=wave.shape))
            planes.append(np.clip(np.rint(values), 0, top).astype(kind))
        frames.append(tuple(planes))
    return frames


def encoded(
    codec: VideoCodec, frames: Sequence[Frame], coding: Coding = Coding(), form: VideoFormat = FORM
) -> tuple[bytes, list[CodedStep]]:
    file = io.BytesIO()
    steps: list[CodedStep] = []
    with codec.encoder(file, form, coding, on_step=steps.append) as encoder:
        for frame in frames:
            encoder.push(frame)
    assert encoder.bytes_written == len(file.getvalue())
    return file.getvalue(), steps


def shown_by(steps: Sequence[CodedStep]) -> list[Frame]:
    """What the encoder says that the decoder will show, in display order."""
    by_number = {
        coded.step.first + place: frame
        for coded in steps
        for place, frame in enumerate(coded.shown)
    }
    return [by_number[number] for number in sorted(by_number)]


def decoded(codec: VideoCodec, data: bytes, start: int = 0) -> list[Frame]:
    return [shown.picture for shown in codec.decoder(ChunkReader(data), start)]


@pytest.mark.parametrize("name", MODELS)
def test_decoded_frames_are_those_that_the_encoder_shows(name: str) -> None:
    codec = codec_of(name)
    frames = clip(7)
    data, steps = encoded(codec, frames, Coding(intra_period=5))
    assert_same(decoded(codec, data), shown_by(steps))
    coded = sum(step.bits for step in steps) / 8
    head = len(data) - coded
    assert 0 < head < 200
    if name != "intra":
        kinds = {len(step.step.references) for step in steps}
        assert kinds == set(codec.network.reference_counts)


def test_structures_are_coded_by_models_that_have_the_references() -> None:
    codec = codec_of("bidirectional")
    frames = clip(11)
    for name in ("low-delay", "low-delay-2", "hierarchical"):
        coding = Coding(structure=Structure(name, (0, -4)))
        data, steps = encoded(codec, frames, coding)
        assert_same(decoded(codec, data), shown_by(steps))
    with pytest.raises(InvalidInputError, match="takes 1: name another"):
        encoded(codec_of("scale-space"), frames, Coding(structure=Structure("hierarchical")))


@pytest.mark.parametrize(
    "form",
    [
        VideoFormat(18, 17, "422", 10, Fraction(30000, 1001)),
        VideoFormat(1, 1, "420", 8, Fraction(1)),
        VideoFormat(33, 8, "400", 8, Fraction(25)),
        VideoFormat(8, 33, "444", 8, Fraction(25)),
    ],
    ids=lambda form: f"{form.width}x{form.height} {form.pixel_format}",
)
def test_formats_come_back(form: VideoFormat) -> None:
    codec = codec_of("temporal entropy")
    data, steps = encoded(codec, clip(3, form), form=form)
    decoder = codec.decoder(ChunkReader(data))
    assert decoder.form == form
    assert_same([shown.picture for shown in decoder], shown_by(steps))


def test_times_come_back() -> None:
    codec, clock = codec_of("scale-space"), FrameClock(Fraction(25), 40)
    times = [Fraction(n, 1000) for n in (0, 40, 81, 300, 340)]
    file = io.BytesIO()
    with codec.encoder(file, FORM, clock=clock) as encoder:
        for frame, time in zip(clip(5), times, strict=True):
            encoder.push(frame, time)
    decoder = codec.decoder(ChunkReader(file.getvalue()))
    assert [decoder.clock.seconds_of(s.number, s.time) for s in decoder] == times


def test_decoding_begins_anywhere() -> None:
    codec = codec_of("bidirectional")
    data, steps = encoded(codec, clip(23), Coding(intra_period=10))
    whole = shown_by(steps)
    for start in (1, 9, 10, 17, 22):
        assert_same(decoded(codec, data, start), whole[start:])
    assert decoded(codec, data, 23) == []


def test_a_cut_is_a_refresh_and_a_change_of_scene_alone() -> None:
    codec, frames = codec_of("scale-space"), clip(6)
    dark = [tuple(plane // 8 for plane in frame) for frame in frames]
    _, steps = encoded(codec, [*frames, *dark])
    assert [step.step.first for step in steps if step.step.refresh] == [0, 6]
    _, steps = encoded(codec, [*frames, *dark], Coding(scene_cuts=False))
    assert [step.step.first for step in steps if step.step.refresh] == [0]


@pytest.mark.parametrize("structure", ["low-delay", "hierarchical"])
def test_small_frames_share_packets_and_know_what_each_takes(structure: str) -> None:
    codec, frames = codec_of("bidirectional"), clip(21)
    alone, shared = (
        encoded(codec, frames, Coding(0, Structure(structure, (0, -4)), 12, share=share))
        for share in (1, None)
    )
    assert_same(decoded(codec, shared[0]), shown_by(alone[1]))
    assert_same(decoded(codec, shared[0], 15), shown_by(alone[1])[15:])
    packets = [len(packet.steps) for packet in ChunkReader(shared[0]) if isinstance(packet, Packet)]
    assert packets == [1, 4, 4, 3, 1, 4, 4]
    # Of 19 frames that are no refresh, three quarters of a header, its checksums and a packet's.
    assert len(alone[0]) - len(shared[0]) > 19 * 0.7 * 15
    assert sum(step.bits for step in shared[1]) / 8 < len(shared[0])
    for one, other in zip(alone[1], shared[1], strict=True):
        assert one.step == other.step and 0.5 * one.bits < other.bits < one.bits + 8


def test_quality_is_the_sequence_s_and_the_step_s() -> None:
    codec = codec_of("scale-space")
    coding = Coding(quality=60, structure=Structure("low-delay", (8, -8)))
    _, steps = encoded(codec, clip(5), coding)
    assert [step.quality for step in steps] == [60, 63, 52, 63, 52]
    low, _ = encoded(codec, clip(5), Coding(quality=5))
    high, _ = encoded(codec, clip(5), Coding(quality=55))
    assert len(low) < len(high)


def test_a_rate_is_held() -> None:
    codec, frames = codec_of("temporal entropy"), clip(24)
    sizes = [len(encoded(codec, frames, Coding(quality=q, share=1))[0]) for q in (20, 40)]
    rate = 8 * sum(sizes) / 2 / len(frames)
    control = RateControl(rate, 25.0, len(frames))
    data, _ = encoded(codec, frames, Coding(control=control))
    assert 8 * len(data) / len(frames) == pytest.approx(rate, rel=0.05)
    second = RateControl(rate, 25.0, len(frames), control.steps)
    data, _ = encoded(codec, frames, Coding(control=second))
    assert 8 * len(data) / len(frames) == pytest.approx(rate, rel=0.02)


@pytest.mark.parametrize("name", ["scale-space", "bidirectional", "temporal entropy"])
def test_steps_that_are_coded_again_leave_what_the_decoder_has(name: str) -> None:
    """At every step another quality than the first that is tried: what follows reads the states of
    those that were written."""

    class Fickle(RateControl):
        def code(self, step: Step, encode: Callable[[int], tuple[int, Coded]]) -> Coded:
            (few, low), (many, high), _ = encode(8), encode(40), encode(63)
            assert few < many
            return high if step.first % 2 else low

    codec, frames = codec_of(name), clip(11)
    structure = Structure("hierarchical" if name == "bidirectional" else "low-delay")
    coding = Coding(structure=structure, control=Fickle(1.0, 25.0))
    data, steps = encoded(codec, frames, coding)
    assert {step.quality for step in steps} == {8, 40}
    assert_same(decoded(codec, data), shown_by(steps))


@pytest.mark.parametrize("name", ["scale-space", "bidirectional"])
def test_damage_is_an_error_or_costs_frames_up_to_the_next_refresh(name: str) -> None:
    codec = codec_of(name)
    data, steps = encoded(codec, clip(30), Coding(intra_period=10))
    whole = shown_by(steps)
    damaged = bytearray(data)
    damaged[len(data) // 2] ^= 0x40
    with pytest.raises(BitstreamError):
        decoded(codec, bytes(damaged))
    decoder = codec.decoder(ChunkReader(bytes(damaged), damaged="keep"))
    kept = list(decoder)
    assert [shown.number for shown in kept] == list(range(30))
    lost = [shown.number for shown in kept if shown.lost]
    assert 0 < len(lost) == decoder.lost < 20
    assert_same(
        [s.picture for s in kept if not s.lost], [whole[s.number] for s in kept if not s.lost]
    )


def test_what_a_kill_leaves_is_read_up_to_the_cut() -> None:
    codec = codec_of("scale-space")
    data, steps = encoded(codec, clip(12))
    whole = shown_by(steps)
    for size in (len(data) - 1, len(data) * 2 // 3, len(data) // 3):
        reader = ChunkReader(data[:size], damaged="keep")
        kept = [shown.picture for shown in codec.decoder(reader)]
        assert_same(kept, whole[: len(kept)])
        assert reader.cut is not None
        with pytest.raises(BitstreamError):
            decoded(codec, data[:size])


def test_another_model_s_file_and_forged_heads_are_refused() -> None:
    codec = codec_of("scale-space")
    data, _ = encoded(codec, clip(2))
    other = VideoCodec(codec.network, ModelInfo("other", {}, bytes([1] * 8)))
    with pytest.raises(UnsupportedError, match="name the right one"):
        list(other.decoder(ChunkReader(data)))
    header = ChunkReader(data).header
    assert isinstance(header, SequenceHeader)
    for forged in (
        replace(header, width=header.width + 64),
        replace(header, quality=None),
        replace(header, portability="exact"),
    ):
        with pytest.raises(BitstreamError):
            decoded(codec, with_head(data, forged))


def with_head(data: bytes, header: SequenceHeader) -> bytes:
    """The same packets under another head, every checksum right."""
    from kodec.codecs import ChunkWriter

    file = io.BytesIO()
    with ChunkWriter(file, header) as writer:
        for packet in ChunkReader(data):
            assert isinstance(packet, Packet)
            writer.write(packet.data, packet.steps)
    return file.getvalue()


def test_what_can_t_be_coded_is_refused() -> None:
    codec = codec_of("scale-space")
    with pytest.raises(InvalidInputError, match="uint8 planes"):
        encoded(codec, clip(1, replace(FORM, width=35)))
    with pytest.raises(InvalidInputError, match="none was given"):
        encoded(codec, [])
    with pytest.raises(InvalidInputError, match="quality"):
        encoded(codec, clip(1), Coding(quality=64))


def test_frames_may_be_arrays_and_what_pyav_decodes() -> None:
    codec = codec_of("temporal entropy")
    form = VideoFormat(20, 16, "444", 8, Fraction(25), Colour(matrix=0, full_range=True))
    pixels = np.stack(clip(1, form)[0], axis=2)
    data, steps = encoded(codec, [frame_of_pixels(pixels)], form=form)
    other = io.BytesIO()
    with codec.encoder(other, form) as encoder:
        encoder.push(pixels)
    assert other.getvalue() == data
    again = io.BytesIO()
    with codec.encoder(again, form) as encoder:
        encoder.push(libav_frame(frame_of_pixels(pixels), form, 0, Fraction(1, 25)))
    assert again.getvalue() == data


def test_frames_come_one_by_one() -> None:
    """The first is shown before the file's end is read."""
    codec = codec_of("scale-space")
    data, steps = encoded(codec, clip(9))
    reader = ChunkReader(data[: len(data) // 2])
    first = next(iter(codec.decoder(reader)))
    assert_same([first.picture], shown_by(steps)[:1])
    assert len(list(islice(codec.decoder(ChunkReader(data)), 3))) == 3
