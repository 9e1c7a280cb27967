"""`kodec demo`: a picture to real files and back, beside JPEG of the same size."""

import argparse
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kodec.native import InvalidInputError, KodecError

from . import usage
from .demo_pictures import Pixels, best_jpeg, panel
from .progress import progress

if TYPE_CHECKING:
    from kodec.codecs import Codec

QUALITIES = (8, 24, 40)
_FIT_SECONDS = 30
_FACE = (slice(20, 308), slice(90, 410))
"""Rows and columns of the side-by-side picture's details."""


@dataclass(frozen=True)
class Row:
    """One quality: what it took, what came of it, and JPEG beside it."""

    name: str
    """Of the `.kdc` file in the demo's folder."""
    quality: int
    size: int
    """Bytes."""
    psnr: float
    encode_ms: float
    decode_ms: float
    decoded: Pixels
    jpeg: Pixels
    jpeg_size: int
    jpeg_psnr: float


def add_to(commands: "argparse._SubParsersAction[usage.Parser]") -> None:
    """Add the command's parser."""
    demo_ = commands.add_parser("demo", help="the main job, end to end", description=_DEMO)
    demo_.add_argument(
        "--output",
        metavar="FOLDER",
        type=usage.path,
        default=Path("kodec-demo"),
        help="where files go (./kodec-demo)",
    )
    other = demo_.add_mutually_exclusive_group()
    other.add_argument(
        "--fit",
        metavar="SECONDS",
        type=usage.positive,
        nargs="?",
        const=_FIT_SECONDS,
        help=f"fit a network to a small picture instead, for so long ({_FIT_SECONDS})",
    )
    other.add_argument(
        "--video", action="store_true", help="a clip instead, drawn by code, beside x264"
    )
    demo_.set_defaults(run=demo)
    usage.add_global_options(demo_)


def demo(options: argparse.Namespace) -> None:
    """Run the demo with the embedded default model and print its table."""
    folder: Path = options.output
    if folder.exists() and not folder.is_dir():
        raise InvalidInputError(f"{folder} is not a folder; name another --output")
    if options.fit is not None:
        from .fitted_demo import fitted_demo

        return fitted_demo(folder, options.fit, options.quiet)
    if options.video:
        from . import video_demo

        print("\n".join(video_demo.run(folder)))
        print(
            "\nEvery file was read back and decoded to exactly the frames that the encoder showed. "
            f"In\n{folder}: original.mkv, the .kdc files and what they decode to. Try next:\n"
            f"  kodec encode {folder}/original.mkv my.kdc --bitrate 300k\n"
            "  kodec decode my.kdc my.mkv"
        )
        return
    pixels = sample_picture()
    from kodec.codecs import load

    codec = load()
    folder.mkdir(parents=True, exist_ok=True)
    with progress(options.quiet) as show:
        rows = []
        for number, quality in enumerate(QUALITIES):
            show(number, len(QUALITIES), f"quality {quality}")
            rows.append(round_trip(codec, pixels, quality, folder))
    _write_side_by_side(pixels, rows, folder / "side-by-side.png")
    height, width, _ = pixels.shape
    print(f"Grace Hopper, {width}x{height}, RGB, with the model {codec.name}:\n")
    print("\n".join(table(rows, width * height)))
    print(
        f"\nEvery file was read back and decoded to exactly the encoder's pixels. In {folder}: the "
        "original,\nthe .kdc files and what they decode to, and side-by-side.png. Try next:\n"
        f"  kodec encode {folder}/original.png my.kdc --target-bpp 0.5 --verify\n"
        "  kodec info my.kdc\n"
        "  kodec decode my.kdc my.png"
    )


def sample_picture() -> Pixels:
    """The demo's picture, (H, W, 3): matplotlib's sample, a public-domain portrait of Grace Hopper.

    It is cut off the grid of the JPEG file it comes from, which JPEG would profit from here.
    """
    from matplotlib import cbook

    from kodec.codecs import read_plain_picture

    path = cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)
    return np.ascontiguousarray(read_plain_picture(str(path)).pixels[5:-3, 3:-5])


def round_trip(codec: "Codec", pixels: Pixels, quality: int, folder: Path) -> Row:
    """Encode to a file in `folder`, decode that file to a PNG there, and check both.

    Raises KodecError if the decoded pixels are not the encoder's own reconstruction.
    """
    from kodec.codecs import Picture, read_plain_picture, write_atomically, write_picture
    from kodec.eval import psnr

    picture = Picture(pixels)
    original = folder / "original.png"
    write_picture(original, picture)
    codec.encode_picture(picture, quality)  # Warms up what the first picture of a size would pay.
    path = folder / f"quality-{quality}.kdc"
    start = time.perf_counter()
    encoded = codec.encode_picture(picture, quality)
    encode_ms = 1e3 * (time.perf_counter() - start)
    write_atomically(path, encoded.data)
    data = path.read_bytes()
    start = time.perf_counter()
    decoded = codec.decode_picture(data)
    decode_ms = 1e3 * (time.perf_counter() - start)
    write_picture(path.with_suffix(".png"), decoded)
    shown = read_plain_picture(path.with_suffix(".png")).pixels
    if not np.array_equal(shown, encoded.reconstruction.pixels):
        raise KodecError(
            f"{path} does not decode to the encoder's reconstruction; please report it"
        )
    jpeg_size, jpeg = best_jpeg(pixels, len(data))
    return Row(
        name=path.name,
        quality=quality,
        size=len(data),
        psnr=psnr(pixels, shown),
        encode_ms=encode_ms,
        decode_ms=decode_ms,
        decoded=shown,
        jpeg=jpeg,
        jpeg_size=jpeg_size,
        jpeg_psnr=psnr(pixels, jpeg),
    )


def table(rows: list[Row], pixels: int) -> list[str]:
    """The rows as aligned lines."""
    lines = [
        "quality     bytes     bpp   PSNR dB  encode ms  decode ms  |  JPEG bytes   PSNR dB",
    ]
    for row in rows:
        lines.append(
            f"{row.quality:>7} {row.size:>9,} {8 * row.size / pixels:>7.3f} {row.psnr:>9.2f} "
            f"{row.encode_ms:>10.0f} {row.decode_ms:>10.0f}  |  {row.jpeg_size:>10,} "
            f"{row.jpeg_psnr:>9.2f}"
        )
    return lines


def _write_side_by_side(pixels: Pixels, rows: list[Row], path: Path) -> None:
    """A detail of the original, of each quality and of its JPEG, with captions."""
    from kodec.codecs import Picture, write_picture

    lines = []
    for row in rows:
        panels = (
            ("original", pixels),
            (f"kodec, {row.size:,} bytes, {row.psnr:.1f} dB", row.decoded),
            (f"JPEG, {row.jpeg_size:,} bytes, {row.jpeg_psnr:.1f} dB", row.jpeg),
        )
        lines.append(np.hstack([panel(caption, shown[_FACE]) for caption, shown in panels]))
    write_picture(path, Picture(np.vstack(lines)))


_DEMO = (
    "Encode a sample picture at three qualities to real files, decode them, check every pixel, "
    "and compare with JPEG files of about the same size. With --fit: the same of a network that "
    "is fitted to a picture."
)
