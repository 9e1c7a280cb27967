"""Model files: safetensors with weights and integer tables; config and provenance as metadata."""

import copy
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from kodec.entropy import tables_of
from kodec.native import BitstreamError, InvalidInputError, UnsupportedError

from .atomic_file import write_atomically
from .building import build_module, class_paths
from .file_kind import SNIFF_BYTES, identify_file
from .picture_codec import PictureCodec

FORMAT = "kodec-model-0"
TABLE_PREFIX = "tables/"
WEIGHT_PREFIX = "weights/"


@dataclass(frozen=True)
class ModelInfo:
    """What a model file says about itself, beside its weights."""

    name: str
    config: Mapping[str, Any]
    model_id: bytes
    """First 8 bytes of the hash over all that the decoder needs."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Free text by topic: licence, training, source."""


def round_weights(network: PictureCodec) -> None:
    """Round every parameter to float16, in place: what a model file stores is what codes."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            rounded = parameter.half()
            if not torch.isfinite(rounded).all():
                raise InvalidInputError(f"the weights {name} are not finite in 16 bits")
            parameter.copy_(rounded)


def _stored_weights(network: PictureCodec) -> dict[str, Tensor]:
    """Parameters in float16 where that is exact, all else in float32, on the CPU.

    Buffers (constants of layers, some tiny) always are in float32.
    """
    parameters = {name for name, _ in network.named_parameters()}
    stored = {}
    for name, value in network.state_dict().items():
        half = value.half()
        exact = name in parameters and torch.equal(half.to(value.dtype), value)
        stored[name] = (half if exact else value.float()).cpu().contiguous()
    return stored


def model_id(network: PictureCodec, config: Mapping[str, Any]) -> bytes:
    """Hash of decode-side weights, tables and config; the encoder's own parts don't count."""
    decoder_config = copy.deepcopy(dict(config))
    arguments = decoder_config.get("init_args", {})
    arguments.pop("analysis", None)
    for part, names in network.encoder_only_arguments().items():
        for name in names:
            arguments.get(part, {}).get("init_args", {}).pop(name, None)
    digest = hashlib.sha256(json.dumps(decoder_config, sort_keys=True).encode())
    stored = _stored_weights(network)
    for name in sorted(network.decoder_state()):
        digest.update(f"{name}{tuple(stored[name].shape)}".encode())
        digest.update(stored[name].numpy().tobytes())
    for name, tables in sorted(tables_of(network).items()):
        for key, array in sorted(tables.arrays().items()):
            digest.update(f"{name}/{key}".encode())
            digest.update(array.astype("<i4").tobytes())
    return digest.digest()[:8]


def save_model(
    network: PictureCodec,
    config: Mapping[str, Any],
    path: Path,
    name: str,
    notes: Mapping[str, str] | None = None,
    sixteen_bits: bool = True,
) -> ModelInfo:
    """Round the weights, build the tables, and write the model file, whole or not at all.

    network: a trained codec in float32; it is changed in place and left ready to code. config: the
    section it was built from. sixteen_bits: round weights to float16; otherwise they stay as they
    are, in a file of twice the size. Raises `InvalidInputError` where weights do not fit 16 bits.
    """
    network = network.float()
    if sixteen_bits:
        round_weights(network)
    network.deploy()
    tensors: dict[str, Tensor] = {
        WEIGHT_PREFIX + key: value for key, value in _stored_weights(network).items()
    }
    for key, tables in tables_of(network).items():
        for part, array in tables.arrays().items():
            tensors[f"{TABLE_PREFIX}{key}/{part}"] = torch.from_numpy(np.ascontiguousarray(array))
    info = ModelInfo(name, config, model_id(network, config), dict(notes or {}))
    metadata = {
        "checksum": _checksum(tensors),
        "format": FORMAT,
        "name": name,
        "config": json.dumps(config, sort_keys=True),
        "model_id": info.model_id.hex(),
        "notes": json.dumps(info.notes, sort_keys=True),
    }
    write_atomically(path, safetensors.torch.save(tensors, metadata))
    return info


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    """Of all that a file holds; the model id leaves the encoder's own weights out."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def read_model_info(path: Path) -> ModelInfo:
    """What a model file says about itself; its weights are neither read nor checked.

    Raises as `load_model` does, but for what the weights and tables hold.
    """
    return _read(path, weights=False)[0]


def _read(path: Path, weights: bool) -> tuple[ModelInfo, dict[str, Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            keys = file.keys() if weights else []
            tensors = {key: file.get_tensor(key) for key in keys}
        # Files written before there were checksums have the model id alone.
        whole = not weights or metadata.get("checksum") in (None, _checksum(tensors))
    except SafetensorError:
        with path.open("rb") as file_:
            kind = identify_file(file_.read(SNIFF_BYTES))
        looks = f"; it looks like {kind.title}" if kind else ""
        raise BitstreamError(f"{path} is not a kodec model file, or is damaged{looks}") from None
    if metadata.get("format") != FORMAT:
        if metadata.get("format", "").startswith("kodec-model-"):
            raise UnsupportedError(f"{path} needs a newer kodec ({metadata['format']})")
        raise BitstreamError(f"{path} is a safetensors file, but not a kodec model")
    if not whole:
        raise BitstreamError(f"{path} is a damaged model file: its checksum is wrong")
    try:
        config, notes = json.loads(metadata["config"]), json.loads(metadata["notes"])
        info = ModelInfo(metadata["name"], config, bytes.fromhex(metadata["model_id"]), notes)
    except (KeyError, ValueError):
        raise BitstreamError(
            f"{path} is a damaged model file: its metadata can't be read"
        ) from None
    return info, tensors


def load_model(path: Path, trusted: Sequence[str] = ("kodec",)) -> tuple[PictureCodec, ModelInfo]:
    """Read a model file; only classes of `trusted` packages are built, nothing is unpickled.

    Raises `BitstreamError` for anything that is not a whole, consistent model file and
    `UnsupportedError` for a format of another version.
    """
    info, tensors = _read(path, weights=True)
    config = info.config
    network = build_module(config, trusted)
    if not isinstance(network, PictureCodec):
        raise BitstreamError(f"{path} holds a {class_paths(config)[0]}, not a picture codec")
    weights = {
        key.removeprefix(WEIGHT_PREFIX): value.float()
        for key, value in tensors.items()
        if key.startswith(WEIGHT_PREFIX)
    }
    try:
        network.load_state_dict(weights)
        for key, tables in tables_of(network).items():
            prefix = f"{TABLE_PREFIX}{key}/"
            parts = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            tables.load_arrays({k: v.numpy().astype(np.int32) for k, v in parts.items()})
    except (RuntimeError, KeyError, InvalidInputError) as error:
        line = str(error).splitlines()[0]
        raise BitstreamError(f"{path} is a damaged model file: {line}") from None
    network.prepare()
    if model_id(network, config) != info.model_id:
        raise BitstreamError(f"{path} is a damaged model file: its contents do not match its id")
    return network, info
