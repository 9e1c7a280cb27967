"""Which metrics are measured, by the names of results files.

Pictures: `psnr-rgb` from the squared error over all samples of R, G and B; `ms-ssim-rgb` the mean
of the three channels' MS-SSIM. The YUV metrics of pictures are taken of the unrounded BT.709
full-range conversion of both 8-bit RGB pictures, at 4:4:4 (of a gray picture, Y is the picture).
Frames of video: of the stored planes, nothing is converted; a sequence has the mean over its
frames of each frame's value.

A set has the mean over its pictures or sequences. `ms-ssim-db-*` is -10 log10(1 - x) of the set's
mean of MS-SSIM. `yuv_psnrs` says what the YUV-PSNRs are.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from kodec.codecs.video_files.colour_conversion import rgb_to_yuv
from kodec.codecs.video_files.frames import Frame, VideoFormat, frame_of_picture
from kodec.native import InvalidInputError, UnsupportedError

from .lpips import LPIPS_SMALLEST_SIDE, lpips, why_no_lpips
from .picture_metrics import (
    MS_SSIM_SMALLEST_SIDE,
    fits_ms_ssim,
    mean_squared_error,
    ms_ssim,
    ms_ssim_of_plane,
    psnr,
    yuv_psnrs,
)
from .vmaf import vmaf, why_no_vmaf

_YUV = (
    "psnr-y",
    "psnr-u",
    "psnr-v",
    "psnr-yuv-611",
    "psnr-yuv-411",
    "psnr-yuv-mse-411",
    "psnr-yuv-mse-111",
)
PICTURE_METRICS = ("psnr-rgb", *_YUV, "ms-ssim-rgb", "ms-ssim-y", "lpips", "vmaf")
VIDEO_METRICS = (*_YUV, "ms-ssim-y", "vmaf")
_OPTIONAL = {"lpips": why_no_lpips, "vmaf": why_no_vmaf}
_SMALLEST_SIDES = {
    "ms-ssim-rgb": MS_SSIM_SMALLEST_SIDE,
    "ms-ssim-y": MS_SSIM_SMALLEST_SIDE,
    "lpips": LPIPS_SMALLEST_SIDE,
}
_OF_COLOUR = frozenset(_YUV) - {"psnr-y"}


def usual_metrics(video: bool) -> list[str]:
    """What is measured when nothing is asked for: all that needs neither weights nor a program."""
    names = VIDEO_METRICS if video else PICTURE_METRICS
    return [name for name in names if name not in _OPTIONAL]


def check_metrics(names: Sequence[str], video: bool) -> tuple[list[str], list[str]]:
    """The metrics that `names` asks for, each once, and a note for each one `all` lacks here.

    `all` is every one that this machine can compute. MS-SSIM in dB comes with MS-SSIM. Raises
    InvalidInputError for an unknown name, UnsupportedError, with the reason, for one that is asked
    for by name and cannot be computed here.
    """
    known = VIDEO_METRICS if video else PICTURE_METRICS
    wanted, notes = [], []
    for name in names:
        name = name.replace("ms-ssim-db-", "ms-ssim-")
        if name == "all":
            absent = {other: why for other, check in _OPTIONAL.items() if (why := check())}
            wanted += [other for other in known if other not in absent]
            notes += [f"{other} left out: {absent[other]}" for other in known if other in absent]
        elif name not in known:
            of = "video" if video else "pictures"
            raise InvalidInputError(f"no metric {name!r} of {of}: choose from {', '.join(known)}")
        elif name in _OPTIONAL and (why := _OPTIONAL[name]()):
            raise UnsupportedError(f"{name} cannot be computed here: {why}")
        else:
            wanted.append(name)
    return list(dict.fromkeys(wanted)), notes


def why_without(name: str) -> str:
    """What pictures or frames are that cannot have a metric."""
    return f"below {_SMALLEST_SIDES[name]} pixels" if name in _SMALLEST_SIDES else "gray"


def can_have(name: str, height: int, width: int, gray: bool) -> bool:
    """Whether a picture or frame can have a metric."""
    return min(height, width) >= _SMALLEST_SIDES.get(name, 0) and not (gray and name in _OF_COLOUR)


def measure_picture(
    picture: NDArray[np.uint8], decoded: NDArray[np.uint8], names: Sequence[str]
) -> dict[str, float]:
    """The metrics of a picture (H, W, C) that it can have: no MS-SSIM below 161 pixels, no LPIPS
    below 64, no U and V of gray. Raises InvalidInputError when the shapes differ; KodecError where
    a program fails that computes one.
    """
    found = {"psnr-rgb": psnr(picture, decoded)}
    gray = picture.shape[2] == 1
    height, width, _ = picture.shape
    names = [name for name in names if can_have(name, height, width, gray)]
    if any(name in names for name in (*_YUV, "ms-ssim-y")):
        a, b = (
            image.astype(np.float64) if gray else rgb_to_yuv(image) for image in (picture, decoded)
        )
        planes = range(a.shape[2])
        found |= yuv_psnrs([mean_squared_error(a[..., i], b[..., i]) for i in planes], 255)
        if "ms-ssim-y" in names:
            found["ms-ssim-y"] = ms_ssim_of_plane(a[..., 0], b[..., 0], 255)
    if "ms-ssim-rgb" in names:
        found["ms-ssim-rgb"] = ms_ssim(picture, decoded)
    if "lpips" in names:
        found["lpips"] = lpips(picture, decoded)
    if "vmaf" in names:
        form = VideoFormat(width, height, "444")
        # libvmaf takes no 4:0:0.
        colour = [np.broadcast_to(image, (height, width, 3)) for image in (picture, decoded)]
        frames = [frame_of_picture(image, "444") for image in colour]
        found["vmaf"] = vmaf([frames[0]], [frames[1]], form)
    return {name: found[name] for name in names if name in found}


def measure_frame(
    frame: Frame, decoded: Frame, form: VideoFormat, names: Iterable[str]
) -> dict[str, float]:
    """The metrics of one frame. Raises InvalidInputError when formats differ."""
    if [plane.shape for plane in frame] != [plane.shape for plane in decoded]:
        raise InvalidInputError(
            f"decoded frames have planes of shape {[plane.shape for plane in decoded]}, not "
            f"{[plane.shape for plane in frame]}"
        )
    peak = 2**form.bit_depth - 1
    errors = [mean_squared_error(a, b) for a, b in zip(frame, decoded, strict=True)]
    found = yuv_psnrs(errors, peak)
    if "ms-ssim-y" in names and fits_ms_ssim(frame[0]):
        found["ms-ssim-y"] = ms_ssim_of_plane(frame[0], decoded[0], peak)
    return {name: found[name] for name in names if name in found}
