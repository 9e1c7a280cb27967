"""Codecs: a transform and a latent model together; every byte on disk.

What needs torch is imported when it is first asked for: torch takes seconds, and a command that
only looks at files, or refuses one, needs none of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from .atomic_file import check_output_target, write_atomically
from .catalogue import EmbeddedModel, embedded_models, find_model
from .container import (
    MAX_PIXELS,
    ChunkReader,
    ChunkWriter,
    Container,
    FittedHeader,
    Lost,
    Packet,
    PictureHeader,
    Plan,
    PlannedStep,
    Portability,
    SequenceHeader,
    Step,
    read_container,
    write_container,
)
from .pictures.image_samples import picture_from_image
from .pictures.picture import Picture, array_of_picture, picture_of_array
from .pictures.picture_file import check_picture_output, write_picture
from .pictures.picture_reading import (
    PictureHead,
    decode_image,
    read_head,
    read_label_size,
    read_labels,
    read_picture,
    read_pixels,
    read_plain_picture,
)
from .pictures.quality_search import (
    MOST_TRIALS,
    Found,
    highest_quality,
    lowest_quality,
    meet_target,
)

if TYPE_CHECKING:
    from .building import build_module, check_section, class_paths, packages_of, public_config
    from .checkpoint_file import check_tensors, read_checkpoint, write_checkpoint
    from .codec import Codec, Coded, Encoded, as_picture, decode, load, load_for
    from .coded_transform import CodedLatents, CodedTransform, Latents
    from .coding_model import CodingModel
    from .finite_weights import first_not_finite
    from .fitted.fitted_codec import FittedCodec, load_fitted, open_fitted
    from .fitted.priors.recombiner import Recombiner
    from .fitted.priors.vc_inr import GatedFields
    from .model_file import ModelInfo, fill_from_model, load_model, read_model_info, save_model
    from .objective import DISTORTIONS, HIGHEST_QUALITY, Objective, check_distortion
    from .pictures.picture_codec import PictureCodec, Reconstruction
    from .pictures.pixels import as_pixels, to_array, to_tensor
    from .sequences.bidirectional_flow import BidirectionalFlow
    from .sequences.block_motion import BlockMotion
    from .sequences.scale_space_flow import ScaleSpaceFlow
    from .sequences.sequence_model import FrameStep, SequenceModel, State
    from .sequences.structures import Structure
    from .sequences.temporal_entropy import TemporalEntropy
    from .sequences.video_codec import VideoCodec, load_video, read_video
    from .sequences.video_encoder import Coding
    from .video_files.frames import VideoFormat
else:
    _HOMES = {
        "building": (
            "build_module",
            "check_section",
            "class_paths",
            "packages_of",
            "public_config",
        ),
        "checkpoint_file": ("check_tensors", "read_checkpoint", "write_checkpoint"),
        "coded_transform": ("CodedLatents", "CodedTransform", "Latents"),
        "coding_model": ("CodingModel",),
        "codec": ("Codec", "Coded", "Encoded", "as_picture", "decode", "load", "load_for"),
        "finite_weights": ("first_not_finite",),
        "fitted.fitted_codec": ("FittedCodec", "load_fitted", "open_fitted"),
        "fitted.priors.recombiner": ("Recombiner",),
        "fitted.priors.vc_inr": ("GatedFields",),
        "model_file": (
            "ModelInfo",
            "fill_from_model",
            "load_model",
            "load_video",
            "read_model_info",
            "save_model",
        ),
        "objective": ("DISTORTIONS", "HIGHEST_QUALITY", "Objective", "check_distortion"),
        "pictures.picture_codec": ("PictureCodec", "Reconstruction"),
        "pictures.pixels": ("as_pixels", "to_array", "to_tensor"),
        "sequences.bidirectional_flow": ("BidirectionalFlow",),
        "sequences.block_motion": ("BlockMotion",),
        "video_files.frames": ("VideoFormat",),
        "sequences.scale_space_flow": ("ScaleSpaceFlow",),
        "sequences.sequence_model": ("FrameStep", "SequenceModel", "State"),
        "sequences.structures": ("Structure",),
        "sequences.temporal_entropy": ("TemporalEntropy",),
        "sequences.video_codec": ("VideoCodec", "load_video", "read_video"),
        "sequences.video_encoder": ("Coding",),
    }
    _HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

    def __getattr__(name: str) -> object:
        """Import a public name that needs torch, at its first use (PEP 562)."""
        if name not in _HOME_OF:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = import_module(f"{__name__}.{_HOME_OF[name]}")
        value = globals()[name] = getattr(home, name)
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "MOST_TRIALS",
    "DISTORTIONS",
    "HIGHEST_QUALITY",
    "MAX_PIXELS",
    "BidirectionalFlow",
    "BlockMotion",
    "ChunkReader",
    "ChunkWriter",
    "Codec",
    "Coded",
    "CodedLatents",
    "CodedTransform",
    "Coding",
    "CodingModel",
    "Container",
    "EmbeddedModel",
    "Encoded",
    "FittedHeader",
    "FittedCodec",
    "Found",
    "FrameStep",
    "GatedFields",
    "Latents",
    "Lost",
    "ModelInfo",
    "Objective",
    "Packet",
    "Picture",
    "PictureCodec",
    "PictureHead",
    "PictureHeader",
    "Plan",
    "PlannedStep",
    "Portability",
    "Recombiner",
    "Reconstruction",
    "ScaleSpaceFlow",
    "SequenceHeader",
    "SequenceModel",
    "State",
    "Step",
    "Structure",
    "TemporalEntropy",
    "VideoCodec",
    "VideoFormat",
    "array_of_picture",
    "as_picture",
    "as_pixels",
    "build_module",
    "check_distortion",
    "check_output_target",
    "check_picture_output",
    "check_section",
    "check_tensors",
    "class_paths",
    "decode",
    "decode_image",
    "embedded_models",
    "fill_from_model",
    "find_model",
    "first_not_finite",
    "highest_quality",
    "load",
    "load_fitted",
    "load_for",
    "load_model",
    "load_video",
    "lowest_quality",
    "meet_target",
    "open_fitted",
    "packages_of",
    "picture_from_image",
    "picture_of_array",
    "public_config",
    "read_checkpoint",
    "read_container",
    "read_head",
    "read_label_size",
    "read_labels",
    "read_model_info",
    "read_picture",
    "read_pixels",
    "read_plain_picture",
    "read_video",
    "save_model",
    "to_array",
    "to_tensor",
    "write_atomically",
    "write_checkpoint",
    "write_container",
    "write_picture",
]
