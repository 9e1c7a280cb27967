"""Pictures as grids of latents beside the networks that read them: Cool-chic, C3."""
