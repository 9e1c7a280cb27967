"""What a video is coded with so that it meets a rate or a PSNR: passes over the input."""

import argparse
import math
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from kodec.native import InvalidInputError, KodecError

from .progress import Show
from .usage import HIGHEST_QUALITY

if TYPE_CHECKING:
    from kodec.codecs.sequences.structures import Structure
    from kodec.codecs.sequences.video_codec import VideoCodec
    from kodec.codecs.sequences.video_encoder import Coding
    from kodec.codecs.video_files.video import Video

    from .video_coding import Tally

_ALLOWED = {1: 0.05, 2: 0.02}
"""How far from the rate a file may be before it is said, by passes."""


def coding_for(
    codec: "VideoCodec",
    video: "Video",
    structure: "Structure",
    options: argparse.Namespace,
    show: Show,
) -> "Coding":
    """What the options ask for, found by coding the video beforehand where that is needed."""
    from kodec.codecs.sequences.rate_control import RateControl
    from kodec.codecs.sequences.video_encoder import Coding

    coding = Coding(
        codec.check_quality(options.quality),
        structure,
        options.intra_period,
        not options.no_scene_cuts,
    )
    flag = "--bitrate" if options.bitrate is not None else "--target-psnr"
    if options.bitrate is None and options.target_psnr is None:
        return coding
    if not codec.variable_rate:
        raise InvalidInputError(f"the model {codec.name} has one fixed rate: leave {flag} out")
    if options.target_psnr is not None:
        return replace(coding, quality=_quality_for(codec, video, coding, options, show))
    fps = float(video.form.fps)
    again = options.passes > 1
    control = RateControl(options.bitrate / fps, fps, video.count, remember=again)
    if not again:
        return replace(coding, control=control)
    _measured(codec, video, replace(coding, control=control), show, "--passes 2")
    second = RateControl(options.bitrate / fps, fps, len(control.steps), control.steps)
    return replace(coding, control=second)


def rate_missed(tally: "Tally", options: argparse.Namespace) -> str | None:
    """What to say where the file is not of the rate that was asked for; None where it is."""
    if options.bitrate is None or tally.interrupted:
        return None
    by = tally.bits_per_second / options.bitrate - 1
    if abs(by) <= _ALLOWED[options.passes]:
        return None
    asked, side = f"{options.bitrate / 1000:,.1f} kbit/s", "above" if by > 0 else "below"
    line = f"the file is {100 * abs(by):.1f} % {side} the {asked} asked for"
    qualities = tally.qualities or range(1)
    end, word = (0, "fewer") if by > 0 else (HIGHEST_QUALITY, "more")
    if end not in qualities:
        return f"{line}: whole qualities come no nearer in so few frames"
    again = options.passes == 1 and len(qualities) > 1
    nearer = "; --passes 2 may come nearer" if again else ""
    return f"{line}: at quality {end} its frames take no {word} bits{nearer}"


def _quality_for(
    codec: "VideoCodec",
    video: "Video",
    coding: "Coding",
    options: argparse.Namespace,
    show: Show,
) -> int:
    """The lowest quality whose mean PSNR reaches the target."""
    from kodec.codecs import lowest_quality

    found = lowest_quality(
        lambda quality: _measured(
            codec, video, replace(coding, quality=quality), show, "--target-psnr"
        ),
        lambda tally: tally.psnr >= options.target_psnr,
    )
    if found.reached:
        return found.quality
    best = math.floor(found.trial.psnr * 100) / 100
    raise KodecError(
        f"{options.input}: {options.target_psnr:g} dB is out of reach: quality {found.quality} "
        f"gives {best:.2f} dB; give --target-psnr {best:.2f} or less"
    )


def _measured(
    codec: "VideoCodec", video: "Video", coding: "Coding", show: Show, flag: str
) -> "Tally":
    """Code the video, keeping nothing of it."""
    from .video_coding import PIPE, code

    if video.path == PIPE:
        raise InvalidInputError(f"{flag} codes a video more than once, and a pipe comes once")
    with open(os.devnull, "wb") as nowhere:
        tally = code(codec, video, coding, nowhere, show)
    if tally.interrupted:
        raise KeyboardInterrupt
    return tally
