"""Forward and backward of what fitted pictures are made of: the core beside plain PyTorch.

    python benchmarks/fit_kernels.py [--sizes 256x256 768x512] [--threads 1 2] [--simd avx512 avx2]

Cool-chic's HOP: 7 grids of latents and 3 that feed contexts alone, 14 contexts and 6 features,
networks of 20-20-20-2 and 7-48-3, two 3x3 layers; and C3's 7 grids, 24 contexts, networks of
24-18-18-2 and 7-18-18-3, two 3x3 layers. Each row is one part, both ways, in milliseconds, the core
and PyTorch in turn, the fastest of some rounds. "iteration" is all of them as one graph: rounding
(not of C3), rate and squared error of the picture. On one thread times are the processor's, so that
other work on the machine counts little; on more they are the clock's.
"""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from kodec.codecs.fitted.grid_networks.c3_architecture import C3Architecture
from kodec.codecs.fitted.grid_networks.c3_architecture import layers_of as c3_layers_of
from kodec.codecs.fitted.grid_networks.c3_architecture import synthesis_of as c3_synthesis_of
from kodec.codecs.fitted.grid_networks.c3_fitting import c3_bits, plain_c3_bits
from kodec.codecs.fitted.grid_networks.cool_chic_architecture import (
    PRESETS,
    arm_of,
    filters_of,
    synthesis_of,
)
from kodec.entropy.contexts.grid_rate import arm_rate, plain_arm_rate
from kodec.entropy.ports.relaxation import soft_round, soft_round_with_noise
from kodec.models.fields.c3_synthesis import c3_synthesis, plain_c3_synthesis, stacked
from kodec.models.fields.grid_synthesis import plain_synthesise, synthesise
from kodec.models.fields.grid_upsampling import plain_upsample, upsample
from kodec.native import simd

TEMPERATURE = 0.3


