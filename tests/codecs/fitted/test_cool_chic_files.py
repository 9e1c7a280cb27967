"""Cool-chic's files: written, read, resumed, damaged."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from kodec.codecs.container import FittedHeader, read_header
from kodec.codecs.fitted import Budget, Clip, FittedCodec, open_fitted
from kodec.native import BitstreamError, KodecError, UnsupportedError


def waves(height: int, width: int, components: int, dtype: type = np.uint8) -> NDArray[np.uint8]:
    rows, columns = np.arange(height)[:, None, None], np.arange(width)[:, None]
    phase = rows / 5 + columns / 7 + np.arange(components)
    return (127 + 100 * np.sin(phase)).round().astype(dtype)


def codec(steps: int = 30, preset: str = "lop") -> FittedCodec:
    return FittedCodec("cool-chic", Budget(steps=steps), preset=preset)


@pytest.mark.parametrize("shape", [(24, 40, 3), (17, 1, 1), (1, 1, 3)])
def test_a_file_decodes_to_what_its_encoder_says(shape: tuple[int, int, int]) -> None:
    pixels = waves(*shape)
    result = codec().fit(Clip(pixels[None]), 40)
    found = codec().decode(result.data)
    assert found.shape == shape
    assert np.array_equal(found, result.reconstruction.frame(0))
    file = open_fitted(result.data)
    assert file.header.portability == "exact"
    parts = file.bits_by_part()
    assert sum(parts.values()) / 8 < len(result.data)
