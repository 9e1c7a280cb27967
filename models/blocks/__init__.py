"""Network blocks that transforms and entropy models share."""

from .bottleneck import Bottleneck, GatedAttention, RectifiedBottleneck
from .depthwise import DepthwiseConv2d
from .gdn import GDN
from .lower_bound import lower_bound
from .quality import QUALITY_STEPS, Modulation, QualityEmbedding, normalised
from .resampling_residual import Activation, DownResidual, PlainResidual, UpResidual
from .residual import DepthwiseBlock, ResidualBlock
from .sampling import conv5_down, deconv5_up, subpixel3_up
from .window_stage import WindowStage
from .zero import zeroed

__all__ = [
    "GDN",
    "QUALITY_STEPS",
    "Activation",
    "Bottleneck",
    "DepthwiseBlock",
    "DepthwiseConv2d",
    "DownResidual",
    "GatedAttention",
    "Modulation",
    "PlainResidual",
    "QualityEmbedding",
    "RectifiedBottleneck",
    "ResidualBlock",
    "UpResidual",
    "WindowStage",
    "conv5_down",
    "deconv5_up",
    "lower_bound",
    "normalised",
    "subpixel3_up",
    "zeroed",
]
