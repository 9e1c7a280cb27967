import os
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from coded_streams import NO_OVERRIDES, make_tables, sample
from deadly_tasks import deadly_executor
from kodec.codecs import Picture, write_picture
from kodec.codecs.video_files.frames import read_raw, write_raw
from kodec.eval import (
    Frame,
    ImageRow,
    PartialRows,
    PictureSource,
    Results,
    VideoFormat,
    VideoSource,
    evaluate_sources,
    psnr,
)
from kodec.eval.baselines import Baseline, PillowCodec
from kodec.native import Encoder, KodecError

JPEG = Baseline("jpeg").open


@pytest.fixture
def pictures(tmp_path: Path) -> list[PictureSource]:
    sources = []
    for number in range(3):
        pixels = np.random.default_rng(number).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        write_picture(tmp_path / f"{number}.png", Picture(pixels))
        sources.append(PictureSource(tmp_path / f"{number}.png"))
    return sources


class Counting(PillowCodec):
    """Counts what it encodes."""

    encoded: list[int | None]

    def encode(self, image: NDArray[np.uint8], quality: int | None) -> bytes:
        self.encoded.append(quality)
        return super().encode(image, quality)


def counting() -> Counting:
    codec = Counting("jpeg")
    object.__setattr__(codec, "encoded", [])
    return codec


def without_times(results: Results) -> tuple[dict[str, list[float]], list[tuple[object, ...]]]:
    columns = {k: v for k, v in results.results.items() if not k.endswith("_time")}
    rows: list[tuple[object, ...]] = [
        (row.image, row.quality, row.bytes, row.metrics) for row in results.per_image
    ]
    return columns, rows


def test_rows_say_what_they_rest_on(pictures: list[PictureSource]) -> None:
    results = evaluate_sources(JPEG, pictures, [50], ["psnr-rgb", "psnr-y"])
    assert results.settings["chroma"] == "4:2:0" and results.versions["libjpeg-turbo"]
    assert "mean over the pictures" in results.averaging and "untimed" in results.timing
    assert all(row.peak_memory and row.peak_memory > 2**20 for row in results.per_image)
    assert results.peak_memory == max(row.peak_memory or 0 for row in results.per_image)
    assert {row.colour_format for row in results.per_image} == {"rgb24"}
    assert results.metrics == ["psnr-rgb", "psnr-y"]


def test_first_picture_is_coded_once_untimed(pictures: list[PictureSource]) -> None:
    codec = counting()
    evaluate_sources(lambda: codec, pictures[:2], [30, 60], ["psnr-rgb"])
    assert codec.encoded == [30, 30, 60, 30, 60]


def test_several_processes_measure_the_same(pictures: list[PictureSource]) -> None:
    alone = evaluate_sources(JPEG, pictures, [30, 60], ["psnr-rgb"])
    calls: list[int] = []
    together = evaluate_sources(
        JPEG, pictures, [30, 60], ["psnr-rgb"], jobs=2, progress=lambda n, *_: calls.append(n)
    )
    assert without_times(alone) == without_times(together)
    assert calls == list(range(7))
    assert together.machine["processes"] == 2 and together.machine["threads"] == 1


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_cannot_be_read_is_left_out(
    jobs: int, pictures: list[PictureSource], tmp_path: Path
) -> None:
    sound = [pictures[0], pictures[2]]
    expected = evaluate_sources(JPEG, sound, [30, 60], ["psnr-rgb"])
    (tmp_path / "1.png").write_text("no picture")
    calls: list[int] = []
    results = evaluate_sources(
        *(JPEG, pictures, [30, 60], ["psnr-rgb"]),
        jobs=jobs,
        progress=lambda n, *_: calls.append(n),
    )
    (left,) = results.left_out
    assert left["file"] == "1.png" and "not a picture" in left["reason"]
    assert without_times(replace(results, left_out=[])) == without_times(expected)
    assert (calls[0], calls[-1]) == (0, 6)


class Fussy(PillowCodec):
    """Refuses some pictures, by their samples; counts its attempts."""

    refused: frozenset[bytes] = frozenset()
    attempts = 0

    def encode(self, image: NDArray[np.uint8], quality: int | None) -> bytes:
        type(self).attempts += 1
        if image.tobytes() in self.refused:
            raise KodecError("it cannot be coded")
        return super().encode(image, quality)


