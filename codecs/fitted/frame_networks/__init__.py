"""Clips as networks of frames: the NeRV family."""
