"""Reads Cool-chic 5.0.1's files as far as their latents, at the pace of plain Python.

Their range coder is constriction's (0.4, "queue": words of 32 bits, a state of 64, probabilities of
24), the model of a latent a Laplace distribution over [-64, 63] in which each symbol keeps a unit.
"""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from kodec.entropy import Grid, GridLatents, IntegerArm, IntegerIfce, SteppedLayer, grids_of

PRECISION = 24
LEAST, MOST = -64, 63
SLOPE = 10
"""Of their fronts; grids of fewer columns go row by row."""


class Bits:
    """Bits of a header, highest first."""

    def __init__(self, data: bytes) -> None:
        self.text = "".join(f"{byte:08b}" for byte in data)
        self.at = 0

    def take(self, count: int) -> int:
        self.at += count
        return int(self.text[self.at - count : self.at] or "0", 2)

    def exp_golomb(self, order: int) -> int:
        """A signed integer: 0, 1, -1, 2, ..."""
        one = self.text.index("1", self.at)
        zeros, self.at = one - self.at, one
        value = ((self.take(zeros + 1) - 1) << order) + self.take(order)
        return (value + 1) // 2 if value % 2 else -(value // 2)


class RangeDecoder:
    """Latents one by one, from means and scales in float64."""

    def __init__(self, data: bytes) -> None:
        words = struct.unpack(f"<{len(data) // 4}I", data)
        self.words = iter(words + (0,) * 2)
        self.lower, self.range = 0, 2**64 - 1
        self.point = next(self.words) << 32 | next(self.words)

    def take(self, mean: float, scale: float) -> int:
        free = (1 << PRECISION) - (MOST - LEAST) - 1

        def left(symbol: int) -> int:
            """What lies before a symbol, in units of 2^-24."""
            if symbol <= LEAST:
                return 0
            if symbol > MOST:
                return 1 << PRECISION
            x = symbol - 0.5 - mean
            below = 0.5 * math.exp(x / scale) if x <= 0 else 1 - 0.5 * math.exp(-x / scale)
            return int(free * below) + symbol - LEAST

        unit = self.range >> PRECISION
        quantile = ((self.point - self.lower) & (2**64 - 1)) // unit
        symbol = min(max(round(mean), LEAST), MOST)
        while left(symbol) > quantile:
            symbol -= 1
        while left(symbol + 1) <= quantile:
            symbol += 1
        begin, end = left(symbol), left(symbol + 1)
        self.lower = (self.lower + unit * begin) & (2**64 - 1)
        self.range = unit * (end - begin)
        if self.range < 1 << 32:
            self.lower = (self.lower << 32) & (2**64 - 1)
            self.range <<= 32
            self.point = (self.point << 32 | next(self.words)) & (2**64 - 1)
        return symbol


@dataclass
class CoolFile:
    """What is coded of a picture, residue or motion.

    Entropy networks, the bytes of latents, and what `cool_pictures` reads on: the other networks'
    bits, from where they begin; n of their steps 2^-n and their codes' orders, of upsampling and
    synthesis, weights and biases each; channels and side of the synthesis's layers.
    """

    grids: list[Grid]
    latents: GridLatents
    coded: bytes
    parameters: Bits
    exponents: list[int]
    orders: list[int]
    layers: list[tuple[int, int]]


def integer_networks(
    weights: Sequence[NDArray[np.int64]],
    biases: Sequence[NDArray[np.int64]],
    ifce: dict[int, tuple[NDArray[np.int64], NDArray[np.int64]]],
    bits: Sequence[int],
    contexts: int,
) -> tuple[IntegerArm, dict[int, IntegerIfce]]:
    """Of parameters in their order: hidden layers, the last one, the branch.

    bits: of the steps of ARM's weights and biases, IFCE's weights and biases.
    """

    def layer(weight: NDArray[np.int64], bias: NDArray[np.int64], *own: int) -> SteppedLayer:
        return SteppedLayer(torch.from_numpy(weight), torch.from_numpy(bias), *own)

    extractors = {k: IntegerIfce(layer(w, b, bits[2], bits[3])) for k, (w, b) in ifce.items()}
    layers = [layer(w, b, bits[0], bits[1]) for w, b in zip(weights, biases, strict=True)]
    bound = max((network.bound for network in extractors.values()), default=0)
    return IntegerArm(layers[:-2], layers[-2], layers[-1], contexts, bound), extractors


def parse(data: bytes) -> list[CoolFile]:
    """All that a file codes: a picture's one, or of each frame the residue and the motion."""
    bits = Bits(data[:8])
    bits.at = 36
    data = data[bits.take(16) :]
    coded = []
    while data:
        bits = Bits(data[:8])
        bits.take(12)
        intra = bits.take(2) == 0
        bits.take(6)
        data = data[bits.take(16) :]
        for _ in range(1 if intra else 2):
            file, size = _parse_one(data)
            coded.append(file)
            data = data[size:]
    return coded


