"""`kodec demo --video`: a clip drawn by code, to files and back, beside x264 of that size."""

import io
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kodec.native import KodecError

if TYPE_CHECKING:
    from kodec.codecs.sequences.video_codec import VideoCodec
    from kodec.codecs.video_files.frames import Frame, VideoFormat

QUALITIES = (16, 32, 48)
WIDTH, HEIGHT, FRAMES = 320, 240, 24
METRIC = "psnr-yuv-611"


@dataclass(frozen=True)
class Row:
    """One quality: what it took, what came of it, and x264 beside it."""

    name: str
    quality: int
    size: int
    """Bytes."""
    psnr: float
    """YUV 6:1:1, the mean over frames, dB."""
    encode_fps: float
    decode_fps: float
    x264_size: int
    x264_psnr: float


def drawn_clip(count: int = FRAMES) -> list[NDArray[np.uint8]]:
    """Pictures (H, W, 3): a textured ground that pans, a disc that crosses it, a light that fades.

    Drawn anew each time from a fixed seed.
    """
    rng = np.random.default_rng(20)
    ground = texture(rng, HEIGHT + 2 * count, WIDTH + 3 * count)
    disc = texture(rng, 2 * HEIGHT, 2 * WIDTH)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    frames = []
    for number in range(count):
        x = ground[number : number + HEIGHT, 2 * number : 2 * number + WIDTH]
        down, right = 90 + 2 * number, 60 + 6 * number
        edge = 48.5 - np.hypot(rows - down, columns - right)
        inside = np.clip(edge, 0, 1)[..., None]
        moved = disc[200 - down : 200 - down + HEIGHT, 260 - right : 260 - right + WIDTH]
        x = (1 - inside) * x + inside * (0.4 + 0.6 * moved[..., ::-1])
        light = 0.75 + 0.25 * np.exp(-((rows - 60) ** 2 + (columns - 200) ** 2) / 2e4)
        frames.append((255 * np.clip(x * light[..., None], 0, 1)).round().astype(np.uint8))
    return frames


def texture(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float64]:
    """(H, W, 3) in [0, 1], with detail of all sizes."""
    spectrum = np.fft.rfft2(rng.standard_normal((3, height, width)))
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)
    spectrum /= (0.004 + np.hypot(rows, columns)) ** 1.4
    # Mostly gray.
    spectrum[1:] = 0.75 * spectrum[:1] + 0.25 * spectrum[1:]
    noise = np.fft.irfft2(spectrum, (height, width))
    noise /= noise.std((1, 2), keepdims=True)
    return np.asarray(np.clip(0.5 + 0.2 * noise, 0, 1).transpose(1, 2, 0))


def run(folder: Path) -> list[str]:
    """Code the clip at all qualities; the table's lines. Raises KodecError for a wrong sample."""
    from kodec.codecs.sequences.video_codec import load_video
    from kodec.codecs.video_files.frames import VideoFormat
    from kodec.codecs.video_files.rgb_frames import frame_of_rgb

    form = VideoFormat(WIDTH, HEIGHT, "420", 8, Fraction(25))
    frames = [
        frame_of_rgb(np.ascontiguousarray(x.transpose(2, 0, 1)).astype(np.float32) / 255, form)
        for x in drawn_clip()
    ]
    codec = load_video()
    folder.mkdir(parents=True, exist_ok=True)
    write_clip(frames, form, folder / "original.mkv")
    lines = [
        f"A clip drawn by code, {WIDTH}x{HEIGHT}, {FRAMES} frames, with the model {codec.name}:\n",
        "quality     bytes   kbit/s   PSNR dB  encode fps  decode fps  |  x264 bytes   PSNR dB",
    ]
    for quality in QUALITIES:
        row = round_trip(codec, frames, form, quality, folder)
        rate = 8 * row.size * float(form.fps) / len(frames) / 1000
        lines.append(
            f"{row.quality:>7} {row.size:>9,} {rate:>8.1f} {row.psnr:>9.2f} "
            f"{row.encode_fps:>11.1f} {row.decode_fps:>11.1f}  |  {row.x264_size:>10,} "
            f"{row.x264_psnr:>9.2f}"
        )
    return lines


def round_trip(
    codec: "VideoCodec", frames: list["Frame"], form: "VideoFormat", quality: int, folder: Path
) -> Row:
    """Encode to a file in `folder`, decode that file, write what is shown, and check every sample.

    Raises KodecError if the decoder shows other frames than the encoder says.
    """
    from kodec.codecs import ChunkReader, Coding, write_atomically

    file, expected = io.BytesIO(), []
    start = time.perf_counter()
    with codec.encoder(
        *(file, form, Coding(quality)), on_step=lambda coded: expected.extend(coded.shown)
    ) as encoder:
        for frame in frames:
            encoder.push(frame)
    encode_fps = len(frames) / (time.perf_counter() - start)
    path = folder / f"quality-{quality}.kdc"
    write_atomically(path, file.getvalue())
    start = time.perf_counter()
    shown = [each.picture for each in codec.decoder(ChunkReader(path.read_bytes()))]
    decode_fps = len(frames) / (time.perf_counter() - start)
    same = len(shown) == len(expected) and all(
        np.array_equal(a, b)
        for one, other in zip(shown, expected, strict=True)
        for a, b in zip(one, other, strict=True)
    )
    if not same:
        raise KodecError(f"{path} does not decode to what the encoder showed; please report it")
    write_clip(shown, form, path.with_suffix(".mkv"))
    size = path.stat().st_size
    x264_size, x264_psnr = _x264(frames, form, size)
    return Row(
        *(path.name, quality, size, _psnr(frames, shown, form), encode_fps, decode_fps),
        *(x264_size, x264_psnr),
    )


def write_clip(frames: list["Frame"], form: "VideoFormat", path: Path) -> None:
    """A file without loss."""
    from kodec.codecs.video_files.video_writing import VideoWriter

    with VideoWriter(path, form, time_base=1 / form.fps) as writer:
        for number, frame in enumerate(frames):
            writer.write(frame, number / form.fps)


def _psnr(frames: list["Frame"], shown: list["Frame"], form: "VideoFormat") -> float:
    from kodec.eval.metrics.metric_set import measure_frame

    return float(
        np.mean(
            [
                measure_frame(a, b, form, [METRIC])[METRIC]
                for a, b in zip(frames, shown, strict=True)
            ]
        )
    )


def _x264(frames: list["Frame"], form: "VideoFormat", size: int) -> tuple[int, float]:
    """x264's best file (medium, low delay) of at most `size` bytes, or its smallest."""
    from kodec.codecs import lowest_quality
    from kodec.eval.baselines.libav_streams import LibavCodec

    x264 = LibavCodec("x264", "medium", "low-delay")

    def trial(qp: int) -> bytes:
        return x264.encode_sequence(frames, form, qp)

    data = lowest_quality(trial, lambda data: len(data) <= size, highest=51).trial
    return len(data), _psnr(frames, list(x264.decode_sequence(data)), form)
