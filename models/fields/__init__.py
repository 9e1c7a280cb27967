"""Networks of coordinates and of frames, which are fitted to one picture or sequence."""
