"""Benchmarks of parts on this machine, over one race: the coder, pictures, systems, layers."""
