"""Networks that are fitted to one picture or video: coordinates, times, embeddings or grids in."""

from .frame_designs import FrameDesign, Recipe, StageDesign, e_nerv, encoder_widths, hnerv, nerv
from .frame_encoder import ConvNeXtEncoder
from .frame_network import FrameNetwork
from .positional import PositionalEncoding

__all__ = [
    "ConvNeXtEncoder",
    "FrameDesign",
    "FrameNetwork",
    "PositionalEncoding",
    "Recipe",
    "StageDesign",
    "e_nerv",
    "encoder_widths",
    "hnerv",
    "nerv",
]
