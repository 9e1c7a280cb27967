"""Model files: safetensors with weights and integer tables; config and provenance as metadata."""

import copy
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from kodec.entropy import tables_of
from kodec.native import BitstreamError, InvalidInputError, UnsupportedError

from .atomic_file import write_atomically
from .building import build_module, check_section, class_paths, fill, public_config
from .coding_model import CodingModel
from .container.head_fields import CLASSES, Portability
from .finite_weights import check_finite
from .objective import MAX_NAME, Objective
from .tensor_file import read_tensors

FORMAT = "kodec-model-0"
TABLE_PREFIX = "tables/"
WEIGHT_PREFIX = "weights/"
ID_BYTES = 8
MAX_JSON = 2**20
_WHAT = "a kodec model file"


@dataclass(frozen=True)
class ModelInfo:
    """What a model file says about itself, beside its weights."""

    name: str
    config: Mapping[str, Any]
    model_id: bytes
    """First 8 bytes of the hash over all that the decoder needs."""
    notes: Mapping[str, str] = field(default_factory=dict)
    """Free text by topic: licence, training, source."""
    portability: Portability | None = None
    """The class of what it writes; None in files from before it was stored."""
    objective: Objective | None = None
    """What it was trained for; None where that is not known."""


def round_weights(network: CodingModel) -> None:
    """Round every parameter to float16, in place: what a model file stores is what codes."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if parameter.is_floating_point():
                rounded = parameter.half()
                check_finite({name: rounded}, bits=16)
                parameter.copy_(rounded)


def _in_single_precision(network: CodingModel) -> None:
    """Parameters, and buffers of fewer bits, to float32; what else a buffer holds stays."""
    for parameter in network.parameters():
        if parameter.is_floating_point():
            parameter.data = parameter.data.float()
    for module in network.modules():
        for name, buffer in module.named_buffers(recurse=False):
            if buffer.is_floating_point() and buffer.element_size() < 4:
                setattr(module, name, buffer.float())


def _stored(value: Tensor, parameter: bool) -> Tensor:
    """What a file holds of a weight, on the CPU, in memory of its own.

    Parameters in float16 where that is exact. Buffers (constants of layers, some tiny) in float32
    where that is exact, as float64 is also what the entropy path computes in; integers and booleans
    as they are.
    """
    out = value
    if value.is_floating_point():
        narrow = value.half() if parameter else value.float()
        if torch.equal(narrow.to(value.dtype), value):
            out = narrow
        elif parameter:
            out = value.float()
    return out.detach().to("cpu", copy=True).contiguous()


def model_id(network: CodingModel, config: Mapping[str, Any]) -> bytes:
    """Hash of decode-side weights, tables and config; the encoder's own parts don't count.

    config: with public class paths, see `public_config`.
    """
    decoder_config = copy.deepcopy(dict(config))
    for part in network.encoder_parts():
        above, _, name = part.rpartition(".")
        _arguments(decoder_config, above).pop(name, None)
    for part, names in network.encoder_only_arguments().items():
        for name in names:
            _arguments(decoder_config, part).pop(name, None)
    digest = hashlib.sha256(json.dumps(decoder_config, sort_keys=True).encode())
    parameters = {name for name, _ in network.named_parameters()}
    for name, value in sorted(network.decoder_state().items()):
        stored = _stored(value, name in parameters)
        digest.update(f"{name}{tuple(stored.shape)}".encode())
        digest.update(_bytes(stored))
    for name, tables in sorted(tables_of(network).items()):
        for key, array in sorted(tables.arrays().items()):
            digest.update(f"{name}/{key}".encode())
            digest.update(array.astype("<i4").tobytes())
    return digest.digest()[:ID_BYTES]


def _arguments(section: dict[str, Any], part: str) -> dict[str, Any]:
    """The init arguments of a part of the config, named by dots; empty where it has no such part.

    "" is the whole. A model that makes parts by arguments of its own has no sections for them.
    """
    arguments: dict[str, Any] = section.get("init_args") or {}
    for name in part.split(".") if part else ():
        inner = arguments.get(name)
        if not isinstance(inner, dict):
            return {}
        arguments = inner.get("init_args") or {}
    return arguments


def save_model(
    network: CodingModel,
    config: Mapping[str, Any],
    path: Path,
    name: str,
    notes: Mapping[str, str] | None = None,
    sixteen_bits: bool = True,
    objective: Objective | None = None,
) -> ModelInfo:
    """Round the weights, build the tables, and write the model file, whole or not at all.

    network: a trained codec in float32; it is changed in place and left ready to code. config: the
    section it was built from; it is stored with public class paths. sixteen_bits: round weights to
    float16; otherwise they stay as they are, in a file of twice the size. objective: what it was
    trained for, where that is known. Raises `InvalidInputError` where weights are not finite or do
    not fit 16 bits.
    """
    config = public_config(config)
    _in_single_precision(network)
    check_finite(network.state_dict())
    if sixteen_bits:
        round_weights(network)
    network.deploy()
    parameters = {key for key, _ in network.named_parameters()}
    tensors: dict[str, Tensor] = {
        WEIGHT_PREFIX + key: _stored(value, key in parameters)
        for key, value in network.state_dict().items()
    }
    for key, tables in tables_of(network).items():
        for part, array in tables.arrays().items():
            tensors[f"{TABLE_PREFIX}{key}/{part}"] = torch.from_numpy(np.ascontiguousarray(array))
    info = ModelInfo(
        name,
        config,
        model_id(network, config),
        dict(notes or {}),
        network.portability,
        objective,
    )
    metadata = {
        "checksum": _checksum(tensors),
        "format": FORMAT,
        "name": name,
        "config": json.dumps(config, sort_keys=True),
        "model_id": info.model_id.hex(),
        "notes": json.dumps(info.notes, sort_keys=True),
        "portability": network.portability,
    }
    if objective is not None:
        metadata["objective"] = json.dumps(asdict(objective), sort_keys=True)
    write_atomically(path, safetensors.torch.save(tensors, metadata))
    return info


def _bytes(tensor: Tensor) -> bytes:
    """A contiguous tensor's bytes, of whatever type of number."""
    return tensor.reshape(-1).view(torch.uint8).numpy().tobytes()


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    """Of all that a file holds; the model id leaves the encoder's own weights out."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(_bytes(tensor.contiguous()))
    return digest.hexdigest()


def read_model_info(path: Path) -> ModelInfo:
    """What a model file says about itself; its weights are neither read nor checked.

    Raises as `load_model` does, but for what the weights and tables hold.
    """
    return _info(path, read_tensors(path, _WHAT, values=False)[0])


def _read(path: Path) -> tuple[ModelInfo, dict[str, Tensor]]:
    metadata, tensors = read_tensors(path, _WHAT)
    info = _info(path, metadata)
    # Files written before there were checksums have the model id alone.
    if metadata.get("checksum") not in (None, _checksum(tensors)):
        raise BitstreamError(f"{path} is a damaged model file: its checksum is wrong")
    return info, tensors


def _info(path: Path, metadata: Mapping[str, str]) -> ModelInfo:
    """The metadata of a model file, checked as far as they can be without weights."""
    version = metadata.get("format", "")
    if version != FORMAT:
        if re.fullmatch(r"kodec-model-\w{1,20}", version):
            raise UnsupportedError(f"{path} needs a newer kodec ({version})")
        raise BitstreamError(f"{path} is a safetensors file, but not a kodec model")
    try:
        name, model_id_ = metadata["name"], bytes.fromhex(metadata["model_id"])
        config, notes = _json(metadata["config"]), _json(metadata["notes"])
        check_section(config)
        if len(model_id_) != ID_BYTES or len(name) > MAX_NAME or not isinstance(notes, dict):
            raise ValueError
        if not all(isinstance(note, str) for note in notes.values()):
            raise ValueError
        portability, objective = _class(metadata), _objective(metadata)
    except BitstreamError as error:
        raise BitstreamError(f"{path} is a damaged model file: {error}") from None
    except (KeyError, TypeError, ValueError, RecursionError):
        raise BitstreamError(
            f"{path} is a damaged model file: its metadata can't be read"
        ) from None
    return ModelInfo(name, config, model_id_, notes, portability, objective)


def _class(metadata: Mapping[str, str]) -> Portability | None:
    """What the file says of its portability; None in older ones. `ValueError` for no class."""
    if "portability" not in metadata:
        return None
    return CLASSES[CLASSES.index(cast(Portability, metadata["portability"]))]


def _objective(metadata: Mapping[str, str]) -> Objective | None:
    """What the model was trained for, as far as the file says; `ValueError` or `TypeError` else."""
    return Objective(**_json(metadata["objective"])) if "objective" in metadata else None


def _json(text: str) -> Any:
    if len(text) > MAX_JSON:
        raise ValueError
    return json.loads(text)


def load_model(path: Path, trusted: Sequence[str] = ()) -> tuple[CodingModel, ModelInfo]:
    """Read a model file; nothing is unpickled, and see `build_module` for what is built.

    trusted: packages, besides kodec, whose classes may be built. Raises `BitstreamError` for
    anything that is not a whole, consistent model file, in time and memory that follow from its
    size, and `UnsupportedError` for a format of another version.
    """
    info, tensors = _read(path)
    try:
        network = _network(info, tensors, trusted)
    except (InvalidInputError, BitstreamError) as error:
        raise BitstreamError(f"{path} can't be loaded: {error}") from error
    return network, info


def _network(info: ModelInfo, tensors: Mapping[str, Tensor], trusted: Sequence[str]) -> CodingModel:
    weights = _weights(tensors)
    network = build_module(info.config, trusted, weights)
    if not isinstance(network, CodingModel):
        raise BitstreamError(f"it holds a {class_paths(info.config)[0]}, not a codec")
    for key, tables in tables_of(network).items():
        prefix = f"{TABLE_PREFIX}{key}/"
        parts = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
        if not all(value.dtype == torch.int32 and value.ndim == 1 for value in parts.values()):
            raise BitstreamError(f"its tables {key!r} are not lists of integers")
        try:
            tables.load_arrays({k: v.numpy().copy() for k, v in parts.items()})
        except KeyError as error:
            raise BitstreamError(f"its tables {key!r} have no {error}: a damaged file") from None
    network.prepare()
    if model_id(network, info.config) != info.model_id:
        raise BitstreamError("its contents do not match its id: a damaged file")
    if info.portability not in (None, network.portability):
        raise BitstreamError(
            f"it says that it is {info.portability}, and is {network.portability}: a damaged file"
        )
    return network


def fill_from_model(network: nn.Module, path: Path, grown: bool = False) -> None:
    """Give a network, of whatever classes, the weights that a model file holds for it.

    Nothing that the file names is built. One with `adopt_picture` takes a picture model for the
    part that it holds. grown: the network may have parts that the file's codec has not, which keep
    their own weights. What is fitted behind a trained model (`fitted_parts`) is left out where the
    network has none. Raises `InvalidInputError` where the file is of another codec, otherwise as
    `load_model`.
    """
    info, tensors = _read(path)
    weights = _weights(tensors)
    adopt = getattr(network, "adopt_picture", None)
    of_pictures = str(info.config.get("class_path", "")).endswith(".PictureCodec")

    def give(part: nn.Module) -> None:
        fill(part, _without_fitted(part, weights), grown)

    try:
        if adopt is not None and of_pictures:
            adopt(give)
        else:
            give(network)
    except BitstreamError as error:
        raise InvalidInputError(
            f"the model {info.name} is of another codec than the config describes: {error}; start "
            "from one of the same"
        ) from None


def _without_fitted(network: nn.Module, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights but those of fitted parts that the network could have, and has not."""
    absent = tuple(
        f"{name}.{part}." if name else f"{part}."
        for name, module in network.named_modules()
        for part in getattr(module, "fitted_parts", ())
        if getattr(module, part) is None
    )
    return {key: value for key, value in weights.items() if not key.startswith(absent)}


def _weights(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What the tensors of a model file hold of weights; `BitstreamError` for what is not finite."""
    weights = {
        key.removeprefix(WEIGHT_PREFIX): value
        for key, value in tensors.items()
        if key.startswith(WEIGHT_PREFIX)
    }
    try:
        check_finite(weights)
    except InvalidInputError as error:
        raise BitstreamError(str(error)) from None
    return weights