def test_what_the_codec_refuses_is_left_out_unless_it_refuses_all(
    pictures: list[PictureSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = [source.read().tobytes() for source in pictures]
    codec = Fussy("jpeg")
    monkeypatch.setattr(Fussy, "refused", frozenset(samples[:1]))
    results = evaluate_sources(lambda: codec, pictures, [30, 60], ["psnr-rgb"])
    assert [left["file"] for left in results.left_out] == ["0.png"]
    assert {row.image for row in results.per_image} == {"1.png", "2.png"}
    monkeypatch.setattr(Fussy, "refused", frozenset(samples))
    monkeypatch.setattr(Fussy, "attempts", 0)
    more = [replace(source, path=source.path.with_name("more.png")) for source in pictures[:1]]
    shutil.copy(pictures[0].path, more[0].path)
    with pytest.raises(KodecError, match=r"jpeg on .*2\.png: it cannot be coded"):
        evaluate_sources(lambda: codec, [*pictures, *more], [30, 60], ["psnr-rgb"])
    assert Fussy.attempts == 3


def test_a_picture_that_lacks_a_needed_metric_is_left_out(
    pictures: list[PictureSource], tmp_path: Path
) -> None:
    large = np.random.default_rng(0).integers(0, 256, (170, 165, 3), dtype=np.uint8)
    write_picture(tmp_path / "large.png", Picture(large))
    sources = [*pictures[:1], PictureSource(tmp_path / "large.png")]
    names = ["psnr-rgb", "ms-ssim-rgb"]
    results = evaluate_sources(JPEG, sources, [30], names, needed=["ms-ssim-rgb"])
    assert results.left_out[0]["file"] == "0.png"
    assert "cannot have ms-ssim-rgb, as it is below 161 pixels" in results.left_out[0]["reason"]
    assert {row.image for row in results.per_image} == {"large.png"}
    assert results.metrics == ["psnr-rgb", "ms-ssim-rgb", "ms-ssim-db-rgb"]
    assert not evaluate_sources(JPEG, sources, [30], names).left_out


class Crowded(PillowCodec):
    """Fails, and says how many threads came while it used the entropy coder and torch."""

    def encode(self, image: NDArray[np.uint8], quality: int | None) -> bytes:
        tables = make_tables([256])
        symbols, indexes = sample(np.random.default_rng(0), 1 << 21, np.array([8.0]))
        seen, over = [], threading.Event()
        own = len(os.listdir("/proc/self/task")) + 1

        def watch() -> None:
            while not over.wait(0.001):
                seen.append(len(os.listdir("/proc/self/task")) - own)

        watcher = threading.Thread(target=watch)
        watcher.start()
        # Until the watcher has had its turns, however busy the machine is.
        while len(seen) < 5:
            encoder = Encoder()
            encoder.add(symbols.astype(np.int16), indexes, tables, NO_OVERRIDES)
            encoder.finish()
        over.set()
        watcher.join()
        variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        limits = [os.environ.get(name) for name in variables]
        raise KodecError(f"{max(seen)} more threads, {torch.get_num_threads()}, {limits}")


def test_a_picture_that_kills_its_process_is_left_out(
    pictures: list[PictureSource], monkeypatch: pytest.MonkeyPatch
) -> None:
    def kills(task: tuple[PictureSource, int]) -> bool:
        return task[0].path.name == "1.png"

    monkeypatch.setattr("kodec.eval.running.run.open_executor", deadly_executor(kills))
    results = evaluate_sources(JPEG, pictures, [30, 60], ["psnr-rgb"])
    (left,) = results.left_out
    assert left["file"] == "1.png" and "process was killed" in left["reason"]
    expected = evaluate_sources(JPEG, [pictures[0], pictures[2]], [30, 60], ["psnr-rgb"])
    assert without_times(replace(results, left_out=[])) == without_times(expected)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="threads are counted in /proc")
def test_a_process_of_several_has_one_thread(pictures: list[PictureSource]) -> None:
    with pytest.raises(KodecError, match=r": 0 more threads, 1, \['1', '1'\]"):
        evaluate_sources(partial(Crowded, "jpeg"), pictures[:1], [30], ["psnr-rgb"], jobs=2)


def test_what_is_finished_is_not_measured_again(
    pictures: list[PictureSource], tmp_path: Path
) -> None:
    path, codec = tmp_path / "r.partial", counting()

    def run(qualities: list[int | None], sources: list[PictureSource] = pictures) -> Results:
        codec.encoded.clear()
        kept = PartialRows(path)
        return evaluate_sources(lambda: codec, sources, qualities, ["psnr-rgb"], partial=kept)

    (tmp_path / "2.png").rename(tmp_path / "away.png")
    (tmp_path / "2.png").write_text("no picture")
    assert [left["file"] for left in run([30, 60]).left_out] == ["2.png"]
    assert len(PartialRows(path).rows) == 4
    (tmp_path / "away.png").rename(tmp_path / "2.png")
    results = run([30, 60])
    assert codec.encoded == [30, 30, 60]  # the third picture, after its warming up
    assert without_times(results) == without_times(
        evaluate_sources(JPEG, pictures, [30, 60], ["psnr-rgb"])
    )
    run([30, 60])
    assert codec.encoded == []
    run([30, 70])
    assert codec.encoded == [70, 70, 70, 70]
    # A picture that has changed is another.
    pictures[0].path.write_bytes(pictures[1].path.read_bytes())
    run([30], pictures[:1])
    assert codec.encoded == [30, 30]
    kept = PartialRows(path)
    codec.encoded.clear()
    evaluate_sources(lambda: codec, pictures[:1], [30], ["psnr-y"], partial=kept)
    assert codec.encoded == [30, 30]  # another metric


class RawSequences(PillowCodec):
    """Codes sequences as they are; what it decodes them to is said beforehand."""

    sequence_settings: dict[str, str | int | bool] = {"kind": "raw"}
    decoded: Sequence[Frame] = ()

    def encode_sequence(
        self,
        frames: Iterable[Frame],
        form: VideoFormat,
        quality: int | None,
        on_frame: Callable[[int, float], None] | None = None,
    ) -> bytes:
        return b"".join(plane.tobytes() for frame in frames for plane in frame)

    def decode_sequence(self, data: bytes) -> Iterator[Frame]:
        return iter(self.decoded)


def make_clip(path: Path, count: int = 4) -> VideoFormat:
    form = VideoFormat(64, 48, fps=Fraction(25))
    with path.open("wb") as file:
        for number in range(count):
            y, x = np.mgrid[0:48, 0:64]
            luma = (120 + 60 * np.sin((x + 3 * number) / 6) + 40 * np.cos(y / 5)).astype(np.uint8)
            write_raw(file, (luma, luma[::2, ::2] // 2, luma[1::2, 1::2] // 3))
    return form


def test_sequences_have_means_over_their_frames(tmp_path: Path) -> None:
    path = tmp_path / "clip_64x48_25.yuv"
    form = make_clip(path)
    make = partial(Baseline, "x264", structure="low-delay")
    codec = make().open()
    results = evaluate_sources(make().open, [VideoSource(path)], [30], ["psnr-y", "psnr-u"])
    assert codec.name == "x264"
    data = codec.encode_sequence(read_raw(path, form), form, 30)  # type: ignore[union-attr]
    decoded = codec.decode_sequence(data)  # type: ignore[union-attr]
    values = [psnr(a[0], b[0]) for a, b in zip(read_raw(path, form), decoded, strict=True)]
    (row,) = results.per_image
    assert (row.frames, row.fps, row.colour_format) == (4, 25.0, "yuv420p")
    assert row.bpp == pytest.approx(8 * len(data) / (64 * 48 * 4))
    assert row.metrics["psnr-y"] == pytest.approx(np.mean(values))
    assert results.settings["structure"] == "low-delay"
    assert "frames" in results.averaging
    assert results.results["encoding_time"] == [row.encoding_time] and row.encoding_time
    limited = evaluate_sources(make().open, [VideoSource(path, limit=2)], [30], ["psnr-y"])
    assert limited.per_image[0].frames == 2 and limited.settings["frames"] == "the first 2"


@pytest.mark.parametrize(("kept", "message"), [(3, "only 3 frames"), (5, "more frames came back")])
def test_lost_and_invented_frames_are_errors(kept: int, message: str, tmp_path: Path) -> None:
    path = tmp_path / "clip_64x48_25.yuv"
    form = make_clip(path)
    make_clip(tmp_path / "longer.yuv", 5)

    class Codec(RawSequences):
        decoded = list(read_raw(tmp_path / "longer.yuv", form))[:kept]

    with pytest.raises(KodecError, match=rf"jpeg on .*clip_64x48_25\.yuv: {message}"):
        evaluate_sources(lambda: Codec("jpeg"), [VideoSource(path)], [30], ["psnr-y"])


def test_picture_codec_refuses_sequences(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip_64x48_25.yuv")
    source = VideoSource(tmp_path / "clip_64x48_25.yuv")
    with pytest.raises(KodecError, match="codes pictures"):
        evaluate_sources(JPEG, [source], [30], ["psnr-y"])


def test_rows_of_old_files_have_no_more_than_they_had() -> None:
    row = ImageRow("a.png", 8, 64, 32, 100, 0.39, {}, 0.25, 0.5)
    assert (row.frames, row.fps, row.peak_memory) == (1, None, None)
