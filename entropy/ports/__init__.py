"""What is at the other end of a latent order: ports, and what passes them."""
