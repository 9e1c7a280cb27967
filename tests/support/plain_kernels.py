"""Another process that computes as differently as it can: the plainest kernels, two threads."""

import os
import subprocess
import sys
from pathlib import Path

PLAIN_KERNELS = {
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
    "MKL_CBWR": "COMPATIBLE",
    "KODEC_SIMD": "scalar",
    "OMP_NUM_THREADS": "2",
    "OMP_WAIT_POLICY": "passive",
}


def run_with_plain_kernels(script: str, data: Path) -> None:
    """Run a script on a file; raises where it fails."""
    environment = {**os.environ, **PLAIN_KERNELS, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, script, str(data)], check=True, timeout=300, env=environment)
