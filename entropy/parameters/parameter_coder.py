"""The parameters of a fitted network through a port: the one coder of all families.

    flags of each tensor --> steps, offsets --> masks --> models --> integers

For each tensor the encoder has chosen a quantiser; the coder chooses how its integers are coded, by
bits: a model of its own or one with others of its pool, as they are or as differences to earlier
parameters. Where steps are over an axis, slices along it may have a class each, by how far their
integers spread, and each class its own model. All that the decoder needs is in the stream, and
counted by name: "flags", "steps", "models", and each tensor's own.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kodec.entropy.ports.port import SymbolPort
from kodec.native import BitstreamError, InvalidInputError

from .integer_code import (
    SIDE_SYMBOLS,
    IntegerModel,
    Integers64,
    as_integers,
    choose_model,
    code_integers,
    code_model,
)
from .masks import code_mask, mask_symbols
from .quantised import Quantised, scale_shape

MOST_AXES = 8
CODING_BYTES = 40
"""Of memory that reading takes for each value, which belongs into a network's peak."""
_EXPONENT, _HALF, _SINGLE = range(3)
CLASSES = 4
"""Of a tensor's slices, as many of them in each."""
# Below so many integers classes have no models that are worth their bits.
_LEAST_CLASSED = 1024
_BINARY_EXPONENTS = 126


@dataclass(frozen=True)
class TensorLayout:
    """What both sides know of a tensor.

    pool: with which others it may share a model. masked: whether it may have a mask; without one
    a stream holds at least as many symbols as it has integers.
    """

    shape: torch.Size
    pool: str = "weights"
    masked: bool = False


@dataclass(frozen=True)
class _Flags:
    """What is said of a tensor, as one number."""

    axis: int
    step: int
    offset: bool
    masked: bool
    difference: bool
    classed: bool = False

    def number(self) -> int:
        flags = self.offset + 2 * self.masked + 4 * self.difference + 8 * self.classed
        return (3 * flags + self.step) * (MOST_AXES + 1) + self.axis + 1

    @staticmethod
    def of(number: int, tensor: TensorLayout, earlier: bool) -> "_Flags":
        rest, axis = divmod(number, MOST_AXES + 1)
        flags, step = divmod(rest, 3)
        found = _Flags(axis - 1, step, *(bool(flags >> bit & 1) for bit in range(4)))
        unknown = (found.difference and not earlier) or (found.masked and not tensor.masked)
        unknown |= found.classed and (found.masked or axis == 0)
        if number < 0 or flags > 15 or axis > len(tensor.shape) or unknown:
            raise BitstreamError("what is said of a tensor fits none: a damaged stream")
        return found


