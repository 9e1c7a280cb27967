"""Networks from coordinates or grids to pixels, fitted to one picture or sequence."""
