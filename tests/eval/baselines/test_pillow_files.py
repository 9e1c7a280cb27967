import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, features

from kodec.eval import psnr
from kodec.eval.baselines import Baseline, PillowCodec
from kodec.native import BitstreamError, InvalidInputError, UnsupportedError

NAMES = ("jpeg", "jpeg2000", "webp", "avif")


def picture(height: int, width: int, components: int = 3) -> NDArray[np.uint8]:
    y, x = np.mgrid[0:height, 0:width]
    waves = [120 + 60 * np.sin(x / (9 + c)) + 50 * np.cos(y / 7) for c in range(components)]
    pixels: NDArray[np.uint8] = np.stack(waves, axis=2).astype(np.uint8)
    return pixels


@pytest.fixture(params=NAMES)
def codec(request: pytest.FixtureRequest) -> PillowCodec:
    try:
        return PillowCodec(request.param)
    except UnsupportedError as error:
        pytest.skip(str(error))


def test_more_quality_is_more_bytes_and_a_better_picture(codec: PillowCodec) -> None:
    original, points = picture(96, 128), []
    for quality in Baseline(codec.name).qualities(video=False):
        data = codec.encode(original, quality)
        points.append((len(data), psnr(original, codec.decode(data))))
    assert points == sorted(points) and points[-1][1] > 35


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 1, 1), (3, 5, 3), (17, 31, 1), (1, 200, 3)])
def test_any_size_and_gray_come_back_in_shape(
    codec: PillowCodec, shape: tuple[int, int, int]
) -> None:
    original = picture(*shape)
    decoded = codec.decode(codec.encode(original, 40 if codec.name == "jpeg2000" else 95))
    assert decoded.shape == shape and decoded.dtype == np.uint8
    assert psnr(original, decoded) > 25


def test_pillow_s_own_limit_is_not_the_codec_s(
    codec: PillowCodec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    original = picture(40, 40)
    assert codec.decode(codec.encode(original, 40)).shape == original.shape


def test_damage_is_an_error(codec: PillowCodec) -> None:
    with pytest.raises(BitstreamError):
        codec.decode(codec.encode(picture(40, 40), 40)[:30])
    with pytest.raises(BitstreamError):
        codec.decode(b"")
    with pytest.raises(BitstreamError, match="head"):
        codec.decode(b"K12")


def test_files_are_the_librarys_own() -> None:
    original = picture(64, 64)
    file = io.BytesIO()
    Image.fromarray(original).save(file, "JPEG", quality=75)  # 4:2:0 is the library's default
    assert PillowCodec("jpeg").encode(original, 75) == file.getvalue()
    gray = picture(64, 64, 1)
    file = io.BytesIO()
    Image.fromarray(gray[:, :, 0]).save(file, "JPEG", quality=75)
    assert PillowCodec("jpeg").encode(gray, 75) == file.getvalue()


def test_stated_colour_of_avif_is_in_the_file() -> None:
    try:
        codec = PillowCodec("avif")
    except UnsupportedError as error:
        pytest.skip(str(error))
    data = codec.encode(picture(64, 64), 50)
    colour = data[data.index(b"colrnclx") + 8 :]
    # Matrix 6 is BT.601's; the top bit of the last byte is full range (ISO/IEC 23091-2).
    assert (int.from_bytes(colour[4:6], "big"), colour[6] >> 7) == (6, 1)
    assert (codec.settings["matrix"], codec.settings["range"]) == ("bt601", "full")


def test_avif_takes_a_speed_and_states_it() -> None:
    try:
        usual, slow = PillowCodec("avif"), Baseline("avif", preset="0").open()
    except UnsupportedError as error:
        pytest.skip(str(error))
    assert (usual.settings["speed"], slow.settings["speed"]) == (6, 0)
    original = picture(64, 96)
    assert slow.encode(original, 60) != usual.encode(original, 60)
    for preset in ("11", "-1", "slow"):
        with pytest.raises(InvalidInputError, match=f"0 to 10, not '{preset}'"):
            Baseline("avif", preset=preset).open()
    with pytest.raises(InvalidInputError, match="AVIF has 0 to 10"):
        PillowCodec("jpeg", 3)


def test_settings_and_versions_are_stated(codec: PillowCodec) -> None:
    assert codec.settings["quality"]
    (version,) = codec.versions.values()
    assert version[0].isdigit()


def test_absent_codec_is_one_clear_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check_module", lambda name: False)
    monkeypatch.setattr(features, "check_codec", lambda name: False)
    for name in NAMES:
        with pytest.raises(UnsupportedError, match=f"built without {name}"):
            PillowCodec(name)
