"""`kodec encode --model FAMILY`, decoding, and what `info` and `eval` say of such files."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import coordinate_network  # noqa: F401, registers the family
import kodec as package
from kodec.codecs import read_picture
from kodec.eval import psnr, read_results

Cli = Callable[..., Any]
SavePicture = Callable[..., Path]
MODEL = ("--model", "coordinates")


def test_a_picture_there_and_back(kodec: Cli, save_picture: SavePicture, tmp_path: Path) -> None:
    source, coded, out = save_picture(), tmp_path / "a.kdc", tmp_path / "a.png"
    outcome = kodec("encode", source, coded, *MODEL, "--steps", 30, "--quality", 40, "--verify")
    assert (outcome.status, outcome.err) == (0, "")
    assert "parameters, 30 steps" in outcome.out and "bpp" in outcome.out
    assert kodec("decode", coded, out).status == 0
    assert np.array_equal(read_picture(out).pixels, package.decode(coded.read_bytes()))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        {"a.kdc", "a.png", source.name}
    )
    outcome = kodec("info", coded, "--json")
    facts = json.loads(outcome.out)
    assert facts["family"] == "coordinates, version 0" and facts["frames"] == 1
    assert facts["bytes"] == coded.stat().st_size
    assert sum(facts["bytes_per_part"].values()) == pytest.approx(facts["bytes"], abs=1)
    assert "0.weight" in facts["bytes_per_part"]
    assert "coordinates" in kodec("models").out


def test_an_interrupt_writes_the_best_so_far_and_resume_goes_on(
    kodec: Cli, save_picture: SavePicture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, whole, broken = save_picture(), tmp_path / "a.kdc", tmp_path / "b.kdc"
    assert kodec("encode", source, whole, *MODEL, "--steps", 40).status == 0
    descend = coordinate_network.CoordinateFitting.descend

    def interrupted(self: Any, moment: Any) -> None:
        if moment.step == 22:
            os.kill(os.getpid(), signal.SIGINT)
        descend(self, moment)

    with monkeypatch.context() as patch:
        patch.setattr(coordinate_network.CoordinateFitting, "descend", interrupted)
        outcome = kodec("encode", source, broken, *MODEL, "--steps", 40)
    assert outcome.status == 1 and "interrupted after 23 of 40 steps" in outcome.err
    assert package.decode(broken.read_bytes()).shape == read_picture(source).pixels.shape
    assert broken.read_bytes() != whole.read_bytes()
    assert (tmp_path / "b.kdc.fit").is_file()
    assert kodec("encode", source, broken, *MODEL, "--steps", 40, "--resume").status == 0
    assert broken.read_bytes() == whole.read_bytes() and not (tmp_path / "b.kdc.fit").exists()


def test_a_video_there_and_back(kodec: Cli, tmp_path: Path) -> None:
    t, y, x = np.ogrid[:4, :16, :24]
    clip = (127 + 90 * np.sin(x * 0.2 + y * 0.1 + 0.3 * t)).astype(np.uint8)
    source, coded = tmp_path / "a.yuv", tmp_path / "a.kdc"
    source.write_bytes(clip.tobytes())
    raw = ("--size", "24x16", "--pixels", "gray", "--fps", 10)
    outcome = kodec("encode", source, coded, *MODEL, *raw, "--steps", 20, "--frames", 3)
    assert outcome.status == 0 and "3 frames" in outcome.out, outcome.err
    for output in ("out.mkv", "out.y4m", "folder/"):
        outcome = kodec("decode", coded, f"{tmp_path}/{output}", "--start", 1)
        assert outcome.status == 0, outcome.err
    pictures = sorted((tmp_path / "folder").iterdir())
    assert len(pictures) == 2
    frame = package.open_fitted(coded.read_bytes()).reconstruction.frame(1)
    assert np.array_equal(read_picture(pictures[0]).pixels, frame)
    # The lossless file's pixels are the folder's.
    again = tmp_path / "again.kdc"
    assert (
        kodec("encode", tmp_path / "out.mkv", again, *MODEL, "--steps", 0, "--size", "300").status
        == 0
    )
    assert json.loads(kodec("info", again, "--json").out)["frames"] == 2


@pytest.mark.parametrize(
    "options, words",
    [
        ((*MODEL, "--target-bpp", "1"), "takes no --target-bpp: give --size"),
        ((*MODEL, "--add"), "is no file to add to"),
        (("--add",), "for archives of fitted families"),
        ((*MODEL, "--lambda", "1", "--steps", "1"), "for refinement"),
        ((*MODEL, "--preset", "huge"), "has no preset"),
        ((*MODEL, "--resume", "--steps", "2"), "no fit to go on with"),
        ((*MODEL, "--size", "little"), "WIDTHxHEIGHT, or"),
        (("--seed", "3"), "for fitted families"),
        (("--size", "1.5M"), "of a fitted network"),
    ],
)
def test_options_that_mean_nothing(
    kodec: Cli, save_picture: SavePicture, tmp_path: Path, options: Any, words: str
) -> None:
    outcome = kodec("encode", save_picture(), tmp_path / "a.kdc", *options)
    assert outcome.status in (1, 2) and words in outcome.err, outcome.err
    assert outcome.err.count("\n") == 1 and not (tmp_path / "a.kdc").exists()


def test_a_family_is_measured_as_codecs_are(
    kodec: Cli, save_picture: SavePicture, tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    save_picture().rename(folder / "a.png")
    out = tmp_path / "r.json"
    how = (*MODEL, "--dataset", folder, "--qualities", "8,48", "--steps", 4, "--output", out)
    outcome = kodec("eval", *how)
    assert outcome.status == 0, outcome.err
    results = read_results(out)
    assert results.name == "coordinates (4 steps)" and results.settings["fit"] == "4 steps"
    low, high = results.results["bpp"]
    assert low < high
    for row in results.per_image:
        assert sum(row.bytes_by_part.values()) == pytest.approx(row.bytes)
        assert {"0.weight", "header, framing, metadata"} <= row.bytes_by_part.keys()
    assert results.results["macs_per_pixel"] == [row.macs_per_pixel for row in results.per_image]
    page = tmp_path / "report.html"
    assert kodec("report", out, "--output", page, "--metric", "psnr-rgb").status == 0
    text = page.read_text(encoding="utf-8")
    assert "What coding takes" in text and "bytes by part" in text and "0.weight" in text
    sized = (*MODEL, "--dataset", folder, "--qualities", "8", "--size", "900", "--steps", 0)
    assert kodec("eval", *sized, "--output", out).status == 0
    assert read_results(out).name == "coordinates (900 parameters, 0 steps)"


def test_files_that_were_coded_before_are_measured(
    kodec: Cli, save_picture: SavePicture, tmp_path: Path
) -> None:
    folder, coded = tmp_path / "set", tmp_path / "four-steps"
    folder.mkdir()
    coded.mkdir()
    for name in ("a.png", "b.png"):
        save_picture(name, 24, 20 if name == "a.png" else 31).rename(folder / name)
        file = coded / f"{name[0]}.kdc"
        assert kodec("encode", folder / name, file, *MODEL, "--steps", 4).status == 0
    out = tmp_path / "r.json"
    how = ("--dataset", folder, "--output", out)
    outcome = kodec("eval", "--coded", coded, "--coded", coded, *how)
    assert outcome.status == 0, outcome.err
    results = read_results(out)
    assert results.name == "four-steps + four-steps" and len(results.results["bpp"]) == 2
    assert "encoding_time" not in results.results and results.results["macs_per_pixel"][0] > 0
    for row in results.per_image:
        data = (coded / row.image).with_suffix(".kdc").read_bytes()
        pixels = read_picture(folder / row.image).pixels
        assert row.bytes == len(data) and row.metrics["psnr-rgb"] == psnr(
            pixels, package.decode(data)
        )
        assert sum(row.bytes_by_part.values()) == pytest.approx(len(data))
    assert kodec("report", out, "--output", tmp_path / "r.html").status == 0
    one = ("eval", "--coded", coded / "a.kdc")
    assert "2 pictures: name a folder" in kodec(*one, *how).complaint
    assert "not with --coded" in kodec(*one, *how, "--steps", 3).complaint
    (coded / "b.kdc").unlink()
    assert "lacks b.kdc" in kodec("eval", "--coded", coded, *how).complaint


def test_a_family_is_measured_on_sequences_beside_others(kodec: Cli, tmp_path: Path) -> None:
    folder, out = tmp_path / "set", tmp_path / "r.json"
    folder.mkdir()
    t, y, x = np.ogrid[:3, :32, :48]
    clip = (127 + 90 * np.sin(x * 0.2 + y * 0.1 + 0.3 * t)).astype(np.uint8)
    chroma = np.full((3, 32 * 48 // 2), 128, np.uint8)
    frames = np.concatenate([clip.reshape(3, -1), chroma], 1)
    (folder / "a_48x32_25.yuv").write_bytes(frames.tobytes())
    how = ("--dataset", folder, "--size", "48x32", "--fps", 25, "--metrics", "psnr-y")
    outcome = kodec("eval", *MODEL, *how, "--qualities", "8,48", "--steps", 30, "--output", out)
    assert outcome.status == 0, outcome.err
    results = read_results(out)
    assert results.settings["family"] == "coordinates"
    assert min(results.results["psnr-y"]) > 5 and results.results["encoding_time"][0] > 0
    outcome = kodec("eval", *MODEL, *how, "--structure", "intra", "--output", out)
    assert outcome.status == 1 and "mean nothing to a fitted network" in outcome.err


def frames_file(folder: Path, name: str, frames: int, shift: float) -> Path:
    """Raw 4:4:4 of 24x16."""
    t, c, y, x = np.ogrid[:frames, :3, :16, :24]
    clip = 127 + 90 * np.sin(x * 0.2 + y * 0.1 + 0.3 * t + c + shift)
    path = folder / f"{name}_24x16_10.yuv"
    path.write_bytes(clip.astype(np.uint8).tobytes())
    return path


RAW = ("--pixels", "yuv444p")


def test_a_video_is_added_to_an_archive_that_keeps_its_own(kodec: Cli, tmp_path: Path) -> None:
    archive = tmp_path / "a.kdc"
    first, second = (frames_file(tmp_path, *how) for how in (("a", 3, 0.0), ("b", 2, 2.0)))
    outcome = kodec(
        "encode", first, archive, "--model", "pfnr", *RAW, "--size", "60k", "--steps", 4
    )
    assert outcome.status == 0, outcome.err
    before = package.open_fitted(archive.read_bytes())
    outcome = kodec("encode", second, archive, "--add", *RAW, "--steps", 4, "--verify")
    assert outcome.status == 0 and "behind 3 that it had" in outcome.out, outcome.err
    after = package.open_fitted(archive.read_bytes())
    assert after.packets[:1] == before.packets and len(after.packets) == 2
    for number in range(3):
        kept, shown = (found.reconstruction.frame(number) for found in (before, after))
        assert np.array_equal(kept, shown)
    facts = json.loads(kodec("info", archive, "--json").out)
    assert [s["frames"] for s in facts["sessions"].values()] == [3, 2]
    assert facts["sessions"]["1"]["first_frame"] == 3
    outcome = kodec("decode", archive, f"{tmp_path}/folder/", "--session", 1)
    assert outcome.status == 0, outcome.err
    pictures = sorted((tmp_path / "folder").iterdir())
    assert len(pictures) == 2
    assert np.array_equal(read_picture(pictures[0]).pixels, after.reconstruction.frame(3))
    data = archive.read_bytes()
    for options, words in (
        (("--size", "20k"), "is the archive's"),
        (("--preset", "fourier"), "is the archive's"),
        (("--model", "hnerv"), "is of pfnr, not of hnerv"),
    ):
        outcome = kodec("encode", second, archive, "--add", *RAW, *options, "--steps", 1)
        assert outcome.status == 1 and words in outcome.err, outcome.err
    outcome = kodec("decode", archive, f"{tmp_path}/other/", "--session", 2)
    assert outcome.status == 1 and "sessions 0 to 1" in outcome.err
    assert archive.read_bytes() == data


def test_a_fit_ends_at_a_stated_psnr_or_says_that_it_does_not_reach_it(
    kodec: Cli, tmp_path: Path
) -> None:
    source, coded = frames_file(tmp_path, "a", 3, 0.0), tmp_path / "a.kdc"
    how = ("--model", "hnerv", *RAW, "--size", "10k", "--steps", 400)
    outcome = kodec("encode", source, coded, *how, "--target-psnr", 14)
    assert (outcome.status, outcome.err) == (0, ""), outcome.err
    assert "400 steps" not in outcome.out
    outcome = kodec("encode", source, coded, *how[:-1], 2, "--target-psnr", 60)
    assert outcome.status == 0 and "60 dB was not reached" in outcome.err
