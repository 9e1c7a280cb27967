import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import kodec.eval.bench.instruction_sets as instruction_sets
import kodec.eval.bench.race as race
from kodec.commands.benching import SIMD, _write_pan
from kodec.eval import SIMD_NAMES, VideoSource, available_simd, bench_layers
from kodec.models import LappedAnalysis
from kodec.models.blocks import PaddedConv2d

Cli = Callable[..., Any]

SMALL = ("bench", "coder", "--symbols", 1000, "--repeats", 1)


@pytest.fixture(autouse=True)
def once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times don't matter here: nothing is repeated to fill them."""
    monkeypatch.setattr(race, "LEAST_SECONDS", 1e-9)


def test_json_holds_all_that_was_measured(
    kodec: Cli, tiny_model: Path, save_picture: Callable[..., Path]
) -> None:
    outcome = kodec(
        *SMALL,
        "--json",
        "--model",
        tiny_model,
        "--qualities",
        "10,40",
        *("--picture", save_picture("a.png"), "--picture", save_picture("b.png", 33, 20)),
    )
    assert (outcome.status, outcome.err) == (0, "")
    report = json.loads(outcome.out)
    assert set(report) == {
        *("benchmark", "machine", "settings", "workloads", "short_streams", "pictures", "notes")
    }
    assert report["benchmark"] == "coder"
    assert {"cpu", "cores", "simd", "simd_available", "kodec", "torch"} <= set(report["machine"])
    assert report["settings"]["symbols"] == 1000 and report["settings"]["threads"] == 1
    assert [one["name"] for one in report["workloads"]] == ["A", "B"]
    assert [one["name"] for one in report["pictures"]] == [
        f"{name}, quality {quality}" for name in ("a.png", "b.png") for quality in (10, 40)
    ]
    for measured in (*report["workloads"], *report["pictures"]):
        assert set(measured) == {
            *("name", "description", "ideal", "symbols", "zeros_percent", "ideal_bits_per_symbol"),
            "rows",
        }
        for row in measured["rows"]:
            assert set(row) == {
                *("coder", "simd", "types", "blocks", "symbols", "bytes", "ideal_bytes"),
                *("excess_percent", "encode", "decode", "encode_ratio", "decode_ratio"),
            }
            assert set(row["encode"]) == set(row["decode"]) == {"median", "least", "most"}
            assert row["encode_ratio"] is None or set(row["encode_ratio"]) == {
                *("median", "low", "high")
            }
    assert {one["symbols"] for one in report["short_streams"]} >= {1, 100, 1000}


def test_the_table_names_the_machine_and_has_a_line_for_each_coder(
    kodec: Cli, tiny_model: Path, save_picture: Callable[..., Path]
) -> None:
    outcome = kodec(
        *SMALL,
        "--simd",
        "scalar",
        "--model",
        tiny_model,
        "--qualities",
        "10",
        *("--picture", save_picture("a.png")),
    )
    assert (outcome.status, outcome.err) == (0, "")
    lines = outcome.out.splitlines()
    assert f"scalar of {', '.join(available_simd())}" in lines[0] and "compressai" in lines[0]
    assert "one thread, CPU time of the thread" in lines[1]
    titles = [line.split(":")[0] for line in lines if " symbols, " in line and "zeros" in line]
    assert titles == ["A", "B", "a.png, quality 10"]
    rows = [line for line in lines if line.startswith("kodec scalar")]
    assert len(rows) == 4 + 4 + 1
    assert [line.split()[-4:] for line in lines if line.startswith("CompressAI")] == [
        ["1.00x", "(1.00..1.00)"] * 2
    ] * 2


