"""VTM, HM and VVenC are not here: a script that takes their command line stands for them."""

import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fake_encoder import write_fake_decoder, write_fake_encoder
from kodec.eval import VideoFormat, psnr
from kodec.eval.baselines import Baseline, ExternalCodec
from kodec.native import InvalidInputError, KodecError, UnsupportedError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs executable scripts")


def picture(height: int, width: int, components: int = 3) -> NDArray[np.uint8]:
    y, x = np.mgrid[0:height, 0:width]
    waves = [120 + 60 * np.sin(x / (9 + c)) + 50 * np.cos(y / 7) for c in range(components)]
    pixels: NDArray[np.uint8] = np.stack(waves, axis=2).astype(np.uint8)
    return pixels


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    return write_fake_encoder(tmp_path / "EncoderApp")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "intra.cfg"
    path.write_text("IntraPeriod : 1\n")
    return path


def runs(cache: Path) -> int:
    """How many times an encoder has run, by the logs that were kept."""
    return sum(path.read_text().count("$ ") for path in cache.rglob("log.txt"))


def test_picture_goes_through_the_program(encoder: Path, config: Path, tmp_path: Path) -> None:
    codec, points = ExternalCodec("vtm", encoder, tmp_path / "cache", (config,)), []
    original = picture(33, 47)
    for quality in (42, 27, 12):
        data = codec.encode(original, quality)
        decoded = codec.decode(data)
        assert decoded.shape == original.shape
        points.append((len(data), psnr(original, decoded)))
    assert points == sorted(points) and points[0][1] + 10 < points[-1][1] > 40
    seconds, decoding = codec.seconds_of(data)
    assert seconds > 0 and decoding is None
    (log, *_) = sorted((tmp_path / "cache").rglob("log.txt"))
    command = log.read_text().splitlines()[0]
    for words in ("-wdt 47 -hgt 33", "--InputChromaFormat=444", "--InputBitDepth=8", "-f 1", "-q"):
        assert words in command
    assert f"-c {config}" in command


@pytest.mark.parametrize("name", ["vtm", "hm", "vvenc"])
@pytest.mark.parametrize("shape", [(1, 1, 3), (5, 7, 3), (6, 9, 1)])
def test_odd_sizes_and_gray(
    name: str, shape: tuple[int, int, int], encoder: Path, config: Path, tmp_path: Path
) -> None:
    codec = ExternalCodec(name, encoder, tmp_path / "cache", (config,))
    original = picture(*shape)
    decoded = codec.decode(codec.encode(original, 4))
    assert decoded.shape == shape and psnr(original, decoded) > 30
    assert ("4:2:0" in str(codec.settings["chroma"])) == (name == "vvenc")


def test_ten_bits(encoder: Path, config: Path, tmp_path: Path) -> None:
    original = picture(16, 24)
    values = []
    for depth in (8, 10):
        codec = ExternalCodec("vtm", encoder, tmp_path / "cache", (config,), bit_depth=depth)
        values.append(psnr(original, codec.decode(codec.encode(original, 1))))
        assert codec.settings["bit depth"] == depth
    assert values[1] > values[0]


def test_decoder_makes_the_pixels_where_there_is_one(
    encoder: Path, config: Path, tmp_path: Path
) -> None:
    decoder = write_fake_decoder(tmp_path / "DecoderApp")
    with_decoder = ExternalCodec("vtm", encoder, tmp_path / "cache", (config,), decoder)
    without = ExternalCodec("vtm", encoder, tmp_path / "cache", (config,))
    original = picture(16, 24)
    data = with_decoder.encode(original, 27)
    assert np.array_equal(with_decoder.decode(data), without.decode(without.encode(original, 27)))
    assert with_decoder.seconds_of(data)[1] is not None
    assert with_decoder.settings["decoder"] == "DecoderApp"


def test_cache_is_keyed_by_program_settings_and_input(
    encoder: Path, config: Path, tmp_path: Path
) -> None:
    cache, original = tmp_path / "cache", picture(16, 24)

    def encode(quality: int = 27, image: NDArray[np.uint8] = original) -> bytes:
        return ExternalCodec("vtm", encoder, cache, (config,)).encode(image, quality)

    first = encode()
    assert encode() == first and runs(cache) == 1
    encode(28)
    encode(image=original[:-1])
    assert runs(cache) == 3
    config.write_text("IntraPeriod : 1\nSAO : 0\n")
    encode()
    assert runs(cache) == 4
    encoder.write_text(encoder.read_text() + "\n# another build\n")
    encode()
    assert runs(cache) == 5
    assert not [path for path in cache.iterdir() if not path.name.startswith("vtm-")]


