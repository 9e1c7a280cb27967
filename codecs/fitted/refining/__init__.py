"""Refinement: latents of an amortised codec, fitted to one picture."""
