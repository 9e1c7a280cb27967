"""Cuts are told from motion, fades and noise."""

import numpy as np
from numpy.typing import NDArray

from kodec.codecs.sequences.scene_cuts import SceneCuts

Luma = NDArray[np.uint8]


def scene(seed: int, shift: int = 0, height: int = 96, width: int = 128) -> Luma:
    """Blobs that move to the left."""
    y, x = np.mgrid[:height, :width]
    rng = np.random.default_rng(seed)
    waves = sum(
        np.sin(
            (x + shift) * rng.uniform(0.02, 0.2) + y * rng.uniform(0.02, 0.2) + rng.uniform(0, 6)
        )
        for _ in range(4)
    )
    return np.asarray(np.clip(128 + 40 * waves, 0, 255), np.uint8)


def cuts_of(frames: list[Luma]) -> list[int]:
    cuts = SceneCuts()
    return [number for number, luma in enumerate(frames) if cuts.is_cut(luma, 8)]


def test_a_cut_is_told_from_a_pan() -> None:
    frames = [scene(1, 2 * n) for n in range(12)] + [scene(2, 2 * n) for n in range(12)]
    assert cuts_of(frames) == [12]


def test_neither_fades_nor_noise_nor_still_pictures_are_cuts() -> None:
    rng = np.random.default_rng(0)
    fade = [np.asarray(scene(3) * (n / 24), np.uint8) for n in range(25)]
    noise = [rng.integers(0, 256, (96, 128)).astype(np.uint8) for _ in range(10)]
    assert cuts_of(fade) == cuts_of(noise) == cuts_of([scene(4)] * 10) == []


def test_deep_samples_and_tiny_frames() -> None:
    deep = [np.left_shift(scene(n // 4), 2, dtype=np.uint16) for n in range(8)]
    cuts = SceneCuts()
    assert [n for n, luma in enumerate(deep) if cuts.is_cut(luma, 10)] == [4]
    assert cuts_of([np.zeros((1, 1), np.uint8)] * 3 + [np.full((1, 1), 255, np.uint8)]) == [3]
