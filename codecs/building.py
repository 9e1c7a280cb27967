"""Building modules from the `class_path` / `init_args` sections of configs and model files."""

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from kodec.native import BitstreamError


def build_module(config: Mapping[str, Any], trusted: Sequence[str] = ("kodec",)) -> nn.Module:
    """The module that a config section describes, its parts built likewise.

    config: {"class_path": dotted name, "init_args": {...}}, nested. Only classes of `trusted`
    top-level packages are ever imported; anything else raises `BitstreamError`.
    """
    built = _build(config, tuple(trusted))
    if not isinstance(built, nn.Module):
        raise BitstreamError("the config's outermost part has no class_path")
    return built


def _build(value: Any, trusted: tuple[str, ...]) -> Any:
    if isinstance(value, Mapping):
        if "class_path" in value:
            arguments = _build(dict(value.get("init_args") or {}), trusted)
            try:
                return _find(str(value["class_path"]), trusted)(**arguments)
            except TypeError as error:
                raise BitstreamError(
                    f"the config does not fit {value['class_path']}: {error}"
                ) from None
        return {key: _build(item, trusted) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_build(item, trusted) for item in value)
    return value


def _find(path: str, trusted: tuple[str, ...]) -> type[nn.Module]:
    package, _, name = path.rpartition(".")
    if package.split(".")[0] not in trusted:
        raise BitstreamError(
            f"the model wants the class {path}, which is in none of the trusted packages "
            f"({', '.join(trusted)}); name its package as trusted if you trust the file's author"
        )
    try:
        found = getattr(importlib.import_module(package), name)
    except (ImportError, AttributeError):
        raise BitstreamError(f"this version of kodec has no {path}; a newer one may") from None
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise BitstreamError(f"{path} is not a module that a codec can be built from")
    return found


def class_paths(config: Mapping[str, Any]) -> list[str]:
    """Every class path in a config section, outermost first."""
    paths = [str(config["class_path"])] if "class_path" in config else []
    for value in config.values():
        if isinstance(value, Mapping):
            paths += class_paths(value)
    return paths
