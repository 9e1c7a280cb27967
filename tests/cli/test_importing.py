from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

Cli = Callable[..., Any]


def test_a_checkpoint_becomes_a_model(kodec: Cli, tmp_path: Path) -> None:
    from compressai.models import FactorizedPrior

    checkpoint, output = tmp_path / "foreign.pth", tmp_path / "imported.safetensors"
    torch.save(FactorizedPrior(4, 6).state_dict(), checkpoint)
    done = kodec("import", checkpoint, output, "--as", "bmshj2018-factorized")
    assert done.status == 0 and "model imported, id" in done.out and done.err == ""
    shown = kodec("info", output)
    assert shown.status == 0 and "bmshj2018-factorized" in shown.out


def test_what_is_refused_in_one_line(kodec: Cli, tmp_path: Path) -> None:
    output = tmp_path / "imported.safetensors"
    missing = kodec("import", tmp_path / "none.pth", output, "--as", "mbt2018")
    assert missing.status == 1 and "no checkpoint file" in missing.complaint
    checkpoint = tmp_path / "foreign.pth"
    torch.save({"g_a.0.weight": torch.zeros(1)}, checkpoint)
    unfit = kodec("import", checkpoint, output, "--as", "mbt2018")
    assert unfit.status == 1 and "does not fit mbt2018" in unfit.complaint
    unknown = kodec("import", checkpoint, output, "--as", "nothing")
    assert unknown.status == 1 and "mbt2018-mean" in unknown.complaint
    assert kodec("import", checkpoint, output).status == 2
    assert not output.exists()
