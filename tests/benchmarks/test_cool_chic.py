"""Files of Cool-chic's authors through our networks."""

import numpy as np
import pytest

from cool_chic_reference import arrays, reference
from cool_files import parse
from cool_pictures import picture_of
from kodec.codecs import read_picture
from kodec.eval import psnr


def test_their_files_decode_to_their_pictures() -> None:
    content = arrays()
    table = content["table/mu_then_scale"]
    for name in ("hop64x96", "mop61x83"):
        (file,) = parse(content[f"{name}/bitstream"].tobytes())
        found = picture_of(file, table)
        assert np.abs(found.astype(int) - content[f"{name}/decoded"]).max() <= 1


def test_the_reference_crop() -> None:
    data = reference("inr-coolchic-kodim05c256-hop2000.cool")
    (file,) = parse(data.read_bytes())
    found = picture_of(file, arrays()["table/mu_then_scale"])
    source = read_picture(data.parents[1] / "kodak" / "kodim05.png").pixels[128:384, 256:512]
    assert psnr(source, found) == pytest.approx(32.6795, abs=2e-3)
