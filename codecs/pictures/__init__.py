"""Pictures: the picture codec, samples, metadata and files."""
