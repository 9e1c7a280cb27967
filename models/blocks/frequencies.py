"""Frequencies of a block of pixels: the cosine transform, and the order of its channels."""

import math

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

# Relative standard deviations of the three components, which only order the channels.
COLOUR_SPREAD = np.array([1.0, 0.3, 0.18])


def dct2(n: int) -> Matrix:
    """Orthonormal DCT-II matrix, rows are basis vectors."""
    k = np.arange(n)
    m = np.cos(np.pi * (2 * k[None, :] + 1) * k[:, None] / (2 * n)) * math.sqrt(2 / n)
    m[0] /= math.sqrt(2)
    return np.asarray(m)


def channel_order(block: int, correlation: float = 0.95) -> tuple[NDArray[np.int64], Matrix]:
    """Order of the 3 * block**2 channels by variance under a first-order Markov picture.

    Returns (order, standard deviations in that order, relative to a pixel's).
    """
    lags = np.abs(np.subtract.outer(np.arange(block), np.arange(block)))
    d = dct2(block)
    spectrum = np.diag(d @ (correlation**lags) @ d.T)
    variance = COLOUR_SPREAD[:, None, None] ** 2 * spectrum[:, None] * spectrum[None, :]
    order = np.argsort(-variance.reshape(-1), kind="stable")
    return order, np.sqrt(variance.reshape(-1)[order])
