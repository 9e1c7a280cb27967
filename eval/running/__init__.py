"""Runs of a codec over a data set: measurements, processes, results."""
