"""Milliseconds of the core's layers beside PyTorch's own, in float32 on a CPU.

    python benchmarks/layers.py [--threads 1] [--repeats 15]

Layers of the published systems for a 768x512 picture, their inputs channels last in memory. Beside
the core's: PyTorch's own choice (oneDNN's direct convolution), and for 3x3 convolutions of stride 1
NNPACK's minimal filtering, which PyTorch ships and which takes channels first. All take turns, in
an order that turns round. Given are medians, in brackets medians of the ratios to the core's.
With one thread it is the process' CPU time, else the clock's.
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from kodec.eval import describe_machine
from kodec.models.blocks import GDN, PaddedConv2d, StrideTwoConvTranspose2d, SubpixelConv2d
from kodec.models.blocks.core_layers import core_takes
from kodec.native import UnsupportedError
from reporting import parser_of, run

# The layer, and the height and width of its input.
LAYERS: list[tuple[str, Callable[[], nn.Module], int, tuple[int, int]]] = [
    ("3x3, 128 to 128", lambda: PaddedConv2d(128, 128), 128, (256, 384)),
    ("3x3, 128 to 128", lambda: PaddedConv2d(128, 128), 128, (128, 192)),
    ("3x3, 64 to 64", lambda: PaddedConv2d(64, 64), 64, (128, 192)),
    ("3x3, 192 to 192", lambda: PaddedConv2d(192, 192), 192, (128, 192)),
    ("3x3, 128 to 512, sub-pixel", lambda: SubpixelConv2d(128, 128), 128, (128, 192)),
    ("5x5 / 2, 192 to 192", lambda: PaddedConv2d(192, 192, 5, 2), 192, (128, 192)),
    ("5x5 / 2 transposed, 192 to 192", lambda: StrideTwoConvTranspose2d(192, 192), 192, (64, 96)),
    ("3x3 / 2, 3 to 128", lambda: PaddedConv2d(3, 128, 3, 2), 3, (512, 768)),
    ("5x5 / 2, 3 to 192", lambda: PaddedConv2d(3, 192, 5, 2), 3, (512, 768)),
    ("1x1, 128 to 64", lambda: PaddedConv2d(128, 64, 1), 128, (128, 192)),
    ("GDN, 128", lambda: GDN(128), 128, (256, 384)),
]


def pytorchs(layer: nn.Module, x: Tensor) -> dict[str, Callable[[], Tensor]]:
    """The same by PyTorch alone, by name."""
    found: dict[str, Callable[[], Tensor]] = {}
    if isinstance(layer, GDN):
        gamma, beta = layer.gamma.square()[..., None, None], layer.beta.square()
        found["PyTorch"] = lambda: x * nn.functional.conv2d(x.square(), gamma, beta).rsqrt_()
    elif isinstance(layer, SubpixelConv2d):
        first, shuffle = layer
        assert isinstance(first, PaddedConv2d)
        found["PyTorch"] = lambda: shuffle(nn.Conv2d.forward(first, x))
    elif isinstance(layer, StrideTwoConvTranspose2d):
        found["PyTorch"] = lambda: nn.ConvTranspose2d.forward(layer, x)
    elif isinstance(layer, PaddedConv2d):
        found["PyTorch"] = lambda: nn.Conv2d.forward(layer, x)
        if layer.kernel_size == (3, 3) and layer.stride == (1, 1) and nnpack_is_there():
            first_channels = x.contiguous()
            found["NNPACK"] = lambda: torch._nnpack_spatial_convolution(
                first_channels, layer.weight, layer.bias, 1
            )
    return found


def nnpack_is_there() -> bool:
    """Whether PyTorch was built with NNPACK, and the CPU is one that it knows."""
    available: bool = torch.backends.nnpack.is_available()  # type: ignore[no-untyped-call]
    return available


@torch.no_grad()
def main() -> int:
    """Measure, print."""
    parser = parser_of(__doc__)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    clock = time.process_time if options.threads == 1 else time.perf_counter
    if not core_takes(torch.zeros(1)):
        raise UnsupportedError(
            "on this CPU PyTorch's own layers are taken: it has AVX-512, or no AVX2"
        )
    machine = describe_machine()
    print(f"{machine['cpu']}, {options.threads} threads, torch {torch.__version__}\n")
    print("| layer | input | core | PyTorch | NNPACK |\n|---|---|---|---|---|")
    for name, make, channels, (height, width) in LAYERS:
        torch.manual_seed(0)
        layer = make()
        x = torch.randn(1, channels, height, width).contiguous(memory_format=torch.channels_last)
        contestants = {"core": lambda layer=layer, x=x: layer(x), **pytorchs(layer, x)}
        times: dict[str, list[float]] = {contestant: [] for contestant in contestants}
        for number in range(options.repeats + 1):
            for contestant in list(contestants)[:: -1 if number % 2 else 1]:
                start = clock()
                contestants[contestant]()
                if number > 0:
                    times[contestant].append(1e3 * (clock() - start))
        cells = [f"{statistics.median(times['core']):.1f}"]
        for peer in ("PyTorch", "NNPACK"):
            if peer not in times:
                cells.append("")
                continue
            ratios = [a / b for a, b in zip(times[peer], times["core"], strict=True)]
            middle = statistics.median(ratios)
            cells.append(f"{statistics.median(times[peer]):.1f} ({middle:.2f})")
        print(f"| {name} | {width}x{height} | {' | '.join(cells)} |")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    run(main, "layers")
