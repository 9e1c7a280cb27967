"""Building modules from the `class_path` / `init_args` sections of configs and model files.

A section may come from a forger. So it is bounded first, each argument is held against the
constructor's own annotations, and the module is built on the meta device, where tensors have shapes
and take no memory. Only what is then as large as it should be is built in earnest.
"""

import contextlib
import functools
import importlib
import math
import re
import types
import typing
from collections import abc
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kodec.entropy import GainUnit
from kodec.native import BitstreamError, InvalidInputError, KodecError

from .coding_model import CodingModel
from .sketch import Sketch, Undrawn

OWN = "kodec"
HOMES = ("kodec.codecs", "kodec.entropy", "kodec.models")

MAX_DEPTH = 32
MAX_VALUES = 10_000
MAX_TEXT = 1_000
MAX_WHOLE = 2**53
# Of arguments of kodec's own parts: widths, counts, window sides.
MAX_OWN_WHOLE = 2**16

MAX_PARAMETERS = 2**28
"""Of a module that is built without weights to compare it with: 1 GiB in float32."""
# Operations on tensors that constructors may take: for the training configs 4 to 8 a weight.
_MAX_CALLS = 500_000
_CALLS_PER_WEIGHT = 50
_FREE_CALLS = 5_000
# Constants that a constructor computes, beside the weights.
_FREE_BYTES = 16 * 2**20

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def build_module(
    config: Mapping[str, Any],
    trusted: Sequence[str] = (),
    weights: Mapping[str, Tensor] | None = None,
) -> nn.Module:
    """The module that a config section describes, its parts built likewise.

    config: {"class_path": dotted name, "init_args": {...}}, nested. Of kodec, only the public parts
    of codecs are built; of other packages, only the classes of `trusted` top-level ones, and no
    other is even imported. weights: a state dict, which must have exactly the module's names and
    shapes, and kinds of numbers that its types can hold; it is filled in.

    Raises `BitstreamError` for a section that describes no module or another than the weights are
    of, and `InvalidInputError` where a part refuses its arguments.
    """
    check_section(config)
    packages = (trusted,) if isinstance(trusted, str) else tuple(trusted)
    try:
        _check_size(config, packages, weights)
        # What other packages' constructors draw may be more than a start.
        drawn = weights is None or packages_of(config)
        with contextlib.nullcontext() if drawn else Undrawn():
            built = _build(config, packages)
    except RecursionError:
        raise BitstreamError("the config's parts do not come to an end: a damaged file") from None
    except (MemoryError, torch.OutOfMemoryError):
        raise KodecError("not enough memory for a codec as large as the config's") from None
    assert isinstance(built, nn.Module)
    if weights is not None:
        fill(built, weights)
    return built


def check_section(config: Any) -> None:
    """Refuse, with `BitstreamError`, what is no config section of a bearable size.

    A section is a mapping with a class path and, if it has any, arguments by name; it holds
    mappings, lists, text, finite numbers, booleans and nulls.
    """
    if not isinstance(config, Mapping) or "class_path" not in config:
        raise BitstreamError("the config's outermost part has no class_path")
    pending: list[tuple[Any, int]] = [(config, 1)]
    values = 0
    while pending:
        value, depth = pending.pop()
        values += 1
        if depth > MAX_DEPTH or values > MAX_VALUES:
            raise BitstreamError(
                f"the config has more than {MAX_DEPTH} levels or {MAX_VALUES:,} values: that is no "
                "codec's"
            )
        if isinstance(value, Mapping):
            _check_mapping(value)
            pending += ((item, depth + 1) for item in value.values())
        elif isinstance(value, list | tuple):
            pending += ((item, depth + 1) for item in value)
        elif isinstance(value, str):
            if len(value) > MAX_TEXT:
                raise BitstreamError(f"the config holds text of {len(value):,} characters")
        elif isinstance(value, bool) or value is None:
            pass
        elif isinstance(value, int):
            if abs(value) > MAX_WHOLE:
                raise BitstreamError("the config holds a whole number of more than 2^53")
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise BitstreamError("the config holds a number that is not finite")
        else:
            raise BitstreamError(f"the config holds a {type(value).__name__}, no plain value")


def _check_mapping(value: Mapping[Any, Any]) -> None:
    if not all(isinstance(key, str) and len(key) <= MAX_TEXT for key in value):
        raise BitstreamError("the config has names that are no text, or are far too long")
    if "class_path" not in value:
        return
    path, arguments = value["class_path"], value.get("init_args")
    if not (isinstance(path, str) and _DOTTED.fullmatch(path)):
        raise BitstreamError(f"the config's class path {str(path)[:80]!r} is no dotted name")
    if not (arguments is None or isinstance(arguments, Mapping)):
        raise BitstreamError(f"the init_args of {path} are no arguments by name")
    others = value.keys() - {"class_path", "init_args"}
    if others:
        raise BitstreamError(
            f"the section of {path} has a key {min(others)!r}, which means nothing"
        )


