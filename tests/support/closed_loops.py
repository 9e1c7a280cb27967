"""Small closed loops of sequences, and chains of frames through them."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from kodec.codecs import FrameStep, SequenceModel, State
from kodec.entropy import RateMeter, SymbolPort, SymbolReader, SymbolWriter
from small_loops import KINDS as KINDS
from small_loops import SMALL as SMALL
from small_loops import Loop as Loop
from small_loops import small_model as small_model

QUALITIES = (20.0, 31.5, 44.0)

Ports = Callable[[int], SymbolPort]


def order_of(model: SequenceModel) -> list[tuple[int, ...]]:
    """Of each step, the earlier steps that it reads: every count that the model has, and again."""
    if max(model.reference_counts) > 1:
        return [(), (0,), (0, 1), (2, 1)]
    return [(), (0,), (1,)]


def moving_frames(count: int, height: int, width: int, items: int = 1) -> Tensor:
    """Frames (count, items, 1, 3, H, W) in [0, 1] of something smooth that moves."""
    torch.manual_seed(1)
    coarse = torch.rand(items, 3, height // 8 + 3, width // 8 + 3)
    large = torch.nn.functional.interpolate(coarse, scale_factor=8, mode="bicubic").clamp(0, 1)
    return torch.stack(
        [large[..., 2 * n : 2 * n + height, n : n + width][:, None] for n in range(count)]
    )


def step_of(
    model: SequenceModel, x: Sequence[int], number: int, states: Sequence[State]
) -> FrameStep:
    """One step of the chain. x: (N, H, W)."""
    items = x[0]
    quality = torch.full((items,), QUALITIES[number % 3]) if model.variable_rate else None
    size = (items, x[1], x[2])
    return FrameStep(size, quality=quality, references=tuple(states))


def run_chain(
    model: SequenceModel, size: Sequence[int], ports: Ports, frames: Tensor | None = None
) -> list[Tensor]:
    """Frames that the decoder shows, step by step, each through the port that `ports` gives."""
    states: list[State] = []
    shown = []
    for number, read in enumerate(order_of(model)):
        step = step_of(model, size, number, [states[n] for n in read])
        x = None if frames is None else frames[number]
        x_hat, state = model.code(x, step, ports(number))
        states.append(state)
        shown.append(x_hat)
    return shown


@torch.no_grad()
def write_chain(model: SequenceModel, frames: Tensor) -> tuple[list[list[bytes]], list[Tensor]]:
    """Each step's streams, one an item, and what their decoder shows."""
    size = (frames.shape[1], *frames.shape[-2:])
    writers = [SymbolWriter(size[0]) for _ in order_of(model)]
    shown = run_chain(model, size, writers.__getitem__, frames)
    return [writer.finish() for writer in writers], shown


@torch.no_grad()
def read_chain(
    model: SequenceModel, size: Sequence[int], streams: Sequence[Sequence[bytes]]
) -> list[Tensor]:
    """What the decoder shows."""
    readers = [SymbolReader(step) for step in streams]
    for number, read in enumerate(order_of(model)):
        readers[number].expect(model.symbols(step_of(model, size, number, [{}] * len(read))))
    shown = run_chain(model, size, readers.__getitem__)
    for reader in readers:
        reader.finish()
    return shown


@torch.no_grad()
def chain_bits(model: SequenceModel, frames: Tensor) -> list[dict[str, Tensor]]:
    """The estimate of each step's bits, by block."""
    meters = [RateMeter(training=False) for _ in order_of(model)]
    run_chain(model, (frames.shape[1], *frames.shape[-2:]), meters.__getitem__, frames)
    return [meter.bits for meter in meters]
