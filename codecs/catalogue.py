"""The embedded models: by name, by id, with their measured numbers."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kodec.native import InvalidInputError, UnsupportedError

FOLDER = Path(__file__).parent / "embedded"


@dataclass(frozen=True)
class EmbeddedModel:
    """One model that comes with the package.

    `measured` holds numbers by name, each with the command that measured it under "command".
    """

    name: str
    path: Path
    model_id: bytes
    summary: str
    measured: dict[str, Any]


def embedded_models() -> list[EmbeddedModel]:
    """Every embedded model, by name."""
    models = []
    for card in sorted(FOLDER.glob("*.json")):
        entry = json.loads(card.read_text(encoding="utf-8"))
        models.append(
            EmbeddedModel(
                name=card.stem,
                path=card.with_suffix(".safetensors"),
                model_id=bytes.fromhex(entry["model_id"]),
                summary=entry["summary"],
                measured=entry["measured"],
            )
        )
    return models


def find_model(model: str | Path) -> Path:
    """Path of an embedded model's name, or of a model file; `InvalidInputError` if neither."""
    for entry in embedded_models():
        if str(model) == entry.name:
            return entry.path
    path = Path(model)
    if path.is_file():
        return path
    names = ", ".join(entry.name for entry in embedded_models())
    raise InvalidInputError(
        f"there is no model {str(model)!r}: name an embedded one ({names}) or a model file"
    )


def model_path(model_id: bytes) -> Path:
    """Path of the embedded model with this id; `UnsupportedError` if none has it."""
    for entry in embedded_models():
        if entry.model_id == model_id:
            return entry.path
    raise UnsupportedError(
        f"this file was written with the model {model_id.hex()}, which is not embedded: "
        "name its model file with --model"
    )
