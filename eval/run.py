"""Measuring a codec over pictures: the bytes it writes and what it makes of them."""

import os
import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from kodec.codecs import read_picture
from kodec.native import InvalidInputError, KodecError

from .metrics import fits_ms_ssim, ms_ssim, psnr
from .results import ImageRow, Results

Progress = Callable[[int, int, str], None]
"""Called with the files done, the files in all (pictures times qualities), and what comes next."""


class CodecLike(Protocol):
    """What can be measured: kodec's own codecs and adapters of others'."""

    @property
    def name(self) -> str:
        """What results and plots call it."""
        ...

    def encode(self, image: NDArray[np.uint8], quality: int | None) -> bytes:
        """The whole file for a picture (H, W, C); `quality` is None for the codec's only one."""
        ...

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """The picture (H, W, C), of the same shape, from the file alone."""
        ...


def evaluate(
    codec: CodecLike,
    images: Sequence[Path],
    qualities: Sequence[int | None] = (None,),
    description: str = "",
    progress: Progress | None = None,
) -> Results:
    """Encode and decode every picture at every quality; one point of the results per quality.

    A point holds means over the pictures: of bits per pixel (from whole files' bytes), of
    `psnr-rgb` in dB, of `ms-ssim-rgb` and of wall-clock seconds to encode and decode from and to
    memory. MS-SSIM is left out, with a note, when a picture is too small for it.

    Raises InvalidInputError without pictures or qualities, for a quality named twice and for a
    picture that cannot be read; UnsupportedError for one that is not 8-bit RGB or gray,
    BitstreamError for one that is damaged; KodecError, naming the picture, when the codec fails or
    returns a picture of another shape.
    """
    if not images or not qualities:
        raise InvalidInputError("nothing to measure: give at least one picture and one quality")
    if len(set(qualities)) != len(qualities):
        raise InvalidInputError("a quality is named twice: name each once")
    rows: list[ImageRow] = []
    # Picture by picture, so that each is read once and no more than one is held.
    for path in images:
        picture = _read(path)
        for quality in qualities:
            if progress is not None:
                label = path.name if quality is None else f"{path.name}, quality {quality}"
                progress(len(rows), len(images) * len(qualities), label)
            rows.append(_measure(codec, path, picture, quality))
    if progress is not None:
        progress(len(rows), len(rows), "done")
    small = sorted({row.image for row in rows if "ms-ssim-rgb" not in row.metrics})
    note = f"ms-ssim-rgb left out: {len(small)} of {len(images)} pictures are below 161 pixels"
    metrics = ["psnr-rgb"] if small else ["psnr-rgb", "ms-ssim-rgb"]
    points = [[row for row in rows if row.quality == quality] for quality in qualities]
    return Results(
        name=codec.name,
        description=description,
        results={
            "bpp": [_mean([row.bpp for row in point]) for point in points],
            **{m: [_mean([row.metrics[m] for row in point]) for point in points] for m in metrics},
            "encoding_time": [_mean([row.encoding_time for row in point]) for point in points],
            "decoding_time": [_mean([row.decoding_time for row in point]) for point in points],
        },
        quality=list(qualities),
        per_image=[row for point in points for row in point],
        machine=describe_machine(),
        notes=[note] if small else [],
    )


def describe_machine() -> dict[str, str | int]:
    """What times depend on: processor, cores, threads, and the versions of Python and torch."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "torch": str(torch.__version__),
        "python": platform.python_version(),
    }


def _measure(
    codec: CodecLike, path: Path, picture: NDArray[np.uint8], quality: int | None
) -> ImageRow:
    height, width = picture.shape[:2]
    try:
        start = time.perf_counter()
        data = codec.encode(picture, quality)
        encoded = time.perf_counter()
        decoded = codec.decode(data)
        finished = time.perf_counter()
        metrics = {"psnr-rgb": psnr(picture, decoded)}
        if fits_ms_ssim(picture):
            metrics["ms-ssim-rgb"] = ms_ssim(picture, decoded)
    except KodecError as error:
        raise KodecError(f"{codec.name} on {path}: {error}") from error
    return ImageRow(
        image=path.name,
        quality=quality,
        width=width,
        height=height,
        bytes=len(data),
        bpp=8 * len(data) / (width * height),
        metrics=metrics,
        encoding_time=encoded - start,
        decoding_time=finished - encoded,
    )


def _read(path: Path) -> NDArray[np.uint8]:
    try:
        return read_picture(path).pixels
    except OSError as error:
        raise InvalidInputError(f"cannot read {path}: {error.strerror}") from error


def _mean(numbers: Sequence[float]) -> float:
    return float(np.mean(numbers))


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()
