"""Embed a trained checkpoint as the default model, then its measured numbers as its card.

    python benchmarks/embed_default.py export runs/default/checkpoints/last.ckpt
    python benchmarks/kodak.py --json kodak.json
    python benchmarks/speed.py --json speed.json
    python benchmarks/embed_default.py card --kodak kodak.json --speed speed.json

`export` writes codecs/embedded/default.safetensors and a card without numbers; `card` fills them in
from the reports of the two benchmarks, which must be of the embedded model.
"""

import json
from pathlib import Path
from typing import Any

from kodec.codecs import find_model, read_model_info
from kodec.codecs.catalogue import FOLDER
from kodec.native import InvalidInputError, KodecError
from kodec.train import export_checkpoint
from reporting import parser_of, run, write_json

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


def export(checkpoint: Path) -> None:
    """Write the model file and a card without numbers."""
    FOLDER.mkdir(exist_ok=True)
    info = export_checkpoint(checkpoint, MODEL, "default", NOTES)
    write_card(info.model_id.hex(), {})
    print(f"{MODEL}: id {info.model_id.hex()}, {MODEL.stat().st_size:,} bytes")


def card(kodak: Path, speed: Path) -> None:
    """Fill in the card from benchmark reports."""
    model_id = read_model_info(find_model("default")).model_id.hex()
    reports = {path: json.loads(path.read_text(encoding="utf-8")) for path in (kodak, speed)}
    for path, report in reports.items():
        if report["model_id"] != model_id:
            raise InvalidInputError(f"{path} is a report on another model: measure again")
    points, machine = reports[kodak]["points"], reports[speed]["machine"]
    measured: dict[str, Any] = {
        "kodak": {
            "command": "python benchmarks/kodak.py",
            "against VTM": [rate["in_words"] for rate in reports[kodak]["bd_rate"]],
            "quality": points["quality"],
            "bpp": [round(v, 4) for v in points["bpp"]],
            "psnr-rgb": [round(v, 2) for v in points["psnr-rgb"]],
            "ms-ssim-rgb": [round(v, 4) for v in points["ms-ssim-rgb"]],
        },
        "speed": {
            "command": "python benchmarks/speed.py",
            "picture": "768x512, median seconds",
            "cpu": machine["cpu"],
            "threads": machine["threads"],
            **{
                row: {verb: round(times[verb]["median"], 3) for verb in ("encode", "decode")}
                for row, times in reports[speed]["seconds"].items()
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
    commands.add_parser("export").add_argument("checkpoint", type=Path)
    card_ = commands.add_parser("card")
    card_.add_argument("--kodak", type=Path, required=True, help="report of kodak.py --json")
    card_.add_argument("--speed", type=Path, required=True, help="report of speed.py --json")
    options = parser.parse_args()
    if options.command == "export":
        export(options.checkpoint)
    else:
        card(options.kodak, options.speed)
    return 0


if __name__ == "__main__":
    run(main, "embed_default.py", (KodecError, OSError))
