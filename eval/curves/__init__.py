"""Curves of rate and quality: averages, BD-rate and its interval."""