class ParameterCoder:
    """Codes tensors of integers against a port.

    layout: by name, in the order of the stream; equal on both sides. Raises `InvalidInputError` for
    tensors of more than 8 axes.
    """

    def __init__(self, layout: Mapping[str, TensorLayout]) -> None:
        self.layout = dict(layout)
        for name, tensor in self.layout.items():
            if len(tensor.shape) > MOST_AXES:
                raise InvalidInputError(f"{name!r} has more than {MOST_AXES} axes")
        self.pools: dict[str, list[str]] = {}
        for name, tensor in self.layout.items():
            self.pools.setdefault(tensor.pool, []).append(name)

    @property
    def symbols(self) -> range:
        """How many symbols the stream may take."""
        least = most = 0
        lists = 1 + 2 * (2 + len(self.layout)) + len(self.layout)
        least += len(self.layout)
        most += len(self.layout) + lists * SIDE_SYMBOLS[-1] + len(self.pools)
        for tensor in self.layout.values():
            count = math.prod(tensor.shape)
            least += 0 if tensor.masked else count
            # Steps and offsets, single ones in digits, and masks.
            most += count + 2 * 6 * count + tensor.masked * mask_symbols(tensor.shape)
            # Classes of slices, and what models there are for them.
            most += max(tensor.shape, default=0) + (1 + CLASSES) * SIDE_SYMBOLS[-1]
        return range(least, most + 1)

    def code(
        self,
        tensors: Mapping[str, Quantised] | None,
        port: SymbolPort,
        reference: Mapping[str, Tensor] | None = None,
        union: Mapping[str, Tensor] | None = None,
    ) -> dict[str, Quantised]:
        """Pass the tensors through the port; returns what the decoder will see.

        reference: by name, int32 integers of earlier parameters, of the tensors' shapes, which both
        sides have. union: of earlier masks, bool. Raises `InvalidInputError` for tensors of other
        names or shapes, `BitstreamError` for a stream that fits no tensors.
        """
        reference, union = reference or {}, union or {}
        if tensors is not None:
            self._check(tensors)
        flags = self._code_flags(tensors, port, reference)
        steps = self._code_scales(port, "steps", flags, _of(tensors, "step"))
        offsets = self._code_scales(
            port, "offsets", {n: f for n, f in flags.items() if f.offset}, _of(tensors, "offset")
        )
        masks = {}
        for name, said in flags.items():
            if said.masked:
                given = None if tensors is None else tensors[name].mask
                shape = self.layout[name].shape
                masks[name] = code_mask(port, f"{name}/mask", given, shape, union.get(name))
        integers = self._code_integers(tensors, port, flags, masks, reference)
        return {
            name: Quantised(
                integers[name], steps[name], offsets.get(name), said.axis, masks.get(name)
            )
            for name, said in flags.items()
        }

    def _check(self, tensors: Mapping[str, Quantised]) -> None:
        if tensors.keys() != self.layout.keys():
            differing = sorted(tensors.keys() ^ self.layout.keys())
            raise InvalidInputError(f"tensors and layout differ in {', '.join(differing)}")
        for name, tensor in self.layout.items():
            if tensors[name].integers.shape != tensor.shape:
                found = tuple(tensors[name].integers.shape)
                raise InvalidInputError(f"{name!r} is of {found}, not of {tuple(tensor.shape)}")
            if tensors[name].mask is not None and not tensor.masked:
                raise InvalidInputError(f"{name!r} has a mask, which its layout does not allow")

    def _code_flags(
        self,
        tensors: Mapping[str, Quantised] | None,
        port: SymbolPort,
        reference: Mapping[str, Tensor],
    ) -> dict[str, _Flags]:
        numbers: Integers64 | None = None
        if tensors is not None:
            numbers = np.array(
                [_said_of(tensors[n], reference.get(n)).number() for n in self.layout], np.int64
            )
        found = code_integers(port, "flags", numbers, len(self.layout))
        return {
            name: _Flags.of(int(number), self.layout[name], name in reference)
            for name, number in zip(self.layout, found, strict=True)
        }

    def _code_scales(
        self,
        port: SymbolPort,
        name: str,
        flags: Mapping[str, _Flags],
        given: Mapping[str, Tensor | None] | None,
    ) -> dict[str, Tensor]:
        """Steps, or offsets: numbers of one tensor each, and lists of those over an axis."""
        found: dict[str, Tensor] = {}
        single = {n: f for n, f in flags.items() if f.axis == -1}
        groups = [[n for n, f in single.items() if _form(f, name) == form] for form in range(3)]
        groups += [[n] for n in flags if n not in single]
        for names in groups:
            if not names:
                continue
            form = _form(flags[names[0]], name)
            shapes = [scale_shape(self.layout[n].shape, flags[n].axis) for n in names]
            count = sum(math.prod(shape) for shape in shapes)
            values: NDArray[np.float32] | None = None
            if given is not None:
                flat = [given[n] for n in names]
                parts = [t.detach().reshape(-1).cpu().numpy() for t in flat if t is not None]
                values = np.concatenate(parts).astype(np.float32)
            read = _code_floats(port, name, form, values, count)
            at = 0
            for one, shape in zip(names, shapes, strict=True):
                size = math.prod(shape)
                found[one] = torch.from_numpy(read[at : at + size].copy()).reshape(shape)
                at += size
        return found

    def _code_integers(
        self,
        tensors: Mapping[str, Quantised] | None,
        port: SymbolPort,
        flags: Mapping[str, _Flags],
        masks: Mapping[str, Tensor],
        reference: Mapping[str, Tensor],
    ) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        for names in self.pools.values():
            given: dict[str, Integers64] | None = None
            if tensors is not None:
                given = {}
                for name in names:
                    values = tensors[name].integers
                    if flags[name].difference:
                        values = values - reference[name].to(values.device)
                    given[name] = as_integers(values if name not in masks else values[masks[name]])
            shared: IntegerModel | None = None
            if len(names) > 1:
                plain = {n: v for n, v in (given or {}).items() if not flags[n].classed}
                told = None if given is None else torch.tensor([[int(_better_shared(plain))]])
                if int(port.integers("models", told, 2, torch.Size((1, 1)))[0, 0]):
                    whole = None if given is None else np.concatenate(list(plain.values()))
                    shared = code_model(port, whole)
            for name in names:
                shape, mask = self.layout[name].shape, masks.get(name)
                count = math.prod(shape) if mask is None else int(mask.sum())
                own = None if given is None else given[name]
                if flags[name].classed:
                    flat = _code_by_class(port, name, own, shape, flags[name].axis)
                else:
                    flat = code_integers(port, name, own, count, shared)
                values = torch.from_numpy(flat.astype(np.int32))
                if mask is not None:
                    values = torch.zeros(shape, dtype=torch.int32).masked_scatter_(mask, values)
                values = values.reshape(shape)
                if flags[name].difference:
                    earlier = reference[name].cpu()
                    changed = values.long() + (earlier if mask is None else earlier * mask)
                    if changed.numel() and int(changed.abs().max()) > 2**30:
                        raise BitstreamError(f"{name!r} is out of range: a damaged stream")
                    values = changed.int()
                found[name] = values
        return {name: found[name] for name in self.layout}