def test_sequences(encoder: Path, config: Path, tmp_path: Path) -> None:
    form = VideoFormat(15, 9, "420", 8, Fraction(30000, 1001))
    rng = np.random.default_rng(0)
    frames = [
        tuple(rng.integers(0, 256, shape, dtype=np.uint8) for shape in form.plane_shapes)
        for _ in range(3)
    ]
    codec = ExternalCodec("vtm", encoder, tmp_path / "cache", (config,))
    decoded = list(codec.decode_sequence(codec.encode_sequence(iter(frames), form, 4)))
    assert [[plane.shape for plane in frame] for frame in decoded] == 3 * [form.plane_shapes]
    assert psnr(frames[2][0], decoded[2][0]) > 40
    log = next((tmp_path / "cache").rglob("log.txt")).read_text()
    assert "-f 3" in log and "-fr 30" in log and "-wdt 16 -hgt 10" in log


def test_failing_program_is_quoted_and_its_log_kept(
    encoder: Path, config: Path, tmp_path: Path
) -> None:
    config.write_text("Fail : 1\n")
    codec = ExternalCodec("vtm", encoder, tmp_path / "cache", (config,))
    with pytest.raises(KodecError, match="failed with status 3.*ERROR: no such option") as caught:
        codec.encode(picture(16, 24), 27)
    (kept,) = (tmp_path / "cache").iterdir()
    assert str(kept) in str(caught.value) and "ERROR: no such option" in kept.read_text()


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("NoStream", "wrote no bitstream; its last line was: Total Time"),
        ("NoRecon", "wrote no reconstruction"),
        ("ShortRecon", "a reconstruction of .* bytes where 1 yuv444p frames of 24x16 have 1,152"),
    ],
)
def test_program_that_does_half_its_work(
    fault: str, message: str, encoder: Path, config: Path, tmp_path: Path
) -> None:
    config.write_text(f"{fault} : 1\n")
    codec = ExternalCodec("vtm", encoder, tmp_path / "cache", (config,))
    with pytest.raises(KodecError, match=message):
        codec.encode(picture(16, 24), 27)
    assert not list((tmp_path / "cache").iterdir())


def test_what_is_missing_is_named(encoder: Path, config: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with pytest.raises(InvalidInputError, match="no program .*nowhere"):
        ExternalCodec("vtm", tmp_path / "nowhere", cache, (config,))
    with pytest.raises(InvalidInputError, match="not executable"):
        ExternalCodec("vtm", config, cache, (config,))
    with pytest.raises(InvalidInputError, match=r"no configuration file .*none\.cfg"):
        ExternalCodec("vtm", encoder, cache, (tmp_path / "none.cfg",))
    with pytest.raises(InvalidInputError, match=r"--config, such as encoder_intra_vtm\.cfg"):
        ExternalCodec("vtm", encoder, cache)
    with pytest.raises(InvalidInputError, match="brings no hm: give --binary"):
        Baseline("hm").open()
    with pytest.raises(InvalidInputError, match="for vtm, hm, vvenc, not jpeg"):
        Baseline("jpeg", binary=encoder).open()
    with pytest.raises(InvalidInputError, match="jpeg has no presets"):
        Baseline("jpeg", preset="slow").open()
    ExternalCodec("vvenc", encoder, cache)  # has settings of its own


def test_version_line_and_hash_of_the_program(encoder: Path, config: Path, tmp_path: Path) -> None:
    codec = ExternalCodec("vtm", encoder, tmp_path / "cache", (config,))
    assert codec.versions == {"vtm": "Fake: VTM Encoder Version [0.1]"}
    assert len(str(codec.settings["binary sha256"])) == 16


def test_only_its_own_streams_are_decoded(encoder: Path, config: Path, tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="just encoded"):
        ExternalCodec("vtm", encoder, tmp_path / "cache", (config,)).decode(b"stream")
