"""Scripts that take the command lines of VTM, HM and VVenC, and code by coarse quantisation.

They stand for the real programs where those are absent: they show that the command line, the raw
files, the cache and the errors are right, not that a real encoder takes them.
"""

import sys
from pathlib import Path

_COMMON = """#!{python}
import sys, zlib

def value(short, long=None):
    arguments = sys.argv[1:]
    if short in arguments:
        return arguments[arguments.index(short) + 1]
    return next((a.split("=", 1)[1] for a in arguments if long and a.startswith(long + "=")), None)

"""

_ENCODER = """
if len(sys.argv) == 1:
    print("Fake: VTM Encoder Version [0.1]")
    sys.exit(1)
config = open(value("-c")).read() if value("-c") else ""
if "Slow" in config:
    import time
    time.sleep(0.5)
if "Fail" in config:
    print("ERROR: no such option")
    sys.exit(3)
width, height, frames = (int(value(flag)) for flag in ("-wdt", "-hgt", "-f"))
chroma, depth = value("", "--InputChromaFormat"), int(value("", "--InputBitDepth"))
data = open(value("-i"), "rb").read()
samples = dict([("400", 2), ("420", 3), ("444", 6)])[chroma] * width * height // 2
assert len(data) == frames * samples * (1 if depth == 8 else 2), (len(data), samples, frames)
size = 1 if depth == 8 else 2
step = max(1, round(2 ** ((int(value("-q")) - 4) / 6)))
peak = 2**depth - 1
values = [int.from_bytes(data[i : i + size], "little") for i in range(0, len(data), size)]
coarse = [min(peak, (v + step // 2) // step * step) for v in values]
decoded = b"".join(v.to_bytes(size, "little") for v in coarse)
if "NoStream" not in config:
    open(value("-b"), "wb").write(zlib.compress(decoded, 9))
if "NoRecon" not in config:
    open(value("-o"), "wb").write(decoded[:-1] if "ShortRecon" in config else decoded)
print("Total Time: 0.1 sec.")
"""

_DECODER = """
open(value("-o"), "wb").write(zlib.decompress(open(value("-b"), "rb").read()))
"""


def write_fake_encoder(path: Path) -> Path:
    """Write the encoder's script; a configuration that says Fail, NoStream, NoRecon or ShortRecon
    makes it fail so, one that says Slow takes its time."""
    return _write(path, _ENCODER)


def write_fake_decoder(path: Path) -> Path:
    """Write the script of its decoder."""
    return _write(path, _DECODER)


def _write(path: Path, body: str) -> Path:
    path.write_text(_COMMON.replace("{python}", sys.executable) + body)
    path.chmod(0o755)
    return path
