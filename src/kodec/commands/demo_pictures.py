"""What the demos show beside their own files: JPEG of a size, pictures with captions."""

import io

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


def best_jpeg(pixels: Pixels, size: int) -> tuple[int, Pixels]:
    """The best JPEG of at most `size` bytes, or the smallest there is: its bytes and its pixels."""
    from PIL import Image

    from kodec.codecs import decode_image, highest_quality

    def trial(quality: int) -> bytes:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=quality, optimize=True)
        return file.getvalue()

    data = highest_quality(trial, lambda data: len(data) <= size, highest=95).trial
    return len(data), decode_image(data, "JPEG")


def panel(caption: str, detail: Pixels) -> Pixels:
    """A picture on white, with its caption above."""
    from PIL import Image, ImageDraw

    height, width, _ = detail.shape
    shown = Image.new("RGB", (width + 8, height + 28), "white")
    shown.paste(Image.fromarray(detail), (4, 24))
    ImageDraw.Draw(shown).text((6, 7), caption, fill="black")
    return np.asarray(shown)
