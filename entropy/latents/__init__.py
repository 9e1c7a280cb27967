"""Latent models: the orders in which latents are coded, a file each."""