def _of(tensors: Mapping[str, Quantised] | None, part: str) -> Mapping[str, Tensor | None] | None:
    if tensors is None:
        return None
    return {name: getattr(tensor, part) for name, tensor in tensors.items()}


def _said_of(tensor: Quantised, earlier: Tensor | None) -> _Flags:
    difference, integers = False, tensor.integers
    if earlier is not None:
        mask = tensor.mask if tensor.mask is not None else torch.ones_like(tensor.integers).bool()
        plain = as_integers(tensor.integers[mask])
        changed = tensor.integers - earlier.to(tensor.integers.device)
        difference = choose_model(as_integers(changed[mask]))[1] < choose_model(plain)[1]
        integers = changed if difference else integers
    classed = tensor.mask is None and _better_by_class(integers, tensor.axis)
    step = _form_of(tensor.step)
    if tensor.offset is not None and step != _SINGLE:
        # One form for both: an offset is no power of two.
        step = _HALF if _form_of(tensor.offset) != _SINGLE and _fits_half(tensor.step) else _SINGLE
    masked = tensor.mask is not None
    return _Flags(tensor.axis, step, tensor.offset is not None, masked, difference, classed)


def _slices(integers: Integers64, shape: torch.Size, axis: int) -> Integers64:
    """A tensor's integers, in its order, as its slices along an axis: (slices, others)."""
    return np.moveaxis(integers.reshape(shape), axis, 0).reshape(shape[axis], -1)


def _classes_of(slices: Integers64) -> Integers64:
    """The class of each slice, from those that spread least."""
    found = np.zeros(len(slices), np.int64)
    order = np.argsort(slices.std(1), kind="stable")
    for number, members in enumerate(np.array_split(order, CLASSES)):
        found[members] = number
    return found


def _better_by_class(integers: Tensor, axis: int) -> bool:
    if axis < 0 or integers.numel() < _LEAST_CLASSED:
        return False
    slices = _slices(as_integers(integers), integers.shape, axis)
    classes = _classes_of(slices)
    parts = [slices[classes == number].reshape(-1) for number in range(CLASSES)]
    apart = sum(choose_model(part)[1] for part in (classes, *parts) if part.size)
    return apart < choose_model(slices.reshape(-1))[1]


