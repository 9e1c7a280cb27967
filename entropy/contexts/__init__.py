"""What predictions look at: positions, what was coded of a grid, attention, regions."""
