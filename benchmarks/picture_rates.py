"""Bits of single files against other codecs' at the files' own PSNR.

    python benchmarks/picture_rates.py kodim23=FILE.kdc kodim05=BYTES@PSNR --pictures FOLDER
        --against avif.json+more.json,x265.json,... [--logs LOG,...]

Each file is decoded (or its size and PSNR are given) and held against the picture of that name in
the folder; others' bits at its PSNR are interpolated by pchip over the logarithm of bpp, from the
picture's own rows of results (`kodec eval`). Logs of VTM (4:4:4, BT.709 of full range) have PSNRs
of Y, U and V alone: what RGB has follows if their errors are uncorrelated, and by how much they are
not is measured with x265 on the same picture; the table has both.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator  # type: ignore[import-untyped]

from kodec.codecs import read_picture
from kodec.codecs.fitted import read_fitted
from kodec.eval import psnr, read_results
from kodec.eval.baselines import Baseline
from kodec.eval.readers import read_curve_sets
from kodec.native import InvalidInputError
from reporting import parser_of, run

Pixels = NDArray[np.uint8]
Points = Sequence[tuple[float, float]]
"""PSNR of RGB, bits per pixel."""

# Of BT.709: R = Y + R_V V, B = Y + B_U U, G = Y - G_U U - G_V V.
R_V, B_U, G_U, G_V = 1.5748, 1.8556, 0.1873, 0.4681
LUMA = np.array([0.2126, 0.7152, 0.0722])
QPS = (20, 24, 29, 34, 39)


def error_of_rgb(y: Any, u: Any, v: Any) -> Any:
    """The mean squared error of R, G and B from those of Y, U and V, if these are uncorrelated."""
    return y + (B_U**2 + G_U**2) / 3 * u + (R_V**2 + G_V**2) / 3 * v


def decibels(error: Any) -> Any:
    """PSNR of 8 bits."""
    return 10 * np.log10(255**2 / error)


def yuv_of(pixels: Pixels) -> NDArray[np.float64]:
    """8-bit Y, U, V as floats."""
    rgb = pixels.astype(np.float64)
    y = rgb @ LUMA
    planes = [y, (rgb[..., 2] - y) / B_U + 128, (rgb[..., 0] - y) / R_V + 128]
    found: NDArray[np.float64] = np.stack(planes, -1).round().clip(0, 255)
    return found


def correlation(pixels: Pixels) -> tuple[list[float], list[float]]:
    """By rising PSNR: what x265's error is of the one that `error_of_rgb` gives."""
    codec, found = Baseline("x265", structure="intra").open(), []
    for qp in QPS:
        shown = codec.decode(codec.encode(pixels, qp))
        planes = ((yuv_of(pixels) - yuv_of(shown)) ** 2).mean((0, 1))
        real = float(((pixels.astype(np.float64) - shown) ** 2).mean())
        found.append((float(decibels(real)), real / error_of_rgb(*planes)))
    psnrs, ratios = zip(*sorted(found), strict=True)
    return list(psnrs), list(ratios)


def of_logs(paths: Sequence[Path], pixels: Pixels, name: str) -> dict[str, Points]:
    """A picture's points in VTM's logs, with uncorrelated errors and as x265's are."""
    height, width, _ = pixels.shape
    own = [path for path in paths if name in path.name]
    if not own:
        return {}
    (curve,) = read_curve_sets(own)
    curve = curve.sized((width, height), None)
    errors = (255**2 / 10 ** (np.array(curve.metrics[f"psnr-{plane}"]) / 10) for plane in "yuv")
    plain = error_of_rgb(*errors)
    corrected = plain * np.interp(decibels(plain), *correlation(pixels))
    return {
        f"vtm, {how}": list(zip(decibels(error).tolist(), curve.rates, strict=True))
        for how, error in (("uncorrelated", plain), ("as x265", corrected))
    }


def of_results(files: str, name: str) -> Points:
    """A picture's points in results files, which have a + between them."""
    paths = [Path(file) for file in files.split("+")]
    found = [row for path in paths for row in read_results(path).per_image]
    rows = [row for row in found if Path(row.image).stem == name]
    return [(row.metrics["psnr-rgb"], row.bpp) for row in rows]


def difference(bpp: float, quality: float, points: Points) -> float | None:
    """Bits against the others' at that quality, in percent; None where they have no such one."""
    psnrs, rates = zip(*sorted(points), strict=True)
    if not psnrs[0] <= quality <= psnrs[-1]:
        return None
    return float(100 * (bpp / np.exp(PchipInterpolator(psnrs, np.log(rates))(quality)) - 1))


def in_words(percent: float | None) -> str:
    """A difference as text."""
    return "beyond" if percent is None else f"{percent:+.1f} %"


def measured(file: str, pixels: Pixels) -> tuple[int, float]:
    """Bytes and PSNR: of a file, or as they are given, BYTES@PSNR."""
    size, given, quality = file.partition("@")
    if given and size.isdecimal():
        return int(size), float(quality)
    data = Path(file).read_bytes()
    return len(data), psnr(pixels, read_fitted(data).reconstruction.frame(0))


def paths_of(text: str) -> list[Path]:
    """Paths with commas between them."""
    return [Path(part) for part in text.split(",")]


def main() -> int:
    """Print the table."""
    parser = parser_of(__doc__)
    parser.add_argument("files", metavar="NAME=FILE", nargs="+")
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--against", type=lambda text: text.split(","), default=[])
    parser.add_argument("--logs", type=paths_of, default=[])
    options: argparse.Namespace = parser.parse_args()
    for given in options.files:
        name, _, file = given.partition("=")
        if not file:
            raise InvalidInputError(f"a file is given as NAME=FILE, not {given}")
        pixels = read_picture(options.pictures / f"{name}.png").pixels
        size, quality = measured(file, pixels)
        bpp = 8 * size / (pixels.shape[0] * pixels.shape[1])
        print(f"{file}: {size:,} bytes, {bpp:.4f} bpp, {quality:.3f} dB")
        others = {files: of_results(files, name) for files in options.against}
        for other, points in {**others, **of_logs(options.logs, pixels, name)}.items():
            if points:
                print(f"  against {other}: {in_words(difference(bpp, quality, points))}")
    return 0


if __name__ == "__main__":
    run(main, "picture_rates.py")