def sections(config: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every section with a class path in a checked config, outermost first."""
    if "class_path" in config:
        yield config
    for value in config.values():
        for item in value if isinstance(value, list | tuple) else (value,):
            if isinstance(item, Mapping):
                yield from sections(item)


def class_paths(config: Mapping[str, Any]) -> list[str]:
    """Every class path in a config section, outermost first."""
    return [str(section["class_path"]) for section in sections(config)]


def packages_of(config: Mapping[str, Any]) -> list[str]:
    """The top-level packages, other than kodec, that a config's classes are in; each once."""
    found = dict.fromkeys(path.partition(".")[0] for path in class_paths(config))
    return [package for package in found if package != OWN]


def public_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The same section with kodec's classes under their public paths, which is what is stored.

    Modules within the package may move; `kodec.entropy.MeanScaleHyperprior` stays. Raises
    `BitstreamError` where a class of kodec is no public one.
    """
    return {key: _public(value) for key, value in config.items()} | (
        {"class_path": public_path(str(config["class_path"]))} if "class_path" in config else {}
    )


def _public(value: Any) -> Any:
    if isinstance(value, Mapping):
        return public_config(value)
    if isinstance(value, list | tuple):
        return [_public(item) for item in value]
    return value


def public_path(path: str) -> str:
    """The public path of a class of kodec; paths of other packages as they are."""
    if path.partition(".")[0] != OWN or _public_class(path) is not None:
        return path
    module, _, name = path.rpartition(".")
    for public, found in _public_classes().items():
        if public.endswith(f".{name}") and found.__module__ == module:
            return public
    raise BitstreamError(_no_part(path))


def _public_class(path: str) -> type[nn.Module] | None:
    """kodec's module of that public path; no other is imported."""
    home, _, name = path.rpartition(".")
    package = importlib.import_module(home) if home in HOMES else None
    if package is None or name not in package.__all__:
        return None
    value = getattr(package, name)
    return value if isinstance(value, type) and issubclass(value, nn.Module) else None


@functools.cache
def _public_classes() -> dict[str, type[nn.Module]]:
    """kodec's modules by their public paths."""
    classes = {}
    for home in HOMES:
        for name in importlib.import_module(home).__all__:
            found = _public_class(f"{home}.{name}")
            if found is not None:
                classes[f"{home}.{name}"] = found
    return classes


def _no_part(path: str) -> str:
    home, _, name = path.rpartition(".")
    if home in HOMES and hasattr(importlib.import_module(home), name):
        return f"{path} is not a module that a codec can be built from"
    public = next((p for p in _public_classes() if p.endswith(f".{name}") and p != path), None)
    if public is not None:
        return f"{path} is not the public path of a class: write {public}"
    return f"this version of kodec has no {path} that a codec can be built of; a newer one may"


def _build(value: Any, trusted: tuple[str, ...]) -> Any:
    if isinstance(value, Mapping):
        if "class_path" in value:
            return _instantiate(value, trusted)
        return {key: _build(item, trusted) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_build(item, trusted) for item in value)
    return value


def _instantiate(section: Mapping[str, Any], trusted: tuple[str, ...]) -> nn.Module:
    path = str(section["class_path"])
    found = _find(path, trusted)
    own = path.startswith(f"{OWN}.")
    given = section.get("init_args") or {}
    arguments = {name: _build(value, trusted) for name, value in given.items()}
    if own:
        _check_arguments(path, found, arguments)
    try:
        built = found(**arguments)
    except (KodecError, RecursionError, MemoryError):
        raise
    except Exception as error:  # constructors fail on wrong arguments in every way there is
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise BitstreamError(f"the config does not fit {path}: {reason}") from error
    if own and not _is_part(built):
        raise BitstreamError(f"{path} is not a module that a codec can be built from")
    return built


def _is_part(module: nn.Module) -> bool:
    """Whether it is a codec, a transform, a gain unit, or passes latents through a port."""
    codes = hasattr(module, "stride") or hasattr(module, "code")
    return codes or isinstance(module, GainUnit | CodingModel)


def _find(path: str, trusted: tuple[str, ...]) -> type[nn.Module]:
    package, _, name = path.rpartition(".")
    top = package.partition(".")[0]
    if top == OWN:
        found: Any = _public_class(path)
        if found is None:
            raise BitstreamError(_no_part(path))
        return found  # type: ignore[no-any-return]
    if top not in trusted:
        raise BitstreamError(
            f"the model wants the class {path}, which is in none of the trusted packages "
            f"({', '.join((OWN, *trusted))}): name its package as trusted, with --trust {top}, if "
            "you trust the file's author"
        )
    try:
        found = getattr(importlib.import_module(package), name)
    except ModuleNotFoundError as error:
        raise InvalidInputError(
            f"the model wants the class {path}, and Python finds no module {error.name}: "
            "put its folder in PYTHONPATH"
        ) from None
    except AttributeError:
        raise BitstreamError(
            f"the package {package} has no {name}, which the model wants"
        ) from None
    except Exception as error:  # of whatever the package does when it is imported
        raise InvalidInputError(
            f"the package {package} can't be imported: {type(error).__name__}: {error}"
        ) from error
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise BitstreamError(f"{path} is not a module that a codec can be built from")
    return found


def _check_arguments(path: str, found: type[nn.Module], arguments: Mapping[str, Any]) -> None:
    """Hold arguments against what the constructor, or what it hands them on to, says it takes."""
    hints: dict[str, Any] = {}
    for owner in found.__mro__:
        if "__init__" in vars(owner) and owner is not nn.Module:
            hints = typing.get_type_hints(vars(owner)["__init__"]) | hints
    for name, value in arguments.items():
        hint = hints.get(name, Any)
        if not _fits(value, hint):
            wanted = hint.__name__ if isinstance(hint, type) else str(hint)
            plain = value is None or isinstance(value, str | int | float)
            shown = repr(value)[:80] if plain else f"a {type(value).__name__}"
            raise BitstreamError(f"{name} of {path} is {shown}, where it takes {wanted}")
        flat = value if isinstance(value, tuple) else (value,)
        if any(isinstance(v, int) and abs(v) > MAX_OWN_WHOLE for v in flat):
            raise BitstreamError(f"{name} of {path} is beyond {MAX_OWN_WHOLE:,}")


def _fits(value: Any, hint: Any) -> bool:
    """Whether a value, its lists tuples by now, is of an annotated type."""
    if hint is Any:
        return True
    origin, of = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return any(_fits(value, one) for one in of)
    if origin is typing.Literal:
        # Which of them, the constructor says better.
        return any(type(value) is type(one) for one in of)
    if origin is tuple and of[-1:] != (...,):
        return isinstance(value, tuple) and len(value) == len(of) and all(map(_fits, value, of))
    if origin in (tuple, list, abc.Sequence):
        return isinstance(value, tuple) and all(_fits(item, of[0]) for item in value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return not isinstance(hint, type) or isinstance(value, hint)


def _check_size(
    config: Mapping[str, Any], trusted: tuple[str, ...], weights: Mapping[str, Tensor] | None
) -> None:
    """Build on the meta device, and refuse what is too large or does not fit the weights."""
    calls = _MAX_CALLS if weights is None else _FREE_CALLS + _CALLS_PER_WEIGHT * len(weights)
    try:
        with Sketch(min(calls, _MAX_CALLS)):
            sketch: nn.Module = _build(config, trusted)
    except BitstreamError as error:
        if not set(trusted).isdisjoint(packages_of(config)) and error.__cause__ is not None:
            # A trusted package's constructor that reads its tensors' values, as it may; if anything
            # else is wrong, building in earnest says so.
            return
        raise
    if weights is not None:
        _check_weights(sketch, weights)
        _check_constants(sketch, weights)
        return
    count = sum(parameter.numel() for parameter in sketch.parameters())
    constants = sum(b.numel() * b.element_size() for b in sketch.buffers())
    if count > MAX_PARAMETERS or constants > 4 * MAX_PARAMETERS:
        raise BitstreamError(
            f"the config describes a codec of {count:,} parameters, more than {MAX_PARAMETERS:,}: "
            "make it smaller"
        )


def _check_weights(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Refuse weights of other names, shapes or kinds than the module's."""
    own = module.state_dict()
    for name, value in own.items():
        given = weights.get(name)
        if given is None:
            raise BitstreamError(f"there are no weights {name!r}, which its config needs")
        if given.shape != value.shape:
            raise BitstreamError(
                f"the weights {name!r} are {_shape(given)}, where its config needs {_shape(value)}"
            )
        holds = torch.promote_types(given.dtype, value.dtype) == value.dtype
        if not holds or given.is_floating_point() != value.is_floating_point():
            raise BitstreamError(
                f"the weights {name!r} are {_kind(given)}, where its config needs {_kind(value)}"
            )
    for name in weights:
        if name not in own:
            raise BitstreamError(
                f"there are weights {name[:200]!r}, which its config has no use for"
            )


def _check_constants(sketch: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Refuse a module that computes far more constants than it has weights."""
    stored = set(sketch.state_dict())
    bound = max(_FREE_BYTES, sum(w.numel() * w.element_size() for w in weights.values()))
    constants = [b for name, b in sketch.named_buffers() if name not in stored]
    if sum(b.numel() * b.element_size() for b in constants) > bound:
        raise BitstreamError("the config describes constants far larger than its weights")


def fill(module: nn.Module, weights: Mapping[str, Tensor], grown: bool = False) -> None:
    """Give a module these weights; raises `BitstreamError` where they are not all of its own.

    grown: what has no weights there keeps its own.
    """
    if grown:
        weights = {**module.state_dict(), **weights}
    _check_weights(module, weights)
    try:
        module.load_state_dict(dict(weights))
    except RuntimeError as error:
        line = str(error).splitlines()[-1].strip()
        raise BitstreamError(f"the weights do not fit their config: {line}") from None


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "a single number"


def _kind(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")
