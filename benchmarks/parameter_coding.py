"""What weights take: the parameter coder's choices beside entropies, Huffman and Exp-Golomb codes.

    python benchmarks/parameter_coding.py [--data KODEC_DATA] [--tensors 40] [--json REPORT.json]

Two sets of trained weights: Cool-chic's integer networks of two pictures (reference data), whose
real bytes are known, and the first tensors of the default model, in 8 and 6 bits (min + step k).
All bytes are real ones of whole streams; entropies and Huffman codes have one table a tensor, which
costs nothing here. "huffman_pooled" is how HNeRV counts: one code for all tensors, whose table is
not charged either; "with side" adds 16 bit for each step and minimum, as it does.
"""

import heapq
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from kodec.codecs import find_model, load_model
from kodec.entropy import RateMeter, SymbolReader, SymbolWriter
from kodec.entropy.parameters import (
    ParameterCoder,
    Quantised,
    TensorLayout,
    choose_model,
    given_step,
    integer_code,
    uniform,
)
from kodec.native import InvalidInputError, KodecError
from reporting import parser_of, run, write_json

Tensors = Mapping[str, Quantised]
Pool = Callable[[str], str]


def huffman_bits(values: np.ndarray[Any, Any]) -> int:
    """Of a static Huffman code."""
    counts = np.unique(values, return_counts=True)[1].tolist()
    heapq.heapify(counts)
    total = 0
    while len(counts) > 1:
        both = heapq.heappop(counts) + heapq.heappop(counts)
        total += both
        heapq.heappush(counts, both)
    return total


def coded(tensors: Tensors, pool: Pool) -> tuple[int, dict[str, float]]:
    """Real bytes, read back and compared, and bits of the side information."""
    layout = {name: TensorLayout(t.integers.shape, pool(name)) for name, t in tensors.items()}
    coder, writer, meter = ParameterCoder(layout), SymbolWriter(1), RateMeter(training=False)
    coder.code(tensors, writer)
    coder.code(tensors, meter)
    (stream,) = writer.finish()
    reader = SymbolReader([stream])
    back = coder.code(None, reader)
    reader.finish()
    if any(not torch.equal(back[n].integers, t.integers) for n, t in tensors.items()):
        raise KodecError("weights came back otherwise")
    said = ("flags", "steps", "offsets", "models")
    side = {name: float(bits) for name, bits in meter.bits.items() if name in said}
    return len(stream), side


def _joined(tensors: Tensors, pool: Pool) -> int | None:
    """Bytes where tensors of a pool are one, as those of equal steps may be."""
    groups: dict[str, list[Quantised]] = {}
    for name, tensor in tensors.items():
        groups.setdefault(pool(name), []).append(tensor)
    if any(len({float(t.step) if t.axis == -1 else -1.0 for t in g}) > 1 for g in groups.values()):
        return None
    joined = {
        name: Quantised(torch.cat([t.integers.reshape(-1) for t in group]), group[0].step)
        for name, group in groups.items()
        if group[0].axis == -1 and group[0].offset is None
    }
    return coded(joined, lambda name: name)[0] if len(joined) == len(groups) else None


def row(tensors: Tensors, pool: Pool, theirs: int | None) -> dict[str, Any]:
    """All figures of a set, in bytes."""
    flat = [t.integers.reshape(-1).numpy() for t in tensors.values()]
    size, side = coded(tensors, pool)
    entropy = 0.0
    for values in flat:
        counts = np.unique(values, return_counts=True)[1]
        entropy -= float((counts * np.log2(counts / len(values))).sum()) / 8
    huffman = sum(map(huffman_bits, flat)) / 8
    pooled = huffman_bits(np.concatenate(flat)) / 8
    steps = sum(2 * t.step.numel() * (1 + (t.offset is not None)) for t in tensors.values())
    kinds: dict[str, int] = {}
    for values in flat:
        kind = integer_code.KINDS[choose_model(values.astype(np.int64))[0].kind]
        kinds[kind] = kinds.get(kind, 0) + 1
    return {
        "values": sum(map(len, flat)),
        "bytes": size,
        "side_bytes": round(sum(side.values()) / 8, 1),
        "each_alone": coded(tensors, lambda name: name)[0],
        "one_tensor_a_pool": _joined(tensors, pool),
        "entropy": round(entropy),
        "huffman": round(huffman),
        "huffman_pooled": round(pooled),
        "huffman_pooled_with_side": round(pooled + steps),
        "below_it_%": round(100 - 100 * size / (pooled + steps), 2),
        "exp_golomb_of_cool_chic": theirs,
        "kinds_alone": kinds,
    }


def cool_chic(folder: Path) -> dict[str, tuple[dict[str, Quantised], int]]:
    """Integer networks by picture, and the bytes of the networks in their files."""
    headers = json.loads((folder / "inr-coolchic-headers.json").read_text())["image"]
    found = {}
    with np.load(folder / "inr-coolchic-image.npz", allow_pickle=False) as data:
        for picture, sections in headers.items():
            facts = dict(sections)["residue"]
            begin = f"{picture}/net/"
            tensors = {}
            for key in (key for key in data.files if key.startswith(begin)):
                name = key.removeprefix(begin)
                step = facts["nn_q_step"][name.partition(".")[0]][_part(name)]
                integers = torch.from_numpy(data[key].astype(np.float32))
                tensors[name] = given_step(integers * step, step)
            if tensors:
                found[picture] = (tensors, int(facts["nn_n_bytes"]))
    return found


def _part(name: str) -> str:
    return "bias" if name.endswith("bias") else "weight"


def default_model(bits: int, count: int) -> dict[str, Quantised]:
    """The first tensors of the default model that have 500 values or more."""
    network, _ = load_model(find_model("default"))
    weights = {n: w.float() for n, w in network.state_dict().items() if w.is_floating_point()}
    large = [name for name, w in weights.items() if w.numel() >= 500][:count]
    return {name: uniform(weights[name], bits) for name in large}


def main() -> int:
    """Measure and print."""
    parser = parser_of(__doc__)
    parser.add_argument("--data", type=Path, help="folder of the data (KODEC_DATA)")
    parser.add_argument("--tensors", type=int, default=40, help="of the default model")
    parser.add_argument("--json", type=Path, help="write the report")
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = options.data or Path(os.environ.get("KODEC_DATA", ""))
    folder = data / "reference"
    if not (folder / "inr-coolchic-headers.json").is_file():
        raise InvalidInputError(f"{folder} has no reference data: name --data or set KODEC_DATA")
    rows = {}
    for picture, (tensors, theirs) in cool_chic(folder).items():
        module = lambda name: name.partition(".")[0] + _part(name)  # noqa: E731
        rows[f"Cool-chic, {picture}"] = row(tensors, module, theirs)
    for bits in (8, 6):
        tensors = default_model(bits, options.tensors)
        rows[f"default model, {bits} bit"] = row(tensors, lambda name: "weights", None)
    for name, found in rows.items():
        print(name)
        print("\n".join(f"  {key:24} {value}" for key, value in found.items()))
    if options.json is not None:
        write_json(options.json, rows)
    return 0


if __name__ == "__main__":
    run(main, "parameter_coding.py")
