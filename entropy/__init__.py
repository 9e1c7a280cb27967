"""From latents to integers to bits, and everything both sides must agree on."""

from .adaptive_slices import AdaptiveSlices
from .channel_slices import ChannelSlices, Checkerboard, UnevenSlices
from .distributions import Distribution, LocationScale, ScaleTables, Uniform
from .factorised import FactorisedLatents
from .factorised_prior import FactorisedBlock, FactorisedPrior
from .frequency_slices import FrequencySlices
from .gain import GainUnit
from .hyperprior import MeanScaleHyperprior, ScaleHyperprior
from .integer_tables import IntegerTables, tables_of
from .multi_reference import MultiReference
from .ports import (
    Conditions,
    RateMeter,
    ScanStep,
    SymbolPort,
    SymbolReader,
    SymbolWriter,
    scan_fronts,
)
from .prototypes import RegionAdaptation, RegionPrototypes
from .raster import RasterAutoregression

__all__ = [
    "AdaptiveSlices",
    "ChannelSlices",
    "Checkerboard",
    "Conditions",
    "Distribution",
    "FactorisedBlock",
    "FactorisedLatents",
    "FactorisedPrior",
    "FrequencySlices",
    "GainUnit",
    "IntegerTables",
    "LocationScale",
    "MeanScaleHyperprior",
    "MultiReference",
    "RasterAutoregression",
    "RateMeter",
    "RegionAdaptation",
    "RegionPrototypes",
    "ScaleHyperprior",
    "ScaleTables",
    "ScanStep",
    "SymbolPort",
    "SymbolReader",
    "SymbolWriter",
    "UnevenSlices",
    "Uniform",
    "scan_fronts",
    "tables_of",
]
