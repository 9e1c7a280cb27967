"""What came of coding one file."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FileFigures:
    """Of one coded file: its bytes, the size of its frames, their number, their mean PSNR in dB.

    A PSNR is infinite without loss, and None where it was not measured, as in decoding.
    """

    bytes: int
    width: int
    height: int
    frames: int = 1
    psnr: float | None = None

    @property
    def pixels(self) -> int:
        """Of all frames."""
        return self.width * self.height * self.frames

    @property
    def bpp(self) -> float:
        """Bits per pixel of the whole file."""
        return 8 * self.bytes / self.pixels
