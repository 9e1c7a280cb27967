"""A logger of Lightning's of the user's own, as a module that a config names."""

import json
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger


class ListedLogger(Logger):
    """Writes JSON lines of a step's metrics."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = Path(path)

    @property
    def name(self) -> str:
        return "listed"

    @property
    def version(self) -> str:
        return "0"

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps({"step": step, **metrics}) + "\n")

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *_: Any, **__: Any) -> None:
        """None are kept."""
