"""`kodec encode --effort`: refinement at the encoder, and what fitted families share with it."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kodec.native import InvalidInputError, KodecError

from . import usage
from .progress import progress

if TYPE_CHECKING:
    from kodec.codecs import Codec, Encoded, Picture
    from kodec.codecs.fitted import Figures, Fit, Refined, RefiningCodec

STATE_SUFFIX = ".fit"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Of a command that encodes pictures."""
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument(
        "--effort",
        metavar="0..9",
        type=usage.effort,
        help="refine the latents before they are coded: 0 (the default) not at all, 9 for minutes; "
        "any decoder reads the file. Of a fitted family: how long to fit (5)",
    )
    budget.add_argument(
        "--minutes",
        metavar="M",
        type=usage.not_negative,
        help="refine or fit for so long a picture",
    )
    budget.add_argument(
        "--steps", metavar="N", type=usage.number, help="refine or fit for so many steps"
    )
    parser.add_argument(
        "--lambda",
        dest="lam",
        metavar="L",
        type=usage.positive,
        help="refine for bits per pixel + L x 255^2 MSE, not for what the model was trained for",
    )
    parser.add_argument(
        "--schedule", metavar="FILE", type=usage.path, help="refine by this schedule (YAML)"
    )


def wanted(options: argparse.Namespace) -> bool:
    """Whether there is anything to refine; refuses options that then mean nothing."""
    if options.effort or options.minutes is not None or options.steps is not None:
        return True
    for option, value in (("--lambda", options.lam), ("--schedule", options.schedule)):
        if value is not None:
            raise InvalidInputError(
                f"{option} is for refinement: give --effort, --minutes or --steps too"
            )
    if getattr(options, "resume", False):
        raise InvalidInputError("--resume is for refinement: give the same --effort or --minutes")
    return False


def refining_codec(codec: "Codec", options: argparse.Namespace) -> "RefiningCodec":
    """The codec with the budget that the options give."""
    from kodec.codecs import Objective
    from kodec.codecs.fitted import Budget, RefiningCodec, latent_schedule, usual_schedule

    if options.schedule is None:
        schedule = usual_schedule(codec)
    else:
        schedule = latent_schedule(path=options.schedule)
    if options.effort is None:
        budget = Budget(options.steps, options.minutes)
    elif options.effort >= len(schedule.steps):
        raise InvalidInputError(
            f"{options.schedule} has efforts up to {len(schedule.steps) - 1}: give one of them"
        )
    else:
        budget = Budget(steps=schedule.steps[options.effort])
    objective = None if options.lam is None else Objective("mse", options.lam, options.lam)
    return RefiningCodec(codec, budget, schedule, objective)


def load_refining(model: str, options: argparse.Namespace) -> "RefiningCodec":
    """The same of a model by name or file; for processes that measure."""
    from kodec.codecs import load

    return refining_codec(load(model, options.device, options.trust), options)


def refine(
    codec: "Codec",
    picture: "Picture",
    quality: int | None,
    plain: "Encoded | None",
    accept: "Callable[[Figures], bool]",
    options: argparse.Namespace,
) -> "Refined":
    """Refine one picture, with a bar, and a state beside the output."""
    refining = refining_codec(codec, options)
    state = state_of(options.output)
    with progress(options.quiet) as show:
        return refining.refine(picture, quality, show, accept, state, options.resume, plain)


def state_of(output: Path) -> Path:
    """Where a fit is kept, until the output is written."""
    return output.with_name(output.name + STATE_SUFFIX)


def conclude(run: "Fit", output: Path) -> None:
    """What was fitted is written: its fit is kept, and `KodecError` raised, if interrupted."""
    if run.interrupted:
        steps = f"{run.done} of {run.steps}" if run.steps else f"{run.done}"
        raise KodecError(
            f"interrupted after {steps} steps: {output} is the best so far; give the same command "
            "with --resume to go on"
        )
    state_of(output).unlink(missing_ok=True)


def gain_in_words(refined: "Refined") -> str:
    """What refinement brought."""
    run = refined.run
    assert run.start is not None and run.figures is not None
    if not refined.better or not run.start.loss:
        return f"nothing better found in {run.done} steps"
    saved = 100 * (1 - run.figures.loss / run.start.loss)
    seconds = math.ceil(run.seconds)
    return f"loss {saved:.1f} % lower after {run.done} steps in {seconds} s"