def plain_rounding(latents: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """`soft_round_with_noise` in PyTorch."""
    return soft_round(soft_round(latents, temperature) + noise, temperature)


class Versions(NamedTuple):
    """The four functions, by the core or by PyTorch."""

    rounding: Callable[[Tensor, Tensor, float], Tensor]
    rate: Callable[..., Tensor]
    upsample: Callable[..., Tensor]
    synthesise: Callable[..., Tensor]
    c3_bits: Callable[..., Tensor]
    c3_synthesis: Callable[..., Tensor]


CORE = Versions(soft_round_with_noise, arm_rate, upsample, synthesise, c3_bits, c3_synthesis)
PLAIN = Versions(
    plain_rounding,
    plain_arm_rate,
    plain_upsample,
    plain_synthesise,
    plain_c3_bits,
    plain_c3_synthesis,
)


class Example:
    """A picture's latents, networks and noise, all at random."""

    def __init__(self, height: int, width: int) -> None:
        torch.manual_seed(0)
        architecture = PRESETS["hop"].at(height, width)
        self.grids = architecture.grids(height, width)
        self.levels = [grid.level for grid in self.grids]
        self.latents = 2 * torch.randn(architecture.positions(height, width))
        self.noise = 0.2 * torch.randn_like(self.latents)
        self.values = {
            name: (torch.randn(shape) / max(4, torch.Size(shape[1:]).numel()) ** 0.5)
            for name, shape in architecture.shapes(3).items()
        }
        self.features = torch.randn(1, architecture.levels, height, width)
        self.picture = torch.rand(1, 3, height, width)
        self.c3 = C3Architecture()
        self.c3_values = {
            name: torch.randn(shape) / max(4, torch.Size(shape[1:]).numel()) ** 0.5
            for name, shape in self.c3.shapes(3).items()
        }
        self.c3_grids = [2 * torch.randn(g.rows, g.columns) for g in self.c3.grids(height, width)]
        c3 = (*self.c3_grids, *self.c3_values.values())
        for value in (self.latents, self.features, *self.values.values(), *c3):
            value.requires_grad_()

    def split(self, latents: Tensor) -> list[Tensor]:
        sizes = [(grid.rows, grid.columns) for grid in self.grids]
        parts = latents.split([height * width for height, width in sizes])
        return [part.view(size) for part, size in zip(parts, sizes, strict=True)]

    def seen(self, grids: Sequence[Tensor]) -> list[Tensor]:
        return [own for own, grid in zip(grids, self.grids, strict=True) if not grid.hyper]

    def weights(self, *prefixes: str) -> list[Tensor]:
        return [value for name, value in self.values.items() if name.startswith(prefixes)]

    def c3_weights(self, prefix: str) -> list[Tensor]:
        return [value for name, value in self.c3_values.items() if name.startswith(prefix)]

    def parts(self) -> dict[str, tuple[Callable[[Versions], Tensor], list[Tensor]]]:
        """What is computed, and of what there are gradients, by the name of its row."""
        grids = [grid.detach().requires_grad_() for grid in self.split(self.latents)]
        seen = self.seen(grids)

        def iteration(by: Versions) -> Tensor:
            own = self.split(by.rounding(self.latents, self.noise, TEMPERATURE))
            features = by.upsample(self.seen(own), filters_of(self.values))
            found = by.synthesise(features, synthesis_of(self.values))
            bits = by.rate(own, self.levels, arm_of(self.values)).sum()
            return (found - self.picture).square().mean() + bits / self.picture.numel()

        def c3_bits_of(by: Versions) -> Tensor:
            return by.c3_bits(self.c3_grids, c3_layers_of(self.c3_values, "arm.layer"))

        def c3_picture_of(by: Versions) -> Tensor:
            return by.c3_synthesis(stacked(self.c3_grids), c3_synthesis_of(self.c3_values))

        def c3_iteration(by: Versions) -> Tensor:
            error = (c3_picture_of(by) - self.picture).square().mean()
            return error + c3_bits_of(by) / self.picture.numel()

        return {
            "rounding": (
                lambda by: by.rounding(self.latents, self.noise, TEMPERATURE),
                [self.latents],
            ),
            "contexts, ARM, rate": (
                lambda by: by.rate(grids, self.levels, arm_of(self.values)),
                [*grids, *self.weights("arm", "ifce")],
            ),
            "upsampling": (
                lambda by: by.upsample(seen, filters_of(self.values)),
                [*seen, *self.weights("upsampling")],
            ),
            "synthesis": (
                lambda by: by.synthesise(self.features, synthesis_of(self.values)),
                [self.features, *self.weights("synthesis")],
            ),
            "iteration": (iteration, [self.latents, *self.values.values()]),
            "C3: contexts, rate": (c3_bits_of, [*self.c3_grids, *self.c3_weights("arm")]),
            "C3: synthesis": (c3_picture_of, [*self.c3_grids, *self.c3_weights("synthesis")]),
            "C3: iteration": (c3_iteration, [*self.c3_grids, *self.c3_values.values()]),
        }


def both_ways(
    work: Callable[[Versions], Tensor], inputs: Sequence[Tensor], by: Versions
) -> Sequence[Tensor]:
    found = work(by)
    return torch.autograd.grad(found, inputs, torch.ones_like(found))


def fastest(versions: Sequence[Callable[[], object]], rounds: int) -> list[float]:
    """Seconds of each, in turn."""
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    best = [float("inf")] * len(versions)
    for _ in range(rounds):
        for number, version in enumerate(versions):
            start = clock()
            version()
            best[number] = min(best[number], clock() - start)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", nargs="+", default=["256x256", "768x512"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--simd", nargs="+", default=[simd()])
    parser.add_argument("--only", default="", help="parts whose names begin so")
    parser.add_argument("--rounds", type=int, default=10)
    arguments = parser.parse_args()
    print("  picture threads    simd part                  core ms    torch ratio")
    for size in arguments.sizes:
        width, height = map(int, size.split("x"))
        parts = Example(height, width).parts()
        parts = {name: part for name, part in parts.items() if name.startswith(arguments.only)}
        for threads in arguments.threads:
            torch.set_num_threads(threads)
            for name in arguments.simd:
                os.environ["KODEC_SIMD"] = name
                for part, (work, inputs) in parts.items():
                    run = partial(both_ways, work, inputs)
                    times = fastest([partial(run, CORE), partial(run, PLAIN)], arguments.rounds)
                    core, plain = (1e3 * seconds for seconds in times)
                    print(
                        f"{size:>9} {threads:>7} {name:>7} {part:<20} {core:>8.2f} {plain:>8.2f} "
                        f"{plain / core:>5.1f}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
