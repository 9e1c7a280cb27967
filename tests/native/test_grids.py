"""Kernels over grids: the same bits on any number of threads, nearly the same of any instructions.

What they compute is held to PyTorch's by the tests of the functions around them, in
`tests/models/blocks` and `tests/entropy/contexts`.
"""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from kodec.eval.bench.instruction_sets import available_simd, using_simd
from kodec.native import InvalidInputError
from kodec.native.grids import (
    build_pyramid,
    context_rate,
    network_gradient,
    pyramid_gradient,
    run_network,
    small_convolution,
    small_convolution_gradient,
    soft_round,
    stack_gradient,
    stack_grids,
)

Floats = NDArray[np.float32]
CODING = np.array([0, -5, 5, 16], np.float32)
OFFSETS = np.array([(0, -1), (-1, 0), (-2, 3), (-3, -4)], np.int32)


class Example:
    """Arrays of sizes that are no multiples of anything, several tasks each."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)
        widths = [6, 6, 11, 2]
        self.layers = [
            (self.floats(o, i), self.floats(o), o == i, None if o == 2 else "relu")
            for i, o in zip(widths, widths[1:], strict=False)
        ]
        self.branch = (self.floats(2, 6), self.floats(2), False, None)
        self.sizes = [(147, 75), (74, 38), (37, 19)]
        self.grids = [self.floats(*size) for size in self.sizes]
        self.features = [self.floats(2, 74, 38), None, self.floats(2, 19, 10)]
        self.positions = self.floats(6, 9003)
        self.picture, self.gradient = self.floats(3, 83, 67), self.floats(3, 83, 67)
        self.taps = self.floats(3, 3, 3, 3)
        self.filters = self.floats(2, 8), self.floats(2, 7)

    def floats(self, *shape: int) -> Floats:
        return self.random.normal(size=shape).astype(np.float32) / 2

    def results(self, threads: int) -> list[Floats]:
        """Of all functions."""
        network = self.layers, self.branch
        out, beside = run_network(self.positions, *network, threads)
        assert beside is not None
        small = small_convolution(self.picture, self.taps, self.taps[0, 0, 0], True, True, threads)
        stacks = build_pyramid(self.grids, *self.filters, True, threads)
        of_stack = stacks[0][:, ::-1].copy()
        found: list[Any] = [
            out,
            beside,
            small,
            *stacks,
            network_gradient(self.positions, *network, out, beside, True, threads),
            context_rate(
                self.grids, self.features, OFFSETS, *network, CODING, np.ones(3, np.float32), False,
                threads,
            ),
            context_rate(
                self.grids, self.features, OFFSETS, *network, CODING, None, True, threads
            ),
            small_convolution_gradient(
                self.picture, self.taps, small, self.gradient, True, True, True, threads
            ),
            pyramid_gradient(self.grids, *self.filters, True, stacks, of_stack, threads),
            stack_grids(self.grids, [0, 1, 2], 147, 75, threads),
            stack_gradient(self.grids, [0, 1, 2], of_stack, threads),
            soft_round(self.positions[0], self.positions[1], 4, 0.3, True, threads),
        ]  # fmt: skip
        return list(flattened(found))


def flattened(found: Any) -> Any:
    if isinstance(found, list | tuple):
        for one in found:
            yield from flattened(one)
    elif found is not None:
        yield np.asarray(found)


def test_threads_and_instruction_sets() -> None:
    example = Example()
    expected = example.results(1)
    for name in available_simd():
        with using_simd(name):
            found = example.results(1)
            for again, own in zip(example.results(3), found, strict=True):
                assert np.array_equal(again, own)
        for own, wanted in zip(found, expected, strict=True):
            assert np.abs(own - wanted).max() <= 1e-5 * np.abs(wanted).max()


def test_bits_of_positions_add_up() -> None:
    example = Example()
    arguments = (example.grids, example.features, OFFSETS, example.layers, example.branch, CODING)
    sums, positions = context_rate(*arguments, positions=True)
    for total, each, size in zip(sums, positions, example.sizes, strict=True):
        assert each.shape == size
        assert total == pytest.approx(each.sum(dtype=np.float64), rel=1e-6)


def test_charges_weigh_grids() -> None:
    example = Example()

    def of_weights(*charges: float) -> Floats:
        _, found = context_rate(
            example.grids, example.features, OFFSETS, example.layers, example.branch, CODING,
            np.array(charges, np.float32),
        )  # fmt: skip
        weights: Floats = found[2]
        return weights

    whole = of_weights(2, 0, 0) + of_weights(0, -1, 0) + of_weights(0, 0, 0.5)
    assert np.allclose(of_weights(2, -1, 0.5), whole, rtol=1e-4, atol=1e-4 * np.abs(whole).max())


def test_arguments() -> None:
    example = Example()
    network = example.layers, example.branch
    wrong: list[tuple[str, Any]] = [
        ("layers must be a list", lambda: run_network(example.positions, 3, None)),  # type: ignore[arg-type]
        ("layers must have 1 ", lambda: run_network(example.positions, [], None)),
        ("layers are at most 8", lambda: run_network(example.positions, example.layers[:1] * 9)),
        ("a layer must be", lambda: run_network(example.positions, [(1, 2)])),  # type: ignore[list-item]
        ("threads must be 1 to 1024", lambda: run_network(example.positions, *network, 0)),
        ("x must have a row", lambda: run_network(example.positions[:5], *network)),
        ("branch must be neither", lambda: run_network(
            example.positions, example.layers, (*example.branch[:2], False, "relu"))),
        ("must be relu or gelu", lambda: run_network(
            example.positions, [(*example.branch[:2], False, "tanh")])),
        ("residual must be a bool", lambda: run_network(
            example.positions, [(*example.branch[:2], 3, None)])),  # type: ignore[list-item]
        ("must be \\(2, at most 64\\)", lambda: run_network(
            example.positions, [(*example.branch[:2], False, np.zeros((2, 65), np.float32))])),
        ("gradient must be", lambda: network_gradient(
            example.positions, *network, example.positions[:2, :9], example.positions[:2])),
        ("if and only if there is a branch", lambda: network_gradient(
            example.positions, *network, example.positions[:2], None)),
        ("offsets must be within", lambda: context_rate(
            example.grids, example.features, OFFSETS * 30, *network, CODING)),
        ("an element for each grid", lambda: context_rate(
            example.grids, example.features[:2], OFFSETS, *network, CODING)),
        ("a grid must not be empty", lambda: context_rate(
            [np.zeros((0, 4), np.float32)], [None], OFFSETS, *network, CODING)),
        ("log scales must lie", lambda: context_rate(
            example.grids, example.features, OFFSETS, *network, CODING * np.float32(10))),
        ("most bits must be", lambda: context_rate(
            example.grids, example.features, OFFSETS, *network, CODING * np.float32(7))),
        ("coding must be of type float32", lambda: context_rate(
            example.grids, example.features, OFFSETS, *network, CODING.astype(np.float64))),
        ("out and gradient", lambda: small_convolution_gradient(
            example.picture, example.taps, example.picture[:2], example.picture[:2])),
        ("a filter of each kind", lambda: build_pyramid(
            example.grids, example.filters[0][:1], example.filters[1])),
        ("even number of taps", lambda: build_pyramid(
            example.grids, example.filters[1], example.filters[1])),
        ("stacks must be those", lambda: pyramid_gradient(
            example.grids, *example.filters, True, [None] * 3, np.zeros((3, 147, 75), np.float32))),
        ("times must be 0 to 24", lambda: stack_grids(example.grids[:1], [25], 147, 75)),
        ("must have x's shape", lambda: soft_round(
            example.positions[0], example.positions[1, :4], 1, 0.3)),
    ]  # fmt: skip
    for reason, call in wrong:
        with pytest.raises(InvalidInputError, match=reason):
            call()
