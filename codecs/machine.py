"""What kind of machine computed a file whose entropy path ran in float32: files of class "local".

Such a file decodes where every convolution gives the same bits. That depends on the processor's
instructions, on PyTorch and its libraries, on kodec's own layers, and on the number of threads,
since that divides sums. A fingerprint names these, and ends with a hash of what a few layers gave.
"""

import hashlib
import platform
from functools import cache
from importlib.metadata import version

import torch
from torch import Tensor, nn

from kodec.models.blocks import GDN, PaddedConv2d, PointwiseConv2d
from kodec.native import UnsupportedError

from .container import MAX_MACHINE_BYTES

_HASH = 12
_CHANNELS, _SIDE = 32, 32


def machine_fingerprint(device: str = "cpu") -> str:
    """What float32 results on this machine and device depend on, in words and a hash.

    device: "cpu" or "cuda". Printable ASCII, at most `MAX_MACHINE_BYTES`; equal where local files
    of one decode on the other.
    """
    libraries = f"torch {torch.__version__}, kodec {version('kodec')}"
    if device.startswith("cuda"):
        where = f"{torch.cuda.get_device_name(device)}, CUDA {torch.version.cuda}"
    else:
        threads = torch.get_num_threads()
        where = (
            f"{platform.machine()}, {torch.backends.cpu.get_cpu_capability()}, "
            f"{threads} thread{'s' if threads > 1 else ''}"
        )
    words = f"{where}, {libraries}".encode("ascii", "replace").decode("ascii")
    # The words may be cut short, what they say is in the hash.
    kernels = _kernels(device, torch.get_num_threads())
    digest = hashlib.sha256(f"{words}, {kernels}".encode()).hexdigest()
    return f"{words[: MAX_MACHINE_BYTES - _HASH - 1]} {digest[:_HASH]}"


def check_machine(fingerprint: str, device: str = "cpu") -> None:
    """Raise `UnsupportedError` where a local file of that fingerprint can't be decoded here."""
    own = machine_fingerprint(device)
    if fingerprint != own:
        shown = fingerprint[:MAX_MACHINE_BYTES].encode("ascii", "replace").decode("ascii")
        there = "".join(c if c.isprintable() else "?" for c in shown)
        raise UnsupportedError(
            f"this file decodes only where it was made ({there}), and this machine is another "
            f"({own}): decode it there, or encode the picture with a model of class guarded"
        )


@cache
@torch.no_grad()
def _kernels(device: str, _: int) -> str:
    """A hash of what convolutions, products and exponentials give, bit for bit.

    On that device and with so many threads.
    """
    with torch.random.fork_rng(devices=[]):
        layers = [
            PaddedConv2d(_CHANNELS, _CHANNELS, 3),
            PaddedConv2d(_CHANNELS, _CHANNELS, 5, stride=2),
            GDN(_CHANNELS),
            nn.Conv2d(_CHANNELS, _CHANNELS, 1),
            PointwiseConv2d(_CHANNELS, _CHANNELS),
        ]
    x = _ramp(1, _CHANNELS, _SIDE, _SIDE).to(device)
    digest = hashlib.sha256()
    for layer in layers:
        for parameter in layer.parameters():
            parameter.copy_(_ramp(*parameter.shape).abs() / 16)
        x = layer.to(device)(x)
        digest.update(x.contiguous().cpu().numpy().tobytes())
    tokens = x.flatten(1)[:, : _SIDE**2].reshape(_SIDE, _SIDE)
    product = torch.exp(torch.tanh(tokens @ tokens.T))
    digest.update(product.contiguous().cpu().numpy().tobytes())
    return digest.hexdigest()


def _ramp(*shape: int) -> Tensor:
    """Values in [-1, 1) that are the same everywhere: whole numbers over 128."""
    count = int(torch.Size(shape).numel())
    return ((torch.arange(count) * 7919 % 251 - 125).float() / 128).reshape(shape)
