"""Codecs: a transform and a latent model together; every byte on disk."""

from .atomic_file import check_output_target, write_atomically
from .building import build_module, class_paths
from .container import Container, read_container, write_container
from .picture import Picture, picture_from_image
from .picture_codec import PictureCodec, Reconstruction
from .picture_file import check_picture_output, read_picture, write_picture
from .picture_header import MAX_PIXELS, PictureHeader, Portability
from .pixels import as_pixels, to_array, to_tensor

__all__ = [
    "MAX_PIXELS",
    "Container",
    "Picture",
    "PictureCodec",
    "PictureHeader",
    "Portability",
    "Reconstruction",
    "as_pixels",
    "build_module",
    "check_output_target",
    "check_picture_output",
    "class_paths",
    "picture_from_image",
    "read_container",
    "read_picture",
    "to_array",
    "to_tensor",
    "write_atomically",
    "write_container",
    "write_picture",
]
