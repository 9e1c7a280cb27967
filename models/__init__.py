"""Networks: tensors in, tensors out."""

from .convolutional import GDNAnalysis, GDNSynthesis, ResidualAnalysis, ResidualSynthesis
from .lapped import LappedAnalysis, LappedSynthesis
from .refined_lapped import RefinedLappedAnalysis, RefinedLappedSynthesis

__all__ = [
    "GDNAnalysis",
    "GDNSynthesis",
    "LappedAnalysis",
    "LappedSynthesis",
    "RefinedLappedAnalysis",
    "RefinedLappedSynthesis",
    "ResidualAnalysis",
    "ResidualSynthesis",
]
