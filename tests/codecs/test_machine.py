"""The fingerprint of a machine: what local files are held against."""

import os
import subprocess
import sys

import pytest
import torch

from kodec.codecs.machine import MAX_FINGERPRINT, check_machine, machine_fingerprint
from kodec.native import UnsupportedError

PRINT = "from kodec.codecs.machine import machine_fingerprint; print(machine_fingerprint())"


def elsewhere(**environment: str) -> str:
    """The fingerprint in another process, as if on another machine."""
    settings = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads()), **environment}
    command = [sys.executable, "-c", PRINT]
    done = subprocess.run(command, env=settings, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_same_machine_has_one_fingerprint() -> None:
    own = machine_fingerprint()
    assert own == machine_fingerprint() == elsewhere()
    assert own.isascii() and own.isprintable() and len(own) <= MAX_FINGERPRINT
    assert torch.__version__ in own
    check_machine(own)


def test_other_instructions_and_threads_are_refused_and_named() -> None:
    other = elsewhere(ATEN_CPU_CAPABILITY="default", ONEDNN_MAX_CPU_ISA="SSE41")
    threads = torch.get_num_threads() + 1
    for fingerprint in (other, elsewhere(OMP_NUM_THREADS=str(threads))):
        with pytest.raises(UnsupportedError, match="only where it was made") as caught:
            check_machine(fingerprint)
        assert fingerprint in str(caught.value) and machine_fingerprint() in str(caught.value)
    # Other bits, not only other words.
    assert other.rpartition(", ")[2] != machine_fingerprint().rpartition(", ")[2]


def test_forged_fingerprints_stay_one_short_line() -> None:
    with pytest.raises(UnsupportedError) as caught:
        check_machine("\n\x1b[2J\u202e" * 10_000)
    text = str(caught.value)
    assert text.isprintable() and len(text) < 3 * MAX_FINGERPRINT
