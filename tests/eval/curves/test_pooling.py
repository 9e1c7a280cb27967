from dataclasses import replace

import pytest

from kodec.eval import Curve, pool
from kodec.eval.curves.pooling import pair
from kodec.native import InvalidInputError

A = Curve(
    "codec, a", (1, 2), (30, 33), "psnr-y", sequence="a_64x32.yuv", frames=30,
    settings=("QP 32", "QP 27"),
)  # fmt: skip
B = Curve(
    "codec, b", (6, 3), (39, 36), "psnr-y", sequence="b_64x32.yuv", frames=10,
    settings=("QP 27", "QP 32"),
)  # fmt: skip


def test_points_of_one_setting_are_averaged_by_frames() -> None:
    pooled = pool([A, B], "set")
    assert pooled.settings == ("QP 32", "QP 27")
    assert pooled.rates == pytest.approx((1.5, 3)) and pooled.values == pytest.approx((31.5, 34.5))
    assert (pooled.averaging, pooled.frames) == ("pooled over frames, frame-weighted", 40)
    assert [member.rates for member in pooled.members] == [(1, 2), (3, 6)]


def test_equal_weights_where_frames_are_not_known() -> None:
    pooled = pool([A, replace(B, frames=None)], "set")
    assert pooled.rates == (2, 4) and pooled.averaging == "mean over sequences"


def test_order_of_rate_where_settings_differ() -> None:
    pooled = pool([A, replace(B, settings=("q 1", "q 2"), frames=30)], "set")
    assert pooled.rates == (2, 4) and "in order of rate" in pooled.notes[0]


def test_curves_without_a_mean() -> None:
    with pytest.raises(InvalidInputError, match="2 points.*1"):
        pool([A, Curve("short", (1,), (30,), "psnr-y")], "set")
    with pytest.raises(InvalidInputError, match="psnr-y over bpp.*psnr-u over bpp"):
        pool([A, replace(B, metric="psnr-u")], "set")
    with pytest.raises(InvalidInputError, match="no curves"):
        pool([], "set")


def test_sequences_are_matched_by_name() -> None:
    other = [replace(B, sequence="B 64x32"), replace(A, sequence="folder/A_64x32.y4m")]
    pairs, remarks = pair([A, B], other)
    assert [(test.name, anchor.name) for test, anchor in pairs] == [
        ("codec, a", "codec, a"),
        ("codec, b", "codec, b"),
    ]
    assert remarks == []
    pairs, remarks = pair([A, B], [B])
    assert len(pairs) == 1 and remarks == ["TEST alone has a_64x32.yuv: left out"]
    pairs, remarks = pair([A], [B])
    assert remarks == ["compared though named differently: a_64x32.yuv and b_64x32.yuv"]


def test_sets_that_do_not_match() -> None:
    with pytest.raises(InvalidInputError, match="TEST has two curves of a_64x32.yuv"):
        pair([A, A], [A])
    with pytest.raises(InvalidInputError, match="no sequence in common"):
        pair([A, B], [replace(A, sequence="c")])
    unnamed = replace(A, sequence=None)
    with pytest.raises(InvalidInputError, match="TEST has codec, a alone"):
        pair([unnamed], [A, B])


def test_names_that_differ_in_suffix_or_folder_alone_are_kept_apart() -> None:
    def named(*sequences: str) -> list[Curve]:
        return [Curve(s, (1.0, 2.0), (30.0, 33.0), "psnr-rgb", sequence=s) for s in sequences]

    both = named("a.png", "a.jpg", "x/b.png", "y/b.png", "c.png")
    pairs, remarks = pair(both, named("c.webp", "y/b.png", "x/b.png", "a.jpg", "a.png"))
    assert remarks == []
    assert [(test.name, anchor.name) for test, anchor in pairs] == [
        *((name, name) for name in ("a.png", "a.jpg", "x/b.png", "y/b.png")),
        ("c.png", "c.webp"),
    ]
    pairs, remarks = pair(both, named("a.png", "c.png"))
    assert [test.name for test, _ in pairs] == ["a.png", "c.png"]
    with pytest.raises(InvalidInputError, match="TEST has two curves of a.png"):
        pair(named("a.png", "a.png"), named("a.png", "b.png"))
