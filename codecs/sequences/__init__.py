"""Sequences: models of frames that are made from earlier ones."""
