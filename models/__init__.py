"""Networks: tensors in, tensors out."""

from .convolutional import GDNAnalysis, GDNSynthesis
from .deringing import Deringing
from .elic import ELICAnalysis, ELICSynthesis
from .lapped import LappedAnalysis, LappedSynthesis
from .lapped_differences import LappedDifferences
from .rectified import RectifiedAnalysis, RectifiedSynthesis
from .refined_lapped import RefinedLappedAnalysis, RefinedLappedSynthesis
from .region_adaptive import RegionAdaptiveAnalysis, RegionAdaptiveSynthesis
from .residual import ResidualAnalysis, ResidualSynthesis
from .swin import DenseEnhancement, SwinAnalysis, SwinSynthesis
from .walloc import WaLLoCAnalysis, WaLLoCSynthesis
from .wavelet_packet import WaveletPacket

__all__ = [
    "DenseEnhancement",
    "Deringing",
    "ELICAnalysis",
    "ELICSynthesis",
    "GDNAnalysis",
    "GDNSynthesis",
    "LappedAnalysis",
    "LappedDifferences",
    "LappedSynthesis",
    "RectifiedAnalysis",
    "RectifiedSynthesis",
    "RefinedLappedAnalysis",
    "RefinedLappedSynthesis",
    "RegionAdaptiveAnalysis",
    "RegionAdaptiveSynthesis",
    "ResidualAnalysis",
    "ResidualSynthesis",
    "SwinAnalysis",
    "SwinSynthesis",
    "WaLLoCAnalysis",
    "WaLLoCSynthesis",
    "WaveletPacket",
]
