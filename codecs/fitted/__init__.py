"""Fitting at encode time: what is optimised for one picture or clip, and then coded."""

from .fit_file import FitFile
from .fitted_codec import FittedCodec, FittedResult, load_fitted, open_fitted
from .fitted_file import FittedFile, read_fitted, write_fitted
from .fitted_model import (
    Clip,
    Cost,
    FileFitting,
    FittedModel,
    FittedSize,
    Goal,
    Limits,
    Reconstruction,
)
from .fitting import Budget, Figures, Fit, Fitting, fit
from .refining.refinement import LatentRefinement
from .refining.refining_codec import (
    SCHEDULE,
    Refined,
    RefiningCodec,
    latent_schedule,
    usual_schedule,
)
from .schedule import Moment, Phase, PhaseKeys, Ramp, Schedule, read_schedule

__all__ = [
    "SCHEDULE",
    "Budget",
    "Clip",
    "Cost",
    "Figures",
    "FileFitting",
    "Fit",
    "FitFile",
    "FittedCodec",
    "FittedFile",
    "FittedModel",
    "FittedResult",
    "FittedSize",
    "Fitting",
    "Goal",
    "Limits",
    "LatentRefinement",
    "Moment",
    "Phase",
    "PhaseKeys",
    "Ramp",
    "Reconstruction",
    "Refined",
    "RefiningCodec",
    "Schedule",
    "fit",
    "latent_schedule",
    "load_fitted",
    "open_fitted",
    "read_fitted",
    "read_schedule",
    "usual_schedule",
    "write_fitted",
]
