"""Fitting at encode time: what is optimised for one picture, and then coded."""

from .fit_file import FitFile
from .fitting import Budget, Figures, Fit, Fitting, fit
from .refinement import LatentRefinement
from .refining_codec import SCHEDULE, Refined, RefiningCodec, latent_schedule, usual_schedule
from .schedule import Moment, Phase, PhaseKeys, Ramp, Schedule, read_schedule

__all__ = [
    "SCHEDULE",
    "Budget",
    "Figures",
    "Fit",
    "FitFile",
    "Fitting",
    "LatentRefinement",
    "Moment",
    "Phase",
    "PhaseKeys",
    "Ramp",
    "Refined",
    "RefiningCodec",
    "Schedule",
    "fit",
    "latent_schedule",
    "read_schedule",
    "usual_schedule",
]
