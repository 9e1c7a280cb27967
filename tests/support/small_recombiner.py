"""A RECOMBINER model that trains in seconds, and pictures for it."""

from functools import cache

import numpy as np
import torch
from torch import Tensor

from kodec.codecs import Recombiner
from kodec.train.recombiner_prior import PriorTraining, train_prior


def waves(count: int, height: int, width: int) -> Tensor:
    """Smooth pictures (count, 3, height, width) in [0, 1]."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:height, :width] / 32
    pictures = [
        [0.5 + 0.3 * np.sin(a * rows + b * columns + c) for a, b, c in rng.uniform(0, 3, (3, 3))]
        for _ in range(count)
    ]
    return torch.tensor(np.array(pictures), dtype=torch.float32)


@cache
def small_recombiner() -> Recombiner:
    """A trained model of 16x16 patches."""
    torch.manual_seed(0)
    model = Recombiner(hidden=[8], fourier=4, encoding=[4, 4, 4], side=16)
    train_prior(model, waves(4, 32, 32), PriorTraining(6, 15, bpp=0.6, rate=4e-3, batch=4))
    return model
