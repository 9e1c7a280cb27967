"""Clips for training: windows of consecutive frames, cut at random from video."""

from .clip_data import ClipData

__all__ = ["ClipData"]
