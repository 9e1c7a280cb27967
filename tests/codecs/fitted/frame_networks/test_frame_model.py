"""Frame networks as files: fitted, written, read, and what of a head is refused."""

import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kodec.codecs.fitted import (
    Budget,
    Clip,
    FittedCodec,
    FittedSize,
    Goal,
    Limits,
    read_fitted,
)
from kodec.codecs.fitted_families import family_named
from kodec.codecs.model_size import ModelSize
from kodec.native import BitstreamError, InvalidInputError, UnsupportedError

FAMILIES = ("nerv", "e-nerv", "hnerv", "nerv++", "nerv-boost", "e-nerv-boost", "hnerv-boost")
SIZE = ModelSize(30_000)


def clip(frames: int = 3, height: int = 30, width: int = 44, bit_depth: int = 8) -> Clip:
    """A bar that moves over a slope."""
    x = np.linspace(0.2, 0.8, width)
    pixels = np.empty((frames, height, width, 3))
    for number in range(frames):
        pixels[number] = (0.3 + 0.4 * x)[None, :, None]
        pixels[number, :, 8 * number : 8 * number + 12] = (0.9, 0.5, 0.1)
    kind = np.uint8 if bit_depth == 8 else np.uint16
    return Clip((pixels * (2**bit_depth - 1)).round().astype(kind), bit_depth)


def mean_error(a: NDArray[Any], b: NDArray[Any]) -> float:
    return float(np.abs(a.astype(float) - b.astype(float)).mean())


@pytest.mark.parametrize("family", [*FAMILIES, "hinerv", "nirvana", "pfnr"])
def test_a_clip_is_coded_and_decoded_frame_by_frame(family: str) -> None:
    source = clip()
    codec = FittedCodec(family, Budget(steps=3), size=ModelSize(90_000))
    coded = codec.fit(source)
    assert coded.model.cost().parameters <= 90_000
    found = read_fitted(coded.data)
    assert found.reconstruction.size == source.size
    # In any order, and the encoder's own.
    for number in (2, 0, 1):
        shown = found.reconstruction.frame(number)
        assert shown.tobytes() == coded.reconstruction.frame(number).tobytes()
    parts = found.bits_by_part()
    assert 0.98 * 8 * len(coded.data) < sum(parts.values()) + 8 * 120 < 1.1 * 8 * len(coded.data)


def test_a_longer_fit_is_a_closer_one() -> None:
    source = clip()
    errors = []
    for steps in (4, 150):
        coded = FittedCodec("hnerv", Budget(steps=steps), size=SIZE).fit(source)
        frames = np.stack(list(coded.reconstruction.frames()))
        errors.append(mean_error(frames, source.pixels))
    assert errors[1] < 0.6 * errors[0]


def test_deeper_samples_are_coded_as_they_are() -> None:
    source = clip(bit_depth=10)
    coded = FittedCodec("hnerv", Budget(steps=150), size=SIZE).fit(source)
    shown = read_fitted(coded.data).reconstruction.frame(1)
    assert shown.dtype == np.uint16 and int(shown.max()) > 255
    assert mean_error(shown, source.pixels[1]) < 150


def test_the_size_is_the_most_that_is_sent() -> None:
    for text, least in ((ModelSize(60_000), 50_000), (ModelSize(30, "bpp"), 14_000)):
        model = family_named("hnerv").model()
        fitting = model.fitting(clip(), Goal(size=text))
        result, _ = fitting.result()
        bound = 60_000 if text.unit == "parameters" else 30 * 3 * 30 * 44 / 7
        assert least < result.cost().parameters <= bound
    with pytest.raises(InvalidInputError, match="larger --size"):
        FittedCodec("nerv-boost", Budget(steps=1), size=ModelSize(500)).fit(clip())


def test_heads_that_are_none_are_refused_before_anything_is_built() -> None:
    model, size = family_named("hnerv").model(), FittedSize(52, 40, 3)
    right = (8, 3, 125, 0, 0, 2, 1, 0, 4, 1, 8, 4, 3, 6)
    assert model.cost_of(right, size).parameters > 0
    wrong = [(), right[:-1], (*right, 4), (0, *right[1:]), (*right[:-2], 4, 6)]
    wrong += [right[:5] + (0,) + right[6:], right[:6] + (5,) + right[7:]]
    wrong += [right[:8] + (16, 1, 8) * 3, right[:8] + (2, 1, 8) * 17, (1 << 31, *right[1:])]
    for integers in wrong:
        with pytest.raises(BitstreamError):
            model.cost_of(integers, size)
    with pytest.raises(BitstreamError):
        model.cost_of(right, FittedSize(52, 40, 3, components=1))
    huge = (4096, 7, 125, 0, 0, 256, 1, 0, 16, 7, 4096, 16, 7, 4096)
    with pytest.raises(UnsupportedError):
        Limits().check(model.cost_of(huge, size), size)


def test_a_damaged_file_is_an_error_or_other_pixels_and_never_anything_else() -> None:
    data = FittedCodec("hnerv", Budget(steps=2), size=ModelSize(8_000)).fit(clip()).data
    random = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(data)
        damaged[int(random.integers(len(data)))] ^= 1 << int(random.integers(8))
        with pytest.raises((BitstreamError, UnsupportedError)):
            read_fitted(io.BytesIO(bytes(damaged))).reconstruction.frame(0)


@pytest.mark.parametrize("family", [*FAMILIES, "hinerv", "nirvana", "pfnr"])
def test_random_integers_are_a_cost_or_a_damaged_file(family: str) -> None:
    model, size = family_named(family).model(), FittedSize(44, 30, 3)
    right = model.fitting(clip(), Goal(size=ModelSize(90_000))).result()[0].architecture
    random = np.random.default_rng(5)
    costs = 0
    for _ in range(150):
        integers = list(right)
        for _ in range(int(random.integers(1, 3))):
            place = int(random.integers(len(integers)))
            integers[place] = int(2 ** random.uniform(0, 32)) - 1
        try:
            cost = model.cost_of(tuple(integers), size)
        except BitstreamError:
            continue
        costs += 1
        assert cost.parameters > 0 and cost.peak_bytes >= 4 * cost.parameters
    assert costs > 0
