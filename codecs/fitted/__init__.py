"""Fitting at encode time: what is optimised for one picture, and then coded."""

from .fit_file import FitFile
from .fitting import Budget, Figures, Fit, Fitting, fit
from .refinement import LatentRefinement
from .refining_codec import SCHEDULE, Refined, RefiningCodec, usual_schedule
from .schedule import Phase, Schedule, read_schedule

__all__ = [
    "SCHEDULE",
    "Budget",
    "Figures",
    "Fit",
    "FitFile",
    "Fitting",
    "LatentRefinement",
    "Phase",
    "Refined",
    "RefiningCodec",
    "Schedule",
    "fit",
    "read_schedule",
    "usual_schedule",
]
