"""Network blocks that transforms and entropy models share."""

from .depthwise import DepthwiseConv2d
from .quality import QUALITY_STEPS, Modulation, QualityEmbedding, normalised
from .residual import DepthwiseBlock, ResidualBlock
from .zero import zeroed

__all__ = [
    "QUALITY_STEPS",
    "DepthwiseBlock",
    "DepthwiseConv2d",
    "Modulation",
    "QualityEmbedding",
    "ResidualBlock",
    "normalised",
    "zeroed",
]
