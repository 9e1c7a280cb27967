"""What the benchmarks do alike around their measurements: options, heading, report, exit."""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from kodec.codecs import Codec, write_atomically
from kodec.eval import describe_machine
from kodec.native import KodecError


def parser_of(doc: str | None) -> argparse.ArgumentParser:
    """A parser that describes the script by the first line of its docstring."""
    description = doc.splitlines()[0] if doc else None
    # A mistyped option is an error, and no other one's beginning.
    return argparse.ArgumentParser(description=description, allow_abbrev=False)


def heading(codec: Codec, pictures: int) -> str:
    """The line above the numbers: which model, and how many pictures."""
    return f"model {codec.name} ({codec.info.model_id.hex()}), {pictures} pictures"


def write_json(path: Path, content: dict[str, Any], indent: int = 2) -> None:
    """Write `content` with a final newline, whole or not at all."""
    write_atomically(path, (json.dumps(content, indent=indent) + "\n").encode())


def write_report(path: Path | None, codec: Codec, parts: dict[str, Any], indent: int = 2) -> None:
    """Write model, machine and then `parts`; nothing where no path was asked for."""
    if path is not None:
        model = {"model": codec.name, "model_id": codec.info.model_id.hex()}
        write_json(path, {**model, "machine": describe_machine(), **parts}, indent)


def run(
    main: Callable[[], int], name: str, errors: tuple[type[Exception], ...] = (KodecError,)
) -> NoReturn:
    """End with the status of `main`; one of `errors` ends it with a line that names the script."""
    try:
        sys.exit(main())
    except errors as error:
        sys.exit(f"{name}: {error}")