def _parse_one(data: bytes) -> tuple[CoolFile, int]:
    """Head, networks and latents, and how many bytes that was."""
    bits = Bits(data[:64])
    assert bits.take(1) == 1
    layers = bits.take(3)
    bits.take(4 + 4)
    features, contexts, branch, hidden = (bits.take(n) for n in (5, 6, 1, 3))
    assert branch == 1
    height, width, first, last = (bits.take(n) for n in (14, 14, 4, 4))
    count, hyper = bits.take(5), bits.take(1)
    bits.take(1 + 2)
    steps = [bits.take(5) for _ in range(8)]
    orders = [bits.take(4) for _ in range(8)]
    networks, padding, latents, head = (bits.take(n) for n in (14, 3, 28, 16))
    levels = range(bits.take(4), bits.take(4) + 1) if features else range(0)
    grids = grids_of(height, width, (first, last), bits.take(4) if hyper else None)
    assert len(grids) == count
    bits.take(4 * hyper)
    # Each is followed by its kind and its nonlinearity, which go by its place.
    synthesis = [(bits.take(7), bits.take(4), bits.take(2))[:2] for _ in range(layers)]

    parameters = Bits(data[head : head + networks])
    parameters.take(padding)

    def arrays(shapes: Sequence[tuple[int, ...]], order: int) -> list[NDArray[np.int64]]:
        flat = [[parameters.exp_golomb(order) for _ in range(math.prod(s))] for s in shapes]
        return [np.array(v, np.int64).reshape(s) for v, s in zip(flat, shapes, strict=True)]

    inputs = contexts + features
    sizes = [(inputs, inputs)] * hidden + [(2, inputs)] * 2
    weights = arrays(sizes, orders[0])
    biases = arrays([(rows,) for rows, _ in sizes], orders[1])
    coarser = [sum(grid.level > level for grid in grids) for level in levels]
    extractors = arrays([(features, n) for n in coarser], orders[2])
    offsets = arrays([(features,)] * len(coarser), orders[3])
    arm, ifce = integer_networks(
        weights,
        biases,
        dict(zip(levels, zip(extractors, offsets, strict=True), strict=True)),
        [most - step for most, step in zip((8, 16, 8, 16), steps[:4], strict=True)],
        contexts,
    )
    end = head + networks + latents
    exponents = [most - step for most, step in zip((12, 0, 12, 24), steps[4:], strict=True)]
    order = GridLatents(grids, arm, ifce)
    coded = data[end - latents : end]
    return CoolFile(grids, order, coded, parameters, exponents, orders[4:], synthesis), end


def decode(file: CoolFile, table: NDArray[np.float32]) -> list[NDArray[np.int64]]:
    """The latents, finest grid first. table: their 32,768 means, then 2,561 scales."""
    coder = RangeDecoder(file.coded)
    means, scales = table[:32768].astype(np.float64), table[32768:].astype(np.float64)
    model = file.latents
    coded: list[torch.Tensor] = []
    for number in reversed(range(len(file.grids))):
        grid = file.grids[number]
        rows, columns = np.mgrid[: grid.rows, : grid.columns]
        front = columns + SLOPE * rows if grid.columns >= SLOPE else columns + grid.columns * rows
        order = np.argsort(front.ravel(), kind="stable")
        ends = np.cumsum(np.bincount(front.ravel()))
        step = model.step(grid, coded)
        features, shift = step.features, step.shift
        plane = np.zeros((grid.rows + 4, grid.columns + 8), np.int64)
        for places in np.split(order, ends[:-1]):
            if not len(places):
                continue
            y, x = np.divmod(places, grid.columns)
            seen = np.stack(
                [plane[y + 4 + down, x + 4 + right] for down, right in model.arm.taps], 1
            )
            side = np.zeros((len(places), model.arm.features), np.int64)
            if features is not None:
                side = features[0].numpy()[y >> shift, x >> shift]
            mean, log_scale = model.arm(torch.from_numpy(np.concatenate([seen, side], 1)))
            at = means[np.clip(mean.numpy() + 16384, 0, 32767)].tolist()
            spread = scales[np.clip(log_scale.numpy() + 1280, 0, 2560)].tolist()
            plane[y + 4, x + 4] = [coder.take(m, s) for m, s in zip(at, spread, strict=True)]
        values = torch.from_numpy(plane[4:, 4 : 4 + grid.columns].copy())
        coded.insert(0, values[None, None].double())
    return [values[0, 0].long().numpy() for values in coded]
