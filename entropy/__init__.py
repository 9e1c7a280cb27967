"""From latents to integers to bits, and everything both sides must agree on."""

from .distributions import (
    Distribution,
    FactorisedBlock,
    FactorisedPrior,
    LocationScale,
    ScaleTables,
    Uniform,
)
from .frequency_slices import FrequencySlices
from .gain import GainUnit
from .hyperprior import MeanScaleHyperprior
from .integer_tables import IntegerTables, tables_of
from .ports import Conditions, RateMeter, SymbolPort, SymbolReader, SymbolWriter
from .prototypes import RegionPrototypes

__all__ = [
    "Conditions",
    "Distribution",
    "FactorisedBlock",
    "FactorisedPrior",
    "FrequencySlices",
    "GainUnit",
    "IntegerTables",
    "LocationScale",
    "MeanScaleHyperprior",
    "RateMeter",
    "RegionPrototypes",
    "ScaleTables",
    "SymbolPort",
    "SymbolReader",
    "SymbolWriter",
    "Uniform",
    "tables_of",
]