def _code_by_class(
    port: SymbolPort, name: str, values: Integers64 | None, shape: torch.Size, axis: int
) -> Integers64:
    """Integers of a tensor, in its order: classes of slices, then those of each class in turn."""
    slices = None if values is None else _slices(values, shape, axis)
    told = None if slices is None else _classes_of(slices)
    classes = code_integers(port, "models", told, shape[axis])
    if classes.size and not 0 <= classes.min() <= classes.max() < CLASSES:
        raise BitstreamError(f"{name!r} has slices of classes that are none: a damaged stream")
    found = np.zeros((shape[axis], math.prod(shape) // max(1, shape[axis])), np.int64)
    for number in range(CLASSES):
        members = classes == number
        if members.any():
            part = None if slices is None else slices[members].reshape(-1)
            found[members] = code_integers(port, name, part, found[members].size).reshape(
                -1, found.shape[1]
            )
    moved = found.reshape(shape[axis], *(n for i, n in enumerate(shape) if i != axis))
    return np.moveaxis(moved, 0, axis).reshape(-1)


def _form(flags: _Flags, name: str) -> int:
    return _HALF if name == "offsets" and flags.step == _EXPONENT else flags.step


def _fits_half(values: Tensor) -> bool:
    return bool(torch.equal(values.half().float(), values))


def _form_of(values: Tensor) -> int:
    """The shortest form that holds the numbers exactly."""
    mantissa, exponent = torch.frexp(values.detach().cpu())
    if bool((mantissa == 0.5).all()) and bool((exponent.abs() < _BINARY_EXPONENTS).all()):
        return _EXPONENT
    return _HALF if _fits_half(values) else _SINGLE


def _code_floats(
    port: SymbolPort, name: str, form: int, values: NDArray[np.float32] | None, count: int
) -> NDArray[np.float32]:
    """Numbers of a form, exactly; raises `BitstreamError` where one is not finite."""
    if form == _SINGLE:
        bits = None
        if values is not None:
            bits = torch.from_numpy(values.view(np.uint32).astype(np.int64)).reshape(1, -1)
        shape, total = torch.Size((1, count)), torch.zeros(count, dtype=torch.int64)
        for half in range(2):
            given = None if bits is None else bits >> (16 * half) & 0xFFFF
            total += port.integers(name, given, 1 << 16, shape).reshape(-1).long() << (16 * half)
        found = total.numpy().astype(np.uint32).view(np.float32)
    elif form == _EXPONENT:
        powers = None if values is None else np.frexp(values)[1].astype(np.int64) - 1
        powers = code_integers(port, name, powers, count)
        if count and np.abs(powers).max() > _BINARY_EXPONENTS:
            raise BitstreamError(f"{name} are out of range: a damaged stream")
        found = np.ldexp(np.ones(count, np.float32), powers.astype(np.int32)).astype(np.float32)
    else:
        ordered = None if values is None else _ordered(values.astype(np.float16).view(np.uint16))
        back = code_integers(port, name, ordered, count)
        if count and not -0x8000 <= back.min() <= back.max() <= 0x7FFF:
            raise BitstreamError(f"{name} are out of range: a damaged stream")
        pattern = np.where(back < 0, 0x7FFF - back, back).astype(np.uint16)
        found = pattern.view(np.float16).astype(np.float32)
    if not np.isfinite(found).all():
        raise BitstreamError(f"{name} are not finite: a damaged stream")
    return found


def _ordered(pattern: NDArray[np.uint16]) -> Integers64:
    """Bits of float16 as integers that grow with the number: -1 is -0."""
    magnitude = (pattern & 0x7FFF).astype(np.int64)
    return np.asarray(np.where(pattern & 0x8000, -1 - magnitude, magnitude))


def _better_shared(given: Mapping[str, Integers64]) -> bool:
    if not given:
        return False
    apart = sum(choose_model(values)[1] for values in given.values())
    return choose_model(np.concatenate(list(given.values())))[1] <= apart
