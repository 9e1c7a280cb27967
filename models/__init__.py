"""Networks: tensors in, tensors out."""

from .lapped import LappedAnalysis, LappedSynthesis
from .refined_lapped import RefinedLappedAnalysis, RefinedLappedSynthesis

__all__ = [
    "LappedAnalysis",
    "LappedSynthesis",
    "RefinedLappedAnalysis",
    "RefinedLappedSynthesis",
]
