"""Network blocks that transforms and entropy models share."""

from .bottleneck import Bottleneck, GatedAttention, RectifiedBottleneck, Rectifier
from .depthwise import DepthwiseConv2d
from .elementwise import GELU, asinh, gelu
from .gdn import GDN
from .lower_bound import lower_bound
from .memory import add_to, channels_last, for_nnpack
from .polyphase import (
    LEAST_CHANNELS_DOWN,
    LEAST_CHANNELS_UP,
    StrideTwoConv2d,
    StrideTwoConvTranspose2d,
)
from .quality import QUALITY_STEPS, Modulation, QualityEmbedding, normalised
from .region_adaptive import RegionAdaptive, ScaleAffine
from .resampling_residual import Activation, DownResidual, PlainResidual, UpResidual
from .residual import DepthwiseBlock, ResidualBlock
from .sampling import subpixel3_up
from .shifted_windows import ShiftedWindowAttention
from .window_stage import WindowStage
from .winograd import StrideOneConv2d
from .zero import zeroed

__all__ = [
    "LEAST_CHANNELS_DOWN",
    "LEAST_CHANNELS_UP",
    "GDN",
    "GELU",
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
    "Rectifier",
    "RegionAdaptive",
    "ResidualBlock",
    "ScaleAffine",
    "ShiftedWindowAttention",
    "StrideOneConv2d",
    "UpResidual",
    "WindowStage",
    "add_to",
    "channels_last",
    "StrideTwoConv2d",
    "StrideTwoConvTranspose2d",
    "for_nnpack",
    "asinh",
    "gelu",
    "lower_bound",
    "normalised",
    "subpixel3_up",
    "zeroed",
]
