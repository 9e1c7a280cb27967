"""Networks that are fitted to one picture or video: coordinates, times, embeddings or grids in."""

from .frame_designs import (
    FrameDesign,
    Recipe,
    StageDesign,
    System,
    e_nerv,
    encoder_widths,
    hnerv,
    nerv,
)
from .frame_encoder import ConvNeXtEncoder
from .frame_network import FrameNetwork
from .hinerv import GridDesign, GridNetwork, GridStageDesign, hinerv
from .network_cost import NetworkCost
from .nirvana import PatchDesign, PatchNetwork
from .positional import PositionalEncoding

__all__ = [
    "ConvNeXtEncoder",
    "FrameDesign",
    "FrameNetwork",
    "GridDesign",
    "GridNetwork",
    "GridStageDesign",
    "NetworkCost",
    "PatchDesign",
    "PatchNetwork",
    "PositionalEncoding",
    "Recipe",
    "StageDesign",
    "System",
    "e_nerv",
    "encoder_widths",
    "hinerv",
    "hnerv",
    "nerv",
]
