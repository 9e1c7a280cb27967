"""`kodec demo --fit`: a network fitted to a picture, beside the default model and JPEG."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kodec.native import KodecError

from .demo_pictures import Pixels, best_jpeg, panel
from .progress import progress

if TYPE_CHECKING:
    from kodec.codecs.fitted import Budget, Fit

FAMILY, PRESET = "cool-chic", "lop"
QUALITY = 32
_ENLARGED = 2


@dataclass(frozen=True)
class Coded:
    """What one codec made of the picture. encode, decode: seconds; None where they say nothing."""

    name: str
    size: int
    psnr: float
    shown: Pixels
    encode: float | None = None
    decode: float | None = None
    macs_per_pixel: float | None = None


@dataclass(frozen=True)
class Fitted:
    """The fitted file: what it is beside the others, its fit and its bytes by part."""

    coded: Coded
    run: "Fit"
    bytes_by_part: dict[str, float]


def fitted_demo(folder: Path, seconds: float, quiet: bool) -> None:
    """Fit for so many seconds, write the files, and print the table."""
    from kodec.codecs.fitted import Budget

    pixels = rendered_picture()
    folder.mkdir(parents=True, exist_ok=True)
    fitted = fit_to_file(pixels, Budget(minutes=seconds / 60), folder, quiet)
    others = [_default_model(pixels, fitted.coded.size), _jpeg(pixels, fitted.coded.size)]
    write_side_by_side(pixels, [fitted.coded, *others], folder / "side-by-side.png")
    height, width, _ = pixels.shape
    done, took = fitted.run.done, f"{fitted.run.seconds:.0f} s"
    print(f"A rendered picture, {width}x{height}, fitted by {done} steps in {took}:\n")
    print("\n".join(table([fitted.coded, *others], width * height)))
    parts = ", ".join(f"{name} {taken:,.0f}" for name, taken in fitted.bytes_by_part.items())
    print(
        f"\nBytes by part: {parts}.\nThe file was read back and decoded to exactly the encoder's "
        f"pixels. In {folder}: the original,\nthe .kdc file, what it decodes to, and "
        "side-by-side.png. Try next:\n"
        f"  kodec encode photo.png photo.kdc --model {FAMILY} --minutes 10 --verify"
    )


def rendered_picture() -> Pixels:
    """A landscape with a sun, (128, 192, 3): slopes, edges, and grain that nothing predicts."""
    y, x = np.mgrid[0:128, 0:192].astype(np.float64)
    noise = np.random.default_rng(18).normal(size=(3, 128, 192))
    sky = np.stack([90 + 0.9 * y, 140 + 0.5 * y, 215 - 0.3 * y])
    sun = np.hypot(x - 140, y - 34) < 15
    picture = np.where(sun, np.array([250, 226, 150])[:, None, None], sky)
    for depth, (level, swing, colour) in enumerate(
        [(66, 13, (108, 124, 148)), (84, 10, (84, 118, 88)), (104, 7, (58, 84, 44))]
    ):
        ridge = level + swing * np.sin(x / (23 - 5 * depth) + 2 * depth) + 3 * np.sin(x / 5 + depth)
        grain = (2 + 5 * depth) * noise[depth] * (0.6 + 0.4 * np.sin(x / 3) * np.sin(y / 4))
        hill = np.array(colour, np.float64)[:, None, None] + grain
        picture = np.where(y > ridge, hill, picture)
    rounded: Pixels = np.clip(np.rint(picture), 0, 255).astype(np.uint8).transpose(1, 2, 0)
    return np.ascontiguousarray(rounded)


def fit_to_file(pixels: Pixels, budget: "Budget", folder: Path, quiet: bool) -> Fitted:
    """Fit, write `fitted.kdc` into the folder, decode that file to a PNG there, and check both.

    Raises `KodecError` if the decoded pixels are not the encoder's own reconstruction.
    """
    from kodec.codecs import Picture, read_picture, write_atomically, write_picture
    from kodec.codecs.fitted import Clip, FittedCodec, read_fitted
    from kodec.eval import psnr

    write_picture(folder / "original.png", Picture(pixels))
    path = folder / "fitted.kdc"
    began = time.perf_counter()
    with progress(quiet) as show:
        fitted = FittedCodec(FAMILY, budget, preset=PRESET).fit(Clip(pixels[None]), QUALITY, show)
    encode = time.perf_counter() - began
    write_atomically(path, fitted.data)
    data = path.read_bytes()
    began = time.perf_counter()
    found = read_fitted(data)
    decoded = found.reconstruction.frame(0)
    decode = time.perf_counter() - began
    write_picture(path.with_suffix(".png"), Picture(decoded))
    shown = read_picture(path.with_suffix(".png")).pixels
    if not np.array_equal(shown, fitted.reconstruction.frame(0)):
        raise KodecError(
            f"{path} does not decode to the encoder's reconstruction; please report it"
        )
    macs = found.model.cost().macs_per_pixel
    coded = Coded(FAMILY, len(data), psnr(pixels, shown), shown, encode, decode, macs)
    return Fitted(coded, fitted.run, found.bytes_by_part(len(data)))


def _default_model(pixels: Pixels, size: int) -> Coded:
    """The default model's best file of at most that size, or its smallest."""
    from kodec.codecs import highest_quality, load
    from kodec.eval import psnr

    codec = load()
    codec.decode(codec.encode(pixels, QUALITY))  # Warms up what the first picture would pay.

    def trial(quality: int) -> tuple[bytes, float]:
        began = time.perf_counter()
        return codec.encode(pixels, quality), time.perf_counter() - began

    data, encode = highest_quality(trial, lambda found: len(found[0]) <= size).trial
    began = time.perf_counter()
    shown = codec.decode(data)
    decode = time.perf_counter() - began
    return Coded("default model", len(data), psnr(pixels, shown), shown, encode, decode)


def _jpeg(pixels: Pixels, size: int) -> Coded:
    from kodec.eval import psnr

    taken, shown = best_jpeg(pixels, size)
    return Coded("JPEG", taken, psnr(pixels, shown), shown)


def table(rows: list[Coded], pixels: int) -> list[str]:
    """The rows as aligned lines."""
    heads = ("bytes", "bpp", "PSNR dB", "encode s", "decode s", "MAC a pixel")
    lines = [f"{'':<14}" + "".join(f"{head:>12}" for head in heads)]
    for row in rows:
        cells = [f"{row.size:,}", f"{8 * row.size / pixels:.3f}", f"{row.psnr:.2f}"]
        cells += ["" if taken is None else f"{taken:.3g}" for taken in (row.encode, row.decode)]
        cells += ["" if row.macs_per_pixel is None else f"{row.macs_per_pixel:,.0f}"]
        lines.append(f"{row.name:<14}" + "".join(f"{cell:>12}" for cell in cells).rstrip())
    return lines


def write_side_by_side(pixels: Pixels, rows: list[Coded], path: Path) -> None:
    """The picture and what each codec made of it, enlarged, with captions: two lines of two."""
    from kodec.codecs import Picture, write_picture

    panels = [panel("original", _enlarged(pixels))]
    for row in rows:
        panels.append(
            panel(f"{row.name}, {row.size:,} bytes, {row.psnr:.1f} dB", _enlarged(row.shown))
        )
    lines = [np.hstack(panels[start : start + 2]) for start in range(0, len(panels), 2)]
    write_picture(path, Picture(np.vstack(lines)))


def _enlarged(pixels: NDArray[np.uint8]) -> Pixels:
    return pixels.repeat(_ENLARGED, 0).repeat(_ENLARGED, 1)
