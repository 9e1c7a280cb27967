"""Table of `video.py damage`: mutated and forged video files through the decoder.

Sound files are of 16x16 frames, by an untrained closed loop: low delay with refreshes, a hierarchy,
and variable times. A third of the inputs is mutated from outside; the others inside, with the
container's checksums made right again: heads and plans, steps, indexes, coded bytes, packets
swapped, repeated and removed. Each is read with damage refused or kept.

Failures: another exception than kodec's or one of several lines; where checksums were not made
right again, a damaged file that passes for sound, or a frame that is not the one with its number in
the sound file; more than a second of CPU time; memory that grows by more than 64 MB.

What a sound file's packets come to is remembered, so that an input costs what is damaged in it.
"""

import argparse
import io
import random
import time
from collections.abc import Hashable, Sequence
from fractions import Fraction
from functools import partial

import numpy as np

from container import resident
from forging import PREAMBLE_BYTES, NeverRightError, Tally, mutate, mutate_chunks, seal, split
from kodec.codecs import ChunkReader, Step
from kodec.codecs.sequences.sequence_model import Slots
from kodec.codecs.sequences.stream_format import SEQUENCES
from kodec.codecs.sequences.structures import Structure
from kodec.codecs.sequences.video_codec import VideoCodec
from kodec.codecs.sequences.video_decoder import VideoDecoder
from kodec.codecs.sequences.video_encoder import Coding
from kodec.codecs.video_files.frame_times import FrameClock
from kodec.codecs.video_files.frames import Frame, VideoFormat
from video_costs import made_frames, small_codec

FORM = VideoFormat(16, 16, "420", 8, Fraction(25))
SLOWEST_SECONDS = 1.0
GROWTH = 64_000_000
MOST_FRAMES = 100_000
"""That an input of some hundred bytes may come to."""

Known = dict[Hashable, tuple[list[list[Frame]], Slots]]


class RememberingDecoder(VideoDecoder):
    """A decoder that takes what it `knows` of a packet in its place instead of decoding it."""

    def __init__(self, codec: VideoCodec, reader: ChunkReader, known: Known, learn: bool) -> None:
        super().__init__(codec, reader, 0)
        self._known, self._learn = known, learn
        self._past: Hashable = None

    def _decode(self, data: bytes, steps: tuple[Step, ...]) -> list[list[Frame]]:
        past = None if steps[0].refresh else self._past
        key = (self._header, past, data, steps)
        # As deep as the sequence is long, were it kept as it is.
        place = hash(key)
        if place in self._known:
            frames, slots = self._known[place]
            self._stepper.slots = Slots(slots)
            self._past = place
            return frames
        self._past = object()
        frames = super()._decode(data, steps)
        if self._learn:
            self._known[place] = frames, Slots(self._stepper.slots)
            self._past = place
        return frames


def add_to(tables: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """The parser."""
    parser = tables.add_parser("damage", help="mutated and forged files")
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seconds", type=float, default=600.0, help="at most")
    parser.add_argument("--seed", type=int, default=1)
    parser.set_defaults(measure=measure)


def sound_files(codec: VideoCodec) -> list[bytes]:
    """Three files of nine frames."""
    files = []
    codings = (
        Coding(intra_period=3),
        Coding(intra_period=6, structure=Structure("hierarchical", (0, -3))),
        Coding(scene_cuts=False),
    )
    for number, coding in enumerate(codings):
        clock = FrameClock(FORM.fps, 1000) if number == 2 else None
        file = io.BytesIO()
        with codec.encoder(file, FORM, coding, clock) as encoder:
            for place, frame in enumerate(made_frames(FORM, 9)):
                seconds = Fraction(place * place, 250) if clock else None
                encoder.push(frame, seconds)
        files.append(file.getvalue())
    return files


def read(
    codec: VideoCodec, data: bytes, known: Known, right: Sequence[Frame], sealed: bool, keep: bool
) -> str:
    """What decoding an input comes to."""
    reader = ChunkReader(data, damaged="keep" if keep else "refuse", kinds=SEQUENCES)
    decoder = RememberingDecoder(codec, reader, known, learn=False)
    count = 0
    for shown in decoder:
        count += 1
        if count > MOST_FRAMES:
            raise NeverRightError(f"more than {MOST_FRAMES} frames")
        if sealed or shown.lost:
            continue
        expected = right[shown.number]
        if not all(np.array_equal(a, b) for a, b in zip(shown.picture, expected, strict=True)):
            raise NeverRightError(f"frame {shown.number} is another")
    if not sealed and not keep:
        raise NeverRightError("a damaged file passes for sound")
    if decoder.lost or reader.cut is not None:
        return "frames lost"
    return "frames" if count else "no frame"


def measure(options: argparse.Namespace) -> bool:
    """Decode inputs until there were enough of them or it took too long."""
    codec, rng, known = small_codec("bidirectional"), random.Random(options.seed), Known()
    files = sound_files(codec)
    right = [
        [shown.picture for shown in RememberingDecoder(codec, ChunkReader(data), known, learn=True)]
        for data in files
    ]
    tallies = {"from outside": Tally(), "sealed": Tally()}
    before, start, count = resident(), time.perf_counter(), 0
    most = 0
    while count < options.inputs and time.perf_counter() - start < options.seconds:
        number, sealed = rng.randrange(len(files)), rng.random() < 2 / 3
        sound = files[number]
        if sealed:
            data = seal(sound[:PREAMBLE_BYTES], mutate_chunks(split(sound), rng))
        else:
            data = mutate(sound, rng)
        decode = partial(read, codec, data, known, right[number], sealed, rng.random() < 0.5)
        tally = tallies["sealed" if sealed else "from outside"]
        tally.attempt(data, decode, SLOWEST_SECONDS, clock=time.process_time, watched=False)
        count += 1
        if count % 1000 == 0:
            most = max(most, resident())
    seconds, growth = time.perf_counter() - start, max(most, resident()) - before
    print(f"{count} inputs of {', '.join(str(len(data)) for data in files)} bytes and thereabouts")
    print(f"in {seconds:.0f} s, memory grew by {growth / 1e6:.1f} MB\n")
    print(f"{'damage':13s} {'inputs':>8s} {'failures':>8s} {'slowest':>9s}  outcomes")
    failures = 0
    for name, tally in tallies.items():
        failures += len(tally.failures)
        shown = f"{tally.outcomes.total():8d} {len(tally.failures):8d} {tally.slowest:7.3f} s"
        print(f"{name:13s} {shown}  {tally.in_words()}")
        for failure in tally.failures[:5]:
            print(f"  {failure}")
    return not failures and growth <= GROWTH and count > 0
