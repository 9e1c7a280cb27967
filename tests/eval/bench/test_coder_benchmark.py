import importlib.util
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import kodec.eval.bench.coder_benchmark as coder_benchmark
import kodec.eval.bench.race as race
from kodec.codecs import load, read_container, read_picture
from kodec.eval import CoderReport, Ratio, available_simd, bench_coder
from kodec.eval.bench.coder_benchmark import decode_item, encode_item, measure_short_streams
from kodec.eval.bench.coder_peers import PEERS, make_peers
from kodec.eval.bench.coder_workloads import GaussianWorkload, picture_items
from kodec.native import Encoder, InvalidInputError, KodecError


@pytest.fixture(scope="module", autouse=True)
def once() -> Iterator[None]:
    """Times don't matter here: nothing is repeated to fill them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(race, "LEAST_SECONDS", 1e-9)
        yield


@pytest.fixture(scope="module")
def report() -> CoderReport:
    return bench_coder(symbols=2000, repeats=2, peers=("compressai",))


@pytest.mark.parametrize(("levels", "bits", "zeros"), [(64, 4.563, 0.28), (21, 0.962, 0.74)])
def test_workloads_are_those_of_the_published_figures(
    levels: int, bits: float, zeros: float
) -> None:
    item = GaussianWorkload("any", levels, 200_000).item()
    assert item.ideal_bits / item.symbols == pytest.approx(bits, rel=0.01)
    assert item.zeros == pytest.approx(zeros, abs=0.01)


def test_ideal_bits_are_those_of_the_gaussians_drawn_from() -> None:
    workload = GaussianWorkload("any", 64, 1000)
    total = 0.0
    for symbol, level in zip(workload.symbols[:50], workload.levels[:50], strict=True):
        scale = 0.11 * (256 / 0.11) ** (int(level) / 63)
        low, high = ((abs(int(symbol)) + d) / (scale * math.sqrt(2)) for d in (-0.5, 0.5))
        total -= math.log2(0.5 * (math.erfc(low) - math.erfc(high)))
    assert workload.item(50).ideal_bits == pytest.approx(total, rel=1e-9)


def test_items_cut_a_workload_without_loss() -> None:
    workload = GaussianWorkload("any", 21, 5003)
    item = workload.item(blocks=7)
    assert len(item.blocks) == 7 and item.symbols == 5003
    assert np.array_equal(np.concatenate([b.symbols for b in item.blocks]), workload.symbols)
    part = workload.item(100, start=40, wide=True)
    assert part.blocks[0].symbols.dtype == np.int32
    assert np.array_equal(part.blocks[0].symbols, workload.symbols[40:140])
    decoded = decode_item(item, encode_item(item))
    assert np.array_equal(np.concatenate(decoded), workload.symbols)


@pytest.mark.parametrize("symbols", [0, 999, 2**26 + 1])
def test_a_workload_has_a_sensible_size(symbols: int) -> None:
    with pytest.raises(InvalidInputError, match="a workload has 1,000 to 67,108,864 symbols"):
        GaussianWorkload("any", 64, symbols)


def test_every_way_of_coding_has_a_row(report: CoderReport) -> None:
    simd = available_simd()
    assert [one.name for one in report.workloads] == ["A", "B"]
    for measured in report.workloads:
        ours = [row for row in measured.rows if row.coder == "kodec"]
        shown = [(row.simd, row.types, row.blocks) for row in ours]
        assert shown == [
            *((name, "int16/uint8", 1) for name in simd),
            (simd[0], "int32/uint8", 1),
            (simd[0], "int16/uint8", 1),
            (simd[0], "int16/uint8", 20),
        ]
        assert {row.bytes for row in ours if row.blocks == 1} == {ours[0].bytes}
        assert [row.coder for row in measured.rows if row.coder != "kodec"] == ["CompressAI"]
    assert report.machine["simd"] == simd[0] and report.machine["simd_available"] == simd
    assert report.machine["cpu"] and report.machine["compressai"]
    assert report.settings["clock"] == "CPU time of the thread" and report.notes == ()


def test_rows_add_up(report: CoderReport) -> None:
    for measured in report.workloads:
        peer = measured.rows[-1]
        for row in measured.rows:
            for speed in (row.encode, row.decode):
                assert 0 < speed.least <= speed.median <= speed.most
            assert row.ideal_bytes == pytest.approx(2000 * measured.ideal_bits_per_symbol / 8)
            assert row.excess_percent == pytest.approx(100 * row.bytes / row.ideal_bytes - 100)
            for ratio in (row.encode_ratio, row.decode_ratio):
                assert ratio is not None and 0 < ratio.low <= ratio.median <= ratio.high
            assert -0.1 < row.excess_percent < 10
        assert peer.encode_ratio == peer.decode_ratio == Ratio(1.0, 1.0, 1.0)


def test_short_streams_are_measured_one_by_one() -> None:
    workload = GaussianWorkload("any", 64, 1000)
    rows = measure_short_streams(workload)
    assert [(row.symbols, row.streams) for row in rows][::4] == [(1, 200), (20, 50), (500, 2)]
    row = rows[-2]
    streams = [encode_item(workload.item(500, start=start)) for start in (0, 500)]
    assert row.bytes == sum(map(len, streams)) / 2
    assert row.ideal_bytes == pytest.approx(workload.bits.sum() / 16)
    assert row.overhead_bytes == pytest.approx(row.bytes - row.ideal_bytes)
    assert all(row.overhead_bytes <= row.most_overhead_bytes for row in rows)
    # What short streams may cost beyond the ideal.
    assert all(row.overhead_bytes <= 16 for row in rows if row.symbols <= 100)


def test_latents_of_a_picture_are_coded_as_the_product_does(
    tiny_model: Path, photo: NDArray[np.uint8]
) -> None:
    codec = load(tiny_model)
    items = picture_items(codec, "photo", photo, [10, 40])
    assert [item.name for item, _ in items] == ["photo, quality 10", "photo, quality 40"]
    for (item, stream), quality in zip(items, (10, 40), strict=True):
        (packet,) = read_container(codec.encode(photo, quality)).packets
        assert encode_item(item) == stream == packet
        # Hyper-latents, and five slices in four phases or two.
        assert len(item.blocks) == 13
        assert item.symbols in codec.network.symbols_per_item(*photo.shape[:2])
        # Its end and its header take up to 17 bytes, tables of rounded scales the rest.
        assert 0 < 8 * len(stream) - item.ideal_bits < 8 * 17 + 0.03 * item.ideal_bits


def test_pictures_are_measured(tiny_model: Path, photo: NDArray[np.uint8]) -> None:
    report = bench_coder(
        symbols=1000,
        repeats=1,
        instruction_sets=["scalar"],
        pictures=[("photo", photo)],
        codec=load(tiny_model),
        qualities=[10, 40],
        peers=(),
    )
    assert [one.name for one in report.pictures] == ["photo, quality 10", "photo, quality 40"]
    for measured in report.pictures:
        (row,) = measured.rows
        assert (row.coder, row.simd, row.blocks) == ("kodec", "scalar", 13)
        assert row.encode_ratio is None and row.symbols == measured.symbols


def test_a_fixed_rate_model_is_measured_once(fixed_model: Path, photo: NDArray[np.uint8]) -> None:
    (one,) = picture_items(load(fixed_model), "photo", photo, [None])
    assert one[0].name == "photo"


def test_wrong_symbols_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*arguments: Any) -> list[NDArray[np.int32]]:
        decoded = decode_item(*arguments)
        decoded[-1][-1] += 1
        return decoded

    monkeypatch.setattr(coder_benchmark, "decode_item", wrong)
    with pytest.raises(KodecError, match="kodec did not give back what was coded of A"):
        bench_coder(symbols=1000, repeats=1, peers=())


def test_different_streams_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def by_simd(*arguments: Any) -> bytes:
        # Other lanes, another stream: as if one instruction set were wrong.
        encoder = Encoder()
        for block in arguments[0].blocks:
            encoder.add(block.symbols, block.indexes, block.tables, block.overrides)
        return encoder.finish(lanes=4 if os.environ["KODEC_SIMD"] == "scalar" else 8)

    if len(available_simd()) == 1:
        pytest.skip("this machine has one instruction set only")
    monkeypatch.setattr(coder_benchmark, "encode_item", by_simd)
    with pytest.raises(KodecError, match="different streams of A"):
        bench_coder(symbols=1000, repeats=1, peers=())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"instruction_sets": ["mmx"]}, "mmx does not run on this machine: choose from .*scalar"),
        ({"repeats": 0}, "at least one repeat"),
        ({"threads": 0}, "one thread"),
        ({"pictures": [("photo", np.zeros((8, 8, 3), np.uint8))]}, "need a codec"),
        ({"peers": ["zip"]}, "no adapter for 'zip'"),
    ],
)
def test_what_cannot_be_measured(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInputError, match=words):
        bench_coder(**{"symbols": 1000, "repeats": 1, "peers": (), **arguments})


@pytest.mark.parametrize("before", [None, "scalar", "nonsense"])
def test_the_environment_is_left_as_it_was(
    monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    monkeypatch.delenv("KODEC_SIMD", raising=False)
    if before is not None:
        monkeypatch.setenv("KODEC_SIMD", before)
    report = bench_coder(symbols=1000, repeats=1, peers=())
    assert os.environ.get("KODEC_SIMD") == before
    assert report.machine["simd"] == available_simd()[0]


def test_several_threads_are_timed_by_the_clock_on_the_wall() -> None:
    report = bench_coder(symbols=1000, repeats=1, threads=2, peers=())
    assert report.settings["clock"] == "wall-clock time" and report.settings["threads"] == 2


def test_progress_ends_where_it_said() -> None:
    calls: list[tuple[int, int, str]] = []
    bench_coder(symbols=1000, repeats=2, peers=(), progress=lambda *call: calls.append(call))
    assert [call[:2] for call in calls] == [(step, 6) for step in range(7)]
    assert [call[2] for call in calls] == ["A"] * 3 + ["B"] * 3 + ["done"]


def test_peers_that_do_not_work_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    workload = GaussianWorkload("any", 21, 1000)
    monkeypatch.setitem(sys.modules, "torchac", None)
    monkeypatch.setattr(
        "kodec.eval.bench.coder_peers.peer_versions", lambda: {"compressai": "1", "torchac": "1"}
    )
    peers, notes = make_peers(workload, tuple(PEERS))
    assert [peer.name for peer in peers] == ["CompressAI"]
    assert notes[0] == "constriction is not installed"
    assert notes[1].startswith("torchac is left out: ")


@pytest.mark.parametrize("distribution", list(PEERS))
def test_peers_give_back_the_symbols(distribution: str) -> None:
    if importlib.util.find_spec(distribution) is None:
        pytest.skip(f"{distribution} is not installed")
    workload = GaussianWorkload("any", 64, 2000)
    peers, notes = make_peers(workload, (distribution,))
    if notes:
        pytest.skip(notes[0])
    for peer in peers:
        stream = peer.encode()
        values = peer.values(peer.decode(stream))
        assert np.array_equal(values, workload.symbols[: peer.symbols])
        assert peer.size(stream) == pytest.approx(workload.bits.sum() / 8, rel=0.03)


@pytest.fixture
def photo(save_picture: Any) -> NDArray[np.uint8]:
    return read_picture(save_picture("photo.png", 70, 90)).pixels
