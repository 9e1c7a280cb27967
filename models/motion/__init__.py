"""Motion: pictures predicted from others by fields of displacements."""

from .scale_space import scale_space_volume, scale_space_warp

__all__ = ["scale_space_volume", "scale_space_warp"]