def test_without_a_picture_it_is_the_demos(
    kodec: Cli, fixed_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("KODEC_DATA", raising=False)
    outcome = kodec(*SMALL, "--json", "--simd", "scalar", "--model", fixed_model)
    (picture,) = json.loads(outcome.out)["pictures"]
    assert picture["name"] == "demo's picture"


def test_kodaks_first_picture_where_it_is(
    kodec: Cli,
    tiny_model: Path,
    save_picture: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "data" / "kodak").mkdir(parents=True)
    for name in ("kodim02.png", "kodim01.png"):
        save_picture(name).rename(tmp_path / "data" / "kodak" / name)
    monkeypatch.setenv("KODEC_DATA", str(tmp_path / "data"))
    outcome = kodec(*SMALL, "--json", "--simd", "scalar", "--model", tiny_model, "--qualities", 9)
    names = [one["name"] for one in json.loads(outcome.out)["pictures"]]
    assert names == ["demo's picture, quality 9", "kodim01.png, quality 9"]


def test_the_commands_names_are_the_coders() -> None:
    assert set(SIMD) == set(SIMD_NAMES)


def test_a_picture_has_times_stages_and_memory(
    kodec: Cli, tiny_model: Path, save_picture: Callable[..., Path]
) -> None:
    small = ("bench", "picture", save_picture("a.png"), "--model", tiny_model, "--repeats", 2)
    outcome = kodec(*small, "--qualities", "10,40", "--threads", 1, "--peer", "--json")
    assert (outcome.status, outcome.err) == (0, "")
    report = json.loads(outcome.out)
    assert report["settings"]["clock"] == "CPU time of the thread"
    assert [(row["codec"], row["quality"]) for row in report["rows"]] == [
        ("kodec tiny", 10),
        ("kodec tiny", 40),
        ("CompressAI bmshj2018-hyperprior", None),
    ]
    low, high, peer = report["rows"]
    assert low["bytes"] < high["bytes"] and low["bpp"] == 8 * low["bytes"] / (40 * 56)
    assert peer["encode_ratio"]["median"] == 1 and peer["stages"] == peer["peak_memory"] == {}
    for verb in ("encode", "decode"):
        assert low["peak_memory"][verb] > 2**20
        parts = low["stages"][verb]
        assert all(parts[stage] > 0 for stage in ("coder", "symbols", "networks", "transform"))
    lines = kodec(*small, "--qualities", 10).out.splitlines()
    assert lines[2].split()[:4] == ["picture", "size", "codec", "quality"]
    assert lines[3].split()[:3] == ["a.png", "56x40", "kodec"]
    assert [line.split()[2] for line in lines[-2:]] == ["encode", "decode"]


def test_systems_are_measured_beside_compressais(
    kodec: Cli, save_picture: Callable[..., Path]
) -> None:
    small = ("bench", "systems", "--picture", save_picture("a.png", 64, 128), "--repeats", 1)
    outcome = kodec(*small, "--configs", "bmshj2018-factorized, tiny", "--json")
    assert (outcome.status, outcome.err) == (0, "")
    rows = json.loads(outcome.out)["rows"]
    assert [(row["system"], row["coder"]) for row in rows] == [
        ("bmshj2018-factorized", "CompressAI"),
        ("bmshj2018-factorized", "local"),
        ("bmshj2018-factorized", "guarded"),
        ("tiny", "local"),
        ("tiny", "guarded"),
    ]
    theirs, ours = rows[0]["bytes"], rows[1]["bytes"]
    # The same latents, enough of them to be worth coding.
    assert theirs > 1000 and abs(ours - theirs) < 0.03 * theirs + 64
    assert rows[1]["encode_ratio"]["median"] > 0 and rows[3]["encode_ratio"] is None
    assert "tiny" in kodec(*small, "--configs", "tiny").out.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            "systems --configs nonsense",
            "no config of pictures 'nonsense': choose from bmshj2018-factorized,",
        ),
        ("systems --configs stem", "no config of pictures 'stem': choose"),
        ("systems --picture GRAY", "gray.png is gray or below 64x64"),
        ("picture GRAY --peer", "codes RGB pictures"),
        ("picture missing.png", "missing.png: No such file"),
    ],
)
def test_pictures_that_cannot_be_measured(
    kodec: Cli, save_picture: Callable[..., Path], arguments: str, words: str
) -> None:
    gray = save_picture("gray.png", components=1)
    outcome = kodec("bench", *arguments.replace("GRAY", str(gray)).split())
    assert outcome.status == 1 and words in outcome.complaint


