"""Network blocks that transforms and entropy models share."""

from .activation import Activation
from .bottleneck import Bottleneck, GatedAttention, RectifiedBottleneck
from .bounded_rectifier import BoundedRectifier
from .convolution import HalvingConv2d, PaddedConv2d, PointwiseConv2d
from .depthwise import DepthwiseConv2d
from .elementwise import GELU, asinh, gelu
from .finish import CURVED, Finish
from .gdn import GDN
from .lower_bound import lower_bound
from .memory import add_to, channels_last
from .padding import replicated
from .products import Linear, product
from .quality import QUALITY_STEPS, Modulation, QualityEmbedding, normalised
from .region_adaptation import RegionAdaptive, ScaleAffine
from .resampling_residual import DownResidual, PlainResidual, UpResidual
from .residual_blocks import DepthwiseBlock, ResidualBlock
from .rims import WHOLE, Rim
from .shifted_windows import ShiftedWindowAttention
from .upsampling import StrideTwoConvTranspose2d, SubpixelConv2d
from .window_stage import WindowStage
from .zero import zeroed

__all__ = [
    "CURVED",
    "GDN",
    "GELU",
    "QUALITY_STEPS",
    "Activation",
    "Bottleneck",
    "BoundedRectifier",
    "DepthwiseBlock",
    "DepthwiseConv2d",
    "DownResidual",
    "Finish",
    "GatedAttention",
    "HalvingConv2d",
    "Linear",
    "Modulation",
    "PaddedConv2d",
    "PlainResidual",
    "PointwiseConv2d",
    "QualityEmbedding",
    "RectifiedBottleneck",
    "RegionAdaptive",
    "ResidualBlock",
    "Rim",
    "ScaleAffine",
    "ShiftedWindowAttention",
    "StrideTwoConvTranspose2d",
    "SubpixelConv2d",
    "UpResidual",
    "WHOLE",
    "WindowStage",
    "add_to",
    "channels_last",
    "asinh",
    "gelu",
    "lower_bound",
    "normalised",
    "product",
    "replicated",
    "zeroed",
]
