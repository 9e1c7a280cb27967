"""The automatic precision follows what the device computes with."""

from pathlib import Path

import pytest
import torch

from kodec.train.precision import automatic_precision, cpu_has_bfloat16


@pytest.mark.parametrize(
    "text, expected",
    [
        ("processor : 0\nflags : fpu avx512f avx512_bf16 sse2\n", True),
        ("flags\t\t: fpu amx_bf16\n", True),
        ("Features\t: fp asimd bf16 sve\n", True),
        ("flags : fpu avx2 avx512f\n", False),
        ("bogomips : 5000\n", False),
    ],
)
def test_cpu_flags(text: str, expected: bool, tmp_path: Path) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text(text)
    assert cpu_has_bfloat16(info) is expected


def test_no_cpu_info(tmp_path: Path) -> None:
    assert not cpu_has_bfloat16(tmp_path / "missing")


def test_device_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kodec.train.precision.cpu_has_bfloat16", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: False)
    assert automatic_precision("auto") == automatic_precision("cuda") == "32-true"
    assert automatic_precision("cpu") == "bf16-mixed"
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    assert automatic_precision("gpu") == "bf16-mixed"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert automatic_precision("mps") == "32-true"
