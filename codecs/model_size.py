"""How large a network is to be that is fitted to one picture or clip."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from kodec.native import InvalidInputError

Unit = Literal["parameters", "bytes", "bpp"]

_SCALES = {"k": 1e3, "m": 1e6}
_BYTES = {"b": 1.0, "kb": 1e3, "mb": 1e6}


@dataclass(frozen=True)
class ModelSize:
    """A number of parameters, of a file's bytes, or of its bits per pixel; raises
    `InvalidInputError` unless it is finite and above 0."""

    value: float
    unit: Unit = "parameters"

    def __post_init__(self) -> None:
        if self.unit not in get_args(Unit):
            raise InvalidInputError(f"a model's size is in {', '.join(get_args(Unit))}")
        if not (math.isfinite(self.value) and self.value > 0):
            raise InvalidInputError(f"a model's size is above 0, not {self.value}")

    def __str__(self) -> str:
        return f"{self.value:.12g} {self.unit}"

    def parameters(self, pixels: int, bits: float) -> int:
        """How many parameters that is, for so many pixels in all, where one takes `bits`."""
        if self.unit == "parameters":
            return round(self.value)
        total = 8 * self.value if self.unit == "bytes" else self.value * pixels
        return int(total / bits)


def parse_model_size(text: str) -> ModelSize:
    """A size as `1.5M` or `300k` (parameters), `200kB` (bytes), or `0.1bpp`.

    Raises `InvalidInputError`.
    """
    lower = text.strip().lower()
    try:
        if lower.endswith("bpp"):
            return ModelSize(float(lower[:-3]), "bpp")
        for suffix, scale in sorted(_BYTES.items(), key=lambda item: -len(item[0])):
            if lower.endswith(suffix):
                return ModelSize(scale * float(lower[: -len(suffix)]), "bytes")
        scale = _SCALES.get(lower[-1:], 1.0)
        return ModelSize(scale * float(lower if scale == 1 else lower[:-1]))
    except (ValueError, OverflowError):
        raise InvalidInputError(
            f"a model's size is 1.5M parameters, 200kB or 0.1bpp, say, not {text!r}"
        ) from None


def size_in_words(text: str) -> ModelSize:
    """A size as `str` gives it; raises `InvalidInputError`."""
    value, _, unit = text.partition(" ")
    for known in get_args(Unit):
        if unit == known:
            try:
                return ModelSize(float(value), known)
            except ValueError:
                break
    raise InvalidInputError(f"{text!r} is no size of a model")
