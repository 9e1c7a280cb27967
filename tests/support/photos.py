"""Pictures that look a little like photos."""

import numpy as np
from numpy.typing import NDArray


def photo_like(height: int, width: int, components: int = 3, seed: int = 0) -> NDArray[np.uint8]:
    """A picture with smooth areas, edges and some noise, (H, W, components)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width][..., None] / 48
    waves = np.sin(x * rng.uniform(0.5, 2, components) + y * rng.uniform(0.5, 2, components))
    edges = 40.0 * (np.sin(3 * x) * np.cos(2 * y) > 0.3)
    noise = rng.normal(0, 4, (height, width, components))
    pixels: NDArray[np.uint8] = np.clip(120 + 60 * waves + edges + noise, 0, 255).astype(np.uint8)
    return pixels
