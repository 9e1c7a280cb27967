"""Embed a trained model as the default model, then its measured numbers as its card.

    kodec export runs/default/checkpoints/last.ckpt runs/default.safetensors
    python benchmarks/fit_deringing.py collect --model runs/default.safetensors
    python benchmarks/fit_deringing.py fit
    python benchmarks/embed_default.py export runs/deringing/model.safetensors
    kodec eval --model default --dataset kodak --qualities 4,16,28,40,52 --output kodak.json
    kodec bench picture KODIM01 --peer --qualities 8,32,48 --threads 1 --json > speed.json
    python benchmarks/embed_default.py card --kodak kodak.json --speed speed.json

`export` takes a model file or a checkpoint, and writes codecs/embedded/default.safetensors and a
card without numbers; `card` fills them in from what the two commands measured, which must be of the
embedded model, and BD-rates against VTM.
KODEC_DATA names the folder with results/.
"""

import json
import os
from pathlib import Path
from typing import Any

from kodec.codecs import find_model, load_model, read_model_info, save_model
from kodec.codecs.catalogue import FOLDER
from kodec.eval import bd_rate, describe, read_results
from kodec.native import InvalidInputError, KodecError
from kodec.train import export_checkpoint
from reporting import parser_of, run, write_json

ANCHOR = "results/compressai/image/kodak/vtm.json"
MODEL = FOLDER / "default.safetensors"
CARD = FOLDER / "default.json"
SUMMARY = "variable rate, for natural pictures in 8-bit RGB or gray; trained for MSE"
NOTES = {
    "licence": (
        "weights: Apache-2.0; trained on pictures under CC0, public domain, Unsplash and Creative "
        "Commons licences (CC BY-SA for the CID22 part)"
    ),
    "training": "train/configs/default.yaml on natural-crops; docs/experiments/default-model.md",
}


def export(source: Path) -> None:
    """Write the model file, of a checkpoint or another model file, and a card without numbers."""
    FOLDER.mkdir(exist_ok=True)
    if source.suffix == ".ckpt":
        info = export_checkpoint(source, MODEL, "default", NOTES)
    else:
        network, given = load_model(source)
        objective = given.objective
        info = save_model(network, given.config, MODEL, "default", NOTES, objective=objective)
        if info.model_id != given.model_id:
            raise InvalidInputError(f"{source} has weights of 32 bits: write it in 16")
    write_card(info.model_id.hex(), {})
    print(f"{MODEL}: id {info.model_id.hex()}, {MODEL.stat().st_size:,} bytes")


def card(kodak: Path, speed: Path) -> None:
    """Fill in the card from what was measured."""
    model_id = read_model_info(find_model("default")).model_id.hex()
    results = read_results(kodak)
    report = json.loads(speed.read_text(encoding="utf-8"))
    for path, found in ((kodak, results.settings.get("model id")), (speed, report["model_id"])):
        if found != model_id:
            raise InvalidInputError(f"{path} is of another model: measure again")
    anchor = read_results(Path(os.environ["KODEC_DATA"]) / ANCHOR)
    threads = report["settings"]["threads"]
    rates = [bd_rate(results.curve(m), anchor.curve(m)) for m in ("psnr-rgb", "ms-ssim-db-rgb")]
    digits = {"bpp": 4, "psnr-rgb": 2, "ms-ssim-rgb": 4}
    measured: dict[str, Any] = {
        "kodak": {
            "command": "kodec eval --model default --dataset kodak --qualities 4,16,28,40,52",
            "against VTM": [describe(rate) for rate in rates],
            "quality": results.quality,
            **{key: [round(v, n) for v in results.results[key]] for key, n in digits.items()},
        },
        "speed": {
            "command": f"kodec bench picture --peer --qualities 8,32,48 --threads {threads}",
            "picture": "768x512, median seconds" + (" of CPU time" if threads == 1 else ""),
            "portability": results.settings["portability"],
            "cpu": report["machine"]["cpu"],
            "threads": threads,
            **{
                row["codec"] + (f", quality {row['quality']}" if row["stages"] else ""): {
                    verb: round(row[verb]["median"], 3) for verb in ("encode", "decode")
                }
                for row in report["rows"]
            },
        },
    }
    write_card(model_id, measured)
    print(f"{CARD}: written")


def write_card(model_id: str, measured: dict[str, Any]) -> None:
    """Write the card, whole or not at all."""
    content = {"model_id": model_id, "summary": SUMMARY, "measured": measured}
    write_json(CARD, content)


def main() -> int:
    """Run the subcommand."""
    parser = parser_of(__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("export", allow_abbrev=False).add_argument("source", type=Path)
    card_ = commands.add_parser("card", allow_abbrev=False)
    card_.add_argument("--kodak", type=Path, required=True, help="results of `kodec eval`")
    card_.add_argument("--speed", type=Path, required=True, help="JSON of `kodec bench picture`")
    options = parser.parse_args()
    if options.command == "export":
        export(options.source)
    else:
        card(options.kodak, options.speed)
    return 0


if __name__ == "__main__":
    run(main, "embed_default.py", (KodecError, OSError))
