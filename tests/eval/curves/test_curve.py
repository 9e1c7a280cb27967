import pytest

from kodec.eval import Curve
from kodec.native import InvalidInputError

KBPS = Curve("x", (100, 200), (30, 33), "psnr-y", rate_unit="kbps", size=(100, 50), fps=10)


def test_rates_in_both_units() -> None:
    bpp = KBPS.in_bpp()
    assert (bpp.rate_unit, bpp.rates) == ("bpp", (2, 4))
    assert bpp.in_bpp() is bpp and KBPS.in_kbps() is KBPS
    assert bpp.in_kbps() == KBPS


def test_what_is_missing_is_asked_for() -> None:
    kbps = Curve("x", (100,), (30,), "psnr-y", rate_unit="kbps")
    with pytest.raises(InvalidInputError, match="--size WxH.*--fps F"):
        kbps.in_bpp()
    with pytest.raises(InvalidInputError, match="picture size"):
        Curve("x", (1,), (30,), "psnr-y").in_kbps()


def test_curves_that_contradict_themselves() -> None:
    with pytest.raises(InvalidInputError, match="bpp or kbps, not mbps"):
        Curve("x", (1,), (30,), "psnr-y", rate_unit="mbps")
    with pytest.raises(InvalidInputError, match="one setting per point"):
        Curve("x", (1, 2), (30, 31), "psnr-y", settings=("QP 22",))
    with pytest.raises(InvalidInputError, match="y has 1 points, not 2"):
        Curve("x", (1, 2), (30, 31), "psnr-y", members=(Curve("y", (1,), (30,), "psnr-y"),))
