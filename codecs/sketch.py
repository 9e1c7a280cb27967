"""Building modules without their numbers: shapes and types, on the meta device, in bounded time."""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from kodec.native import BitstreamError

META = torch.device("meta")

# What draws random values, beside the methods whose names end in an underscore.
_INITIALISERS = {"kaiming_uniform_", "uniform_", "normal_"}
_ELEMENTWISE = {
    *("abs", "neg", "exp", "expm1", "log", "log2", "log1p", "sqrt", "rsqrt", "sign", "square"),
    *("add", "sub", "rsub", "mul", "div", "pow", "remainder", "floor_divide", "__floordiv__"),
}
_TO_REAL = {"exp", "expm1", "log", "log2", "log1p", "sqrt", "rsqrt", "div"}


class Undrawn(TorchFunctionMode):
    """Leaves random starts away, where weights will replace them."""

    def __torch_function__(
        self, func: Any, kinds: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if getattr(func, "__name__", "") in _INITIALISERS:
            return args[0] if args else named["tensor"]
        return func(*args, **named)


class Sketch(TorchFunctionMode):
    """Puts new tensors on the meta device, and ends a constructor that makes far too much of them.

    calls: how many operations on tensors it may take. PyTorch computes much on the meta device in
    Python, whose modules take seconds and 150 MB to import; what constructors need of that is
    here, as shapes alone.
    """

    def __init__(self, calls: int) -> None:
        super().__init__()
        self.left = calls
        self.gradients = torch.is_grad_enabled()

    def __exit__(self, *raised: Any) -> None:
        super().__exit__(*raised)  # type: ignore[no-untyped-call]
        # The end may come in the very call by which a constructor's `no_grad` restores this.
        torch.set_grad_enabled(self.gradients)

    def __torch_function__(
        self, func: Any, kinds: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        self.left -= 1
        if self.left < 0:
            raise BitstreamError("the config describes far more layers than its weights are for")
        named = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if name in _INITIALISERS:
            return args[0] if args else named["tensor"]
        if name in _FACTORIES and named.get("device") is None:
            return _FACTORIES[name](func, args, named)
        first = args[0] if args else None
        if isinstance(first, Tensor) and first.device == META:
            if name.endswith("_") and not name.startswith("_") and name != "requires_grad_":
                return first
            if name in _ELEMENTWISE:
                return _elementwise(name, args)
            if name == "repeat":
                return _repeated(first, args[1:])
            if name == "sum":
                return _summed(first, *args[1:], **named)
        return func(*args, **named)


def _elementwise(name: str, args: Any) -> Tensor:
    tensors = [a for a in args if isinstance(a, Tensor)]
    # Not torch.broadcast_shapes, which imports what this module is to avoid.
    sides = itertools.zip_longest(*(reversed(t.shape) for t in tensors), fillvalue=1)
    shape = [0 if 0 in together else max(together) for together in sides][::-1]
    dtype = tensors[0].dtype if len(args) < 2 else torch.result_type(args[0], args[1])
    if name in _TO_REAL and not dtype.is_floating_point:
        dtype = torch.get_default_dtype()
    return torch.empty(shape, dtype=dtype, device=META)


def _repeated(x: Tensor, times: Any) -> Tensor:
    times = times[0] if len(times) == 1 and not isinstance(times[0], int) else times
    sides = (1,) * (len(times) - x.ndim) + tuple(x.shape)
    shape = [side * count for side, count in zip(sides, times, strict=True)]
    return torch.empty(shape, dtype=x.dtype, device=META)


def _summed(x: Tensor, dim: Any = None, keepdim: bool = False, **_: Any) -> Tensor:
    dims = range(x.ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
    gone = {d % x.ndim for d in dims}
    kept = [1 if d in gone else side for d, side in enumerate(x.shape) if keepdim or d not in gone]
    dtype = x.dtype if x.is_floating_point() else torch.int64
    return torch.empty(kept, dtype=dtype, device=META)


def _on_meta(func: Any, args: Any, named: dict[str, Any]) -> Any:
    return func(*args, **{**named, "device": META})


def _eye(func: Any, args: Any, named: dict[str, Any]) -> Tensor:
    rows = args[0]
    columns = args[1] if len(args) > 1 else rows
    return torch.empty((rows, columns), dtype=named.get("dtype"), device=META)


def _arange(func: Any, args: Any, named: dict[str, Any]) -> Tensor:
    start, end, step = (0, args[0], 1) if len(args) == 1 else (*args, 1)[:3]
    whole = all(isinstance(value, int) for value in args)
    dtype = named.get("dtype") or (torch.int64 if whole else torch.get_default_dtype())
    return torch.empty(max(0, math.ceil((end - start) / step)), dtype=dtype, device=META)


def _linspace(func: Any, args: Any, named: dict[str, Any]) -> Tensor:
    steps = args[2] if len(args) > 2 else named["steps"]
    return torch.empty(steps, dtype=named.get("dtype"), device=META)


_FACTORIES: dict[str, Callable[[Any, Any, dict[str, Any]], Any]] = {
    **dict.fromkeys(("empty", "zeros", "ones", "full", "tensor", "rand", "randn"), _on_meta),
    "linspace": _linspace,
    "eye": _eye,
    "arange": _arange,
}
