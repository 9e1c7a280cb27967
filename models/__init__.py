"""Networks: tensors in, tensors out."""

from .convolutional import GDNAnalysis, GDNSynthesis
from .elic import ELICAnalysis, ELICSynthesis
from .lapped import LappedAnalysis, LappedSynthesis
from .refined_lapped import RefinedLappedAnalysis, RefinedLappedSynthesis
from .residual import ResidualAnalysis, ResidualSynthesis

__all__ = [
    "ELICAnalysis",
    "ELICSynthesis",
    "GDNAnalysis",
    "GDNSynthesis",
    "LappedAnalysis",
    "LappedSynthesis",
    "RefinedLappedAnalysis",
    "RefinedLappedSynthesis",
    "ResidualAnalysis",
    "ResidualSynthesis",
]
