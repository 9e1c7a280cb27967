"""Metrics: their exact names, and what measures them."""
