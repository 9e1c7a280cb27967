"""What passes a port, checked and taken apart: latents, integers, payloads of other coders."""

from collections.abc import Sequence

import torch
from torch import Tensor

from kodec.entropy.distributions import Uniform
from kodec.native import InvalidInputError

from .port import ForeignCoder

LARGEST_SYMBOL = 2**30
BYTE_BITS = 8


def payload_symbols(most: int) -> range:
    """How many symbols a payload of up to `most` bytes may put into an item's stream."""
    length = len(places_of(most + 1))
    return range(length, length + most + 1)


def given(name: str, y: Tensor | None, shape: torch.Size | None = None) -> Tensor:
    """The latents; raises `InvalidInputError` where there are none, or of another shape."""
    if y is None:
        raise InvalidInputError(f"block {name!r}: only a SymbolReader can do without the latents")
    if shape is not None and y.shape != shape:
        raise InvalidInputError(f"block {name!r} has shape {tuple(y.shape)}, not {tuple(shape)}")
    return y


def codable(name: str, symbols: Tensor) -> Tensor:
    """The symbols; raises `InvalidInputError` where they are none."""
    if symbols.numel():
        least, most = torch.aminmax(symbols)
        if not (least > -LARGEST_SYMBOL and most < LARGEST_SYMBOL):
            raise InvalidInputError(
                f"latents {name!r} are not finite or out of the coder's range; "
                "the model does not fit this picture"
            )
    return symbols


def packed(name: str, y: Tensor, coder: ForeignCoder) -> tuple[Tensor, list[bytes]]:
    """The rounded values, and each item's bytes."""
    integers = codable(name, torch.round(y.detach()).contiguous())
    return integers, [coder.pack(item) for item in integers.to(torch.int32).cpu().numpy()]


def lengths_of(payloads: Sequence[bytes]) -> Tensor:
    """Bytes of each, (N, 1)."""
    return torch.tensor([[len(payload)] for payload in payloads])


def one_byte_each(count: int) -> Uniform:
    """The distribution of `count` bytes."""
    return Uniform(torch.Size((count,)), 2**BYTE_BITS)


def places_of(high: int) -> list[int]:
    """Mixed-radix alphabet sizes, least significant first, for integers below `high`."""
    if not 1 <= high <= 2**31:
        raise InvalidInputError(f"side integers need 1 <= high <= 2**31, not {high}")
    places = []
    while high > 255:
        places.append(128)
        high = -(-high // 128)
    return [*places, high]


def digits_of(values: Tensor, high: int) -> list[tuple[int, Tensor]]:
    """Alphabet sizes and digits of integers below `high`; raises `InvalidInputError` for others."""
    if values.numel() and not bool(((values >= 0) & (values < high)).all()):
        raise InvalidInputError(f"side integers must lie in 0..{high - 1}")
    digits, rest = [], values.long()
    for place in places_of(high):
        digits.append((place, rest % place))
        rest = rest // place
    return digits
