"""The fingerprint of a machine: what local files are held against."""

import os
import subprocess
import sys

import pytest
import torch

from kodec.codecs.container import MAX_MACHINE_BYTES
from kodec.codecs.machine import check_machine, machine_fingerprint
from kodec.native import UnsupportedError

PRINT = "from kodec.codecs.machine import machine_fingerprint; print(machine_fingerprint())"


def elsewhere() -> str:
    """The fingerprint of a process that computes with older instructions."""
    older = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41"}
    settings = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads()), **older}
    command = [sys.executable, "-c", PRINT]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_same_machine_has_one_fingerprint() -> None:
    torch.manual_seed(3)
    own = machine_fingerprint()
    drawn = torch.rand(1)
    assert own == machine_fingerprint()
    assert own.isascii() and own.isprintable() and len(own) <= MAX_MACHINE_BYTES
    assert torch.__version__ in own
    check_machine(own)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(1))


def test_other_instructions_are_refused_and_named() -> None:
    other, own = elsewhere(), machine_fingerprint()
    with pytest.raises(UnsupportedError, match="only where it was made") as caught:
        check_machine(other)
    assert other in str(caught.value) and own in str(caught.value)
    # Other bits, not only other words.
    assert other.rpartition(" ")[2] != own.rpartition(" ")[2]


def test_another_number_of_threads_is_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    own = machine_fingerprint()
    monkeypatch.setattr(torch, "get_num_threads", lambda: 57)
    with pytest.raises(UnsupportedError, match="57 threads"):
        check_machine(own)


def test_forged_fingerprints_stay_one_short_line() -> None:
    with pytest.raises(UnsupportedError) as caught:
        check_machine("\n\x1b[2J\u202e" * 10_000)
    text = str(caught.value)
    assert text.isprintable() and len(text) < 300
