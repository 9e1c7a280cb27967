"""What is known in time."""

TEMPORAL = "temporal"
"""Of `Conditions.known`: latents of the frame before, in the same quantisation steps."""
