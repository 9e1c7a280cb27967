"""How fast the coder is on a CUDA device: items at once, and the size of their segments.

    python benchmarks/cuda_coder.py
    PYTHONPATH=tests/support python benchmarks/cuda_coder.py --emulated --items 1,2 --symbols 3000

Gaussian symbols of the 21 smallest of 64 scales lie on the device; million symbols a second, of
wall-clock time with all launches, transfers of the coded bytes and the host's part. Each round trip
is compared with what was coded. `--emulated` runs the kernels on the CPU: it shows that this script
works, and nothing of a device's speed.
"""

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor

from kodec.entropy import Coders, LocationScale, ScaleTables, coders_of

SCALES = 21
KIB = 1024


def drawn(items: int, symbols: int, device: torch.device) -> tuple[Tensor, LocationScale]:
    """Symbols (items, symbols), and the distribution that they were drawn from."""
    torch.manual_seed(items)
    tables = ScaleTables()
    tables.build()
    levels = torch.randint(0, SCALES, (items, symbols), device=device)
    log_scale = tables.log_smallest + levels * tables.log_step
    drawn = torch.round(torch.randn(items, symbols, device=device) * log_scale.exp())
    return drawn, LocationScale(torch.zeros_like(drawn), log_scale, tables)


def seconds(work: Callable[[], object], device: torch.device, repeats: int) -> float:
    """The least of several runs, with all that it put on the device."""
    times = []
    for _ in range(repeats):
        _wait(device)
        start = time.perf_counter()
        work()
        _wait(device)
        times.append(time.perf_counter() - start)
    return min(times)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure(
    coders: Coders, device: torch.device, items: int, symbols: int, kib: int, repeats: int
) -> str:
    """A row: items, segments of an item, bits a symbol, and both speeds."""
    values, dist = drawn(items, symbols, device)
    bits = float(dist.bits(values).mean())
    segments = min(max(int(bits * symbols / 8 / (kib * KIB)), 1), 1024)

    def encode() -> list[bytes]:
        encoders = coders.encoders(items)
        encoders.add(values, dist)
        return encoders.finish(segments, 32)

    streams = encode()
    indexes = dist.indexes()[0]

    def decode() -> Tensor:
        decoders = coders.decoders(streams)
        found = decoders.decode(indexes, dist.tables)
        decoders.finish()
        return found

    if not torch.equal(decode(), values.to(torch.int32)):
        raise SystemExit("the symbols did not come back")
    size = 8 * sum(map(len, streams)) / values.numel()
    rates = [values.numel() / seconds(work, device, repeats) / 1e6 for work in (encode, decode)]
    return f"| {items} | {kib} | {segments} | {size:.3f} | {rates[0]:.0f} | {rates[1]:.0f} |"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", default="1,16,256", help="how many at once, by commas")
    parser.add_argument("--segments", default="4,8,20", help="KiB of a segment, by commas")
    parser.add_argument("--symbols", type=int, default=1_500_000, help="of an item")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--emulated", action="store_true")
    options = parser.parse_args()
    coders: Coders
    if options.emulated:
        from cuda_backends import Emulation

        device, coders = torch.device("cpu"), Emulation().coders()
    else:
        if not torch.cuda.is_available():
            raise SystemExit("no CUDA device: --emulated shows that the script works")
        device = torch.device("cuda", torch.cuda.current_device())
        coders = coders_of(device)
    print("| items | KiB a segment | segments | bits a symbol | encode, M/s | decode, M/s |")
    print("|---|---|---|---|---|---|")
    for items in map(int, options.items.split(",")):
        for kib in map(int, options.segments.split(",")):
            print(measure(coders, device, items, options.symbols, kib, options.repeats), flush=True)


if __name__ == "__main__":
    main()
