"""From latents to integers to bits, and everything both sides must agree on."""

from .contexts.positions import phase_positions
from .contexts.prototypes import RegionAdaptation, RegionPrototypes
from .counted_tables import CountedBlock, CountedTables
from .distributions import Distribution, LocationScale, ScaleTables, Uniform
from .exact import ExactConv2d, ExactLinear
from .factorised_prior import FactorisedBlock, FactorisedPrior
from .gain import GainUnit
from .integer_tables import IntegerTables, WithTables, build_tables, tables_of
from .latents.adaptive_slices import AdaptiveSlices
from .latents.channel_slices import ChannelSlices, Checkerboard, UnevenSlices
from .latents.companded import CompandedIntegers
from .latents.conditioned_slices import (
    CHANGE,
    CODED,
    FEATURES,
    PREDICTION,
    ConditionedSlices,
)
from .latents.exact_scan import ExactAutoregression
from .latents.factorised import FactorisedLatents
from .latents.frequency_slices import FrequencySlices
from .latents.grid_latents import Grid, GridLatents, grids_of
from .latents.hyper_networks import HYPER_STRIDE
from .latents.hyperprior import MeanScaleHyperprior, ScaleHyperprior
from .latents.integer_arm import IntegerArm, IntegerIfce, SteppedLayer
from .latents.multi_reference import MultiReference
from .latents.orders import channel_spans
from .latents.raster import RasterAutoregression
from .latents.spatiotemporal import Spatiotemporal
from .latents.temporal import TEMPORAL
from .located_laplace import LocatedLaplace
from .lossless_picture import LosslessPicture
from .ports.blocks import Block, whole_blocks
from .ports.item_coders import (
    HOST,
    Coders,
    DeviceCoders,
    HostCoders,
    HostEncoders,
    coders_of,
)
from .ports.passed_values import payload_symbols
from .ports.port import (
    BlockStep,
    CompiledScan,
    Conditions,
    ForeignCoder,
    ScanStep,
    SymbolPort,
    code_blocks,
)
from .ports.rate_meter import RateMeter
from .ports.relaxation import Relaxation, UniformBySample
from .ports.symbol_streams import SymbolReader, SymbolWriter
from .ports.tokens import Categorical, code_tokens
from .ports.within import Within
from .roles import Role, as_role, encoder_only, role_of, roles_of

__all__ = [
    "HOST",
    "HYPER_STRIDE",
    "AdaptiveSlices",
    "Block",
    "BlockStep",
    "CHANGE",
    "CODED",
    "Categorical",
    "ChannelSlices",
    "TEMPORAL",
    "Checkerboard",
    "Coders",
    "CompandedIntegers",
    "CompiledScan",
    "ConditionedSlices",
    "Conditions",
    "DeviceCoders",
    "CountedBlock",
    "CountedTables",
    "Distribution",
    "ExactAutoregression",
    "ExactConv2d",
    "ExactLinear",
    "FEATURES",
    "FactorisedBlock",
    "FactorisedLatents",
    "FactorisedPrior",
    "ForeignCoder",
    "FrequencySlices",
    "GainUnit",
    "Grid",
    "GridLatents",
    "HostCoders",
    "HostEncoders",
    "IntegerArm",
    "IntegerIfce",
    "IntegerTables",
    "LocatedLaplace",
    "LocationScale",
    "LosslessPicture",
    "MeanScaleHyperprior",
    "MultiReference",
    "PREDICTION",
    "RasterAutoregression",
    "RateMeter",
    "RegionAdaptation",
    "RegionPrototypes",
    "Relaxation",
    "Role",
    "ScaleHyperprior",
    "ScaleTables",
    "ScanStep",
    "Spatiotemporal",
    "SteppedLayer",
    "SymbolPort",
    "SymbolReader",
    "SymbolWriter",
    "UnevenSlices",
    "Uniform",
    "UniformBySample",
    "WithTables",
    "Within",
    "as_role",
    "build_tables",
    "channel_spans",
    "code_blocks",
    "code_tokens",
    "coders_of",
    "encoder_only",
    "grids_of",
    "payload_symbols",
    "phase_positions",
    "role_of",
    "roles_of",
    "tables_of",
    "whole_blocks",
]
