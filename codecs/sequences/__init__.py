"""Sequences: frames of video, the files that they come from and go to, and their codecs."""