def test_layers_are_measured_beside_pytorchs(kodec: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = {"5x5 / 2": (lambda: PaddedConv2d(4, 8, 5, 2), 4, (8, 16))}
    transforms = {"lapped": (partial(LappedAnalysis, 4), 3, (16, 32))}
    measure = partial(bench_layers, layers=layers, transforms=transforms, raster=(8, 4, 4))
    monkeypatch.setattr("kodec.eval.bench_layers", measure)
    outcome = kodec("bench", "layers", "--repeats", 1, "--json")
    assert (outcome.status, outcome.err) == (0, "")
    rows = json.loads(outcome.out)["rows"]
    assert [(row["layer"], row["input"], row["way"]) for row in rows] == [
        ("5x5 / 2", "16x8", "kodec"),
        ("5x5 / 2", "16x8", "PyTorch"),
        ("lapped", "32x16", "kodec"),
        ("lapped", "32x16", "PyTorch"),
        ("raster order of latents", "4x4", "kodec"),
        ("raster order of latents", "4x4", "CompressAI"),
    ]
    assert rows[0]["ratios"] == {"run": None} and rows[1]["ratios"]["run"]["median"] > 0
    assert set(rows[5]["seconds"]) == {"encode", "decode"}
    assert "CompressAI" in kodec("bench", "layers", "--repeats", 1).out.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("bench", "required"),
        ("bench decoder", "invalid choice: 'decoder'"),
        ("bench coder --simd sse9", "invalid choice: 'sse9'"),
        ("bench coder --symbols 0", "a whole number from 1 on is needed, not '0'"),
        ("bench coder --repeats 1.5", "a whole number from 1 on is needed, not '1.5'"),
        ("bench coder --threads -1", "a whole number from 1 on is needed, not '-1'"),
        ("bench coder --qualities 64", "quality goes from 0 to 63"),
    ],
)
def test_wrong_usage(kodec: Cli, arguments: str, words: str) -> None:
    outcome = kodec(*arguments.split())
    assert outcome.status == 2 and words in outcome.complaint


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--picture missing.png", "missing.png: No such file"),
        ("--picture text.png", "not a picture"),
        ("--model nonsense", "no model 'nonsense'"),
        ("--model FIXED --picture a.png --qualities 10", "one fixed rate"),
        ("--model FIXED --picture a.png --symbols 10", "a workload has 1,000 to"),
        ("--model FIXED --picture a.png --simd avx2", "avx2 does not run on this machine"),
    ],
)
def test_what_cannot_be_measured_is_one_line(
    kodec: Cli,
    fixed_model: Path,
    save_picture: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: str,
    words: str,
) -> None:
    save_picture("a.png")
    (tmp_path / "text.png").write_text("no picture")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KODEC_DATA", raising=False)
    monkeypatch.setattr(instruction_sets, "SIMD_NAMES", ("scalar",))
    outcome = kodec(*SMALL, *arguments.replace("FIXED", str(fixed_model)).split())
    assert outcome.status == 1 and words in outcome.complaint


def test_video_by_stage(kodec: Cli, tiny_model: Path, tmp_path: Path) -> None:
    clip = tmp_path / "a.yuv"
    clip.write_bytes(bytes(range(96)) * 12 * 3)
    base = ("bench", "video", "--model", tiny_model, "--qualities", "40", "--repeats", 1)
    named = (*base, "--video", clip, "--size", "32x24", "--fps", "25", "--frames", "2")
    outcome = kodec(*named)
    assert (outcome.status, outcome.err) == (0, "")
    assert "a.yuv, 2 frames of 32x24 yuv420p" in outcome.out
    titles = "reading colour analysis networks symbols coder synthesis state writing"
    assert titles in " ".join(outcome.out.split())
    report = json.loads(kodec(*named, "--json").out)
    assert report["settings"]["structure"] == "intra"
    assert set(report["rows"][0]["stages"]["decode"]) == set(titles.split())
    assert "name it" in kodec(*base, "--size", "8x8").complaint
    assert "takes 0: name another" in kodec(*named, "--structure", "low-delay").complaint


def test_the_clip_that_is_measured_without_one_moves(tmp_path: Path) -> None:
    source = VideoSource(_write_pan(tmp_path, 3))
    first, second, third = source.open().frames()
    assert source.open().form.height == 288
    # Three pixels to the right and two down, from frame to frame.
    assert np.array_equal(first[0][2:, 3:], second[0][:-2, :-3])
    assert np.array_equal(second[0][2:, 3:], third[0][:-2, :-3])
