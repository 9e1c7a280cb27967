"""From latents to integers to bits, and everything both sides must agree on."""

from .adaptive_slices import AdaptiveSlices
from .channel_slices import ChannelSlices, Checkerboard, UnevenSlices
from .companded import CompandedIntegers
from .distributions import Distribution, LocationScale, ScaleTables, Uniform
from .exact import ExactConv2d, ExactLinear
from .exact_scan import ExactAutoregression
from .factorised import FactorisedLatents
from .factorised_prior import FactorisedBlock, FactorisedPrior
from .frequency_slices import FrequencySlices
from .gain import GainUnit
from .hyperprior import MeanScaleHyperprior, ScaleHyperprior
from .integer_tables import IntegerTables, WithTables, build_tables, tables_of
from .lossless_picture import LosslessPicture
from .multi_reference import MultiReference
from .passed_values import payload_symbols
from .ports import (
    CompiledScan,
    Conditions,
    ForeignCoder,
    ScanStep,
    SymbolPort,
    scan_fronts,
)
from .prototypes import RegionAdaptation, RegionPrototypes
from .raster import RasterAutoregression
from .rate_meter import RateMeter
from .roles import Role, as_role, encoder_only, roles_of
from .symbol_streams import SymbolReader, SymbolWriter
from .tokens import Categorical, code_tokens
from .within import Within

__all__ = [
    "AdaptiveSlices",
    "Categorical",
    "ChannelSlices",
    "Checkerboard",
    "CompandedIntegers",
    "CompiledScan",
    "Conditions",
    "Distribution",
    "ExactAutoregression",
    "ExactConv2d",
    "ExactLinear",
    "FactorisedBlock",
    "FactorisedLatents",
    "FactorisedPrior",
    "ForeignCoder",
    "FrequencySlices",
    "GainUnit",
    "IntegerTables",
    "LocationScale",
    "LosslessPicture",
    "MeanScaleHyperprior",
    "MultiReference",
    "RasterAutoregression",
    "RateMeter",
    "RegionAdaptation",
    "RegionPrototypes",
    "Role",
    "ScaleHyperprior",
    "ScaleTables",
    "ScanStep",
    "SymbolPort",
    "SymbolReader",
    "SymbolWriter",
    "UnevenSlices",
    "Uniform",
    "WithTables",
    "Within",
    "as_role",
    "build_tables",
    "code_tokens",
    "encoder_only",
    "payload_symbols",
    "roles_of",
    "scan_fronts",
    "tables_of",
]
