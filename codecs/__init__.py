"""Codecs: a transform and a latent model together; every byte on disk."""

from .atomic_file import check_output_target, write_atomically
from .building import build_module, class_paths
from .catalogue import EmbeddedModel, embedded_models, find_model
from .codec import Codec, Encoded, as_picture, decode, load, load_for
from .container import Container, read_container, write_container
from .model_file import ModelInfo, load_model, save_model
from .picture import Picture, picture_from_image
from .picture_codec import PictureCodec, Reconstruction
from .picture_file import check_picture_output, read_picture, write_picture
from .picture_header import MAX_PIXELS, PictureHeader, Portability
from .pixels import as_pixels, to_array, to_tensor

__all__ = [
    "MAX_PIXELS",
    "Codec",
    "Container",
    "EmbeddedModel",
    "Encoded",
    "ModelInfo",
    "Picture",
    "PictureCodec",
    "PictureHeader",
    "Portability",
    "Reconstruction",
    "as_picture",
    "as_pixels",
    "build_module",
    "check_output_target",
    "check_picture_output",
    "class_paths",
    "decode",
    "embedded_models",
    "find_model",
    "load",
    "load_for",
    "load_model",
    "picture_from_image",
    "read_container",
    "read_picture",
    "save_model",
    "to_array",
    "to_tensor",
    "write_atomically",
    "write_container",
    "write_picture",
]
