"""Networks behind the frozen default model: what each brings for its time.

    python benchmarks/decoder_filters.py collect --output runs/filters
    python benchmarks/decoder_filters.py train [NAME...] --seconds 40 --output runs/filters
    python benchmarks/decoder_filters.py report --output runs/filters

`collect` runs the embedded default model over training crops of natural-crops and over 24
validation crops held out by source, at five qualities, and keeps what its synthesis gives and its
features at 1/4 of the resolution. `train` trains each network, which starts as no change, on crops
of the former, for as much CPU time as `--seconds` says; errors count in units of the mean at their
quality. `report` prints squared error and BD-rate on the latter, bits being the same, and the CPU
time of the network on a picture of 768x512. Never run on a test set. KODEC_DATA names the folder
with the data. One thread.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from compare_structures import QUALITIES, SIDE, held_out
from kodec.codecs import PictureCodec, as_pixels, load
from kodec.entropy import RateMeter
from kodec.eval import Curve, bd_rate
from kodec.eval.curves.bootstrap import interval_of_mean
from kodec.models import RefinedLappedSynthesis
from kodec.models.blocks import (
    PaddedConv2d,
    PointwiseConv2d,
    QualityEmbedding,
    ResidualBlock,
    zeroed,
)
from kodec.models.refined_lapped import EMBEDDING
from kodec.native import InvalidInputError
from kodec.train import CropData
from kodec.train.data import Pictures
from reporting import parser_of, run, write_json
from timed_training import Plan, in_words, one_thread, train_for

TRAINING_PICTURES = 96
FEATURES = 64
CROP, BATCH = 128, 4
# Of pixels in [0, 1], what is left to mend is about so large: in units of it a layer that starts at
# zero learns without Adam's first steps, which have a size of their own, being larger than that.
MENDED = 0.03


class Behind(nn.Module):
    """A network that sees pixels, features and quality, with an embedding of its own."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.quality = QualityEmbedding(EMBEDDING)
        self.network = network

    def forward(self, x: Tensor, features: Tensor, quality: Tensor) -> Tensor:
        """(N, 3, H, W), (N, 64, H/4, W/4), (N,) -> (N, 3, H, W)."""
        out: Tensor = x + self.network(x, features, self.quality(quality))
        return out


class HalfResolution(nn.Module):
    """Residual blocks at half the resolution, which see the pixels and features."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        self.from_features = PointwiseConv2d(FEATURES, 4 * width)
        self.from_pixels = PaddedConv2d(12, width)
        self.blocks = nn.ModuleList([ResidualBlock(width, EMBEDDING) for _ in range(blocks)])
        self.out = zeroed(PaddedConv2d(width, 12))

    def forward(self, x: Tensor, features: Tensor, e: Tensor) -> Tensor:
        """Pixels (N, 3, H, W), features (N, 64, H/4, W/4), (N, embedding) -> (N, 3, H, W)."""
        from_features = nn.functional.pixel_shuffle(self.from_features(features), 2)
        h = self.from_pixels(nn.functional.pixel_unshuffle(x - 0.5, 2)) + from_features
        for block in self.blocks:
            h = block(h, e)
        return MENDED * nn.functional.pixel_shuffle(self.out(h), 2).float()


class QuarterResolution(nn.Module):
    """More residual blocks on the features that are there, as `blocks: 5` would have."""

    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([ResidualBlock(FEATURES, EMBEDDING) for _ in range(blocks)])
        self.out = zeroed(PaddedConv2d(FEATURES, 48))

    def forward(self, x: Tensor, features: Tensor, e: Tensor) -> Tensor:
        """As `HalfResolution`."""
        for block in self.blocks:
            features = block(features, e)
        return MENDED * nn.functional.pixel_shuffle(self.out(features), 4).float()


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "quarter, 2 blocks": lambda: QuarterResolution(2),
    "half, 24 channels, 2 blocks": lambda: HalfResolution(24, 2),
    "half, 16 channels, 1 block": lambda: HalfResolution(16, 1),
}


@torch.inference_mode()
def collect(output: Path) -> None:
    """Code all crops at all qualities; writes `coded.pt`."""
    network = load("default").network.float()
    paths = CropData().paths("train")
    spread = np.linspace(0, len(paths) - 1, TRAINING_PICTURES)
    sets = {"train": Pictures([paths[int(i)] for i in spread], SIDE), "validation": held_out()}
    seen: list[Tensor] = []
    synthesis = network.synthesis
    assert isinstance(synthesis, RefinedLappedSynthesis)
    synthesis.fine[-1].register_forward_hook(lambda _module, _given, out: seen.append(out))
    found: dict[str, dict[str, Tensor]] = {}
    for name, pictures in sets.items():
        rows = [coded(network, pictures[i][None], seen) for i in range(len(pictures))]
        found[name] = {key: torch.stack([row[key] for row in rows]) for key in rows[0]}
        print(f"{name}: {len(pictures)} crops", flush=True)
    output.mkdir(parents=True, exist_ok=True)
    torch.save(found, output / "coded.pt")


def coded(network: PictureCodec, x: Tensor, seen: list[Tensor]) -> dict[str, Tensor]:
    """By quality: bits, pixels and features of one crop (1, 3, H, W); and its own pixels."""
    _, _, h, w = x.shape
    bits, decoded, features = [], [], []
    for q in QUALITIES:
        port = RateMeter(training=False)
        x_hat = network.code(x, (1, h, w), torch.tensor([float(q)]), port).x_hat
        bits.append(float(port.total()))
        decoded.append(x_hat[0].half())
        features.append(seen.pop()[0].bfloat16())
    return {
        "x": (x[0] * 255).round().byte(),
        "bits": torch.tensor(bits),
        "x_hat": torch.stack(decoded),
        "features": torch.stack(features),
    }


def batch(data: dict[str, Tensor], number: int, seed: int) -> tuple[Tensor, ...]:
    """Crops of coded crops: pixels, decoded pixels, features, index of the quality."""
    rng = np.random.default_rng((seed, number))
    parts: list[tuple[Tensor, ...]] = []
    for _ in range(BATCH):
        picture, at = int(rng.integers(len(data["x"]))), int(rng.integers(len(QUALITIES)))
        top, left = (4 * int(v) for v in rng.integers((SIDE - CROP) // 4 + 1, size=2))
        here = (slice(None), slice(top, top + CROP), slice(left, left + CROP))
        quarter = (slice(None), *(slice(s.start // 4, s.stop // 4) for s in here[1:]))
        parts.append(
            (
                data["x"][picture][here].float() / 255,
                data["x_hat"][picture, at][here].float(),
                data["features"][picture, at][quarter].float(),
                torch.tensor(at),
            )
        )
    return tuple(torch.stack(column) for column in zip(*parts, strict=True))


@torch.no_grad()
def errors(network: Behind | None, data: dict[str, Tensor]) -> np.ndarray[Any, Any]:
    """Squared errors of 8-bit pixels: (pictures, qualities)."""
    found = []
    for x, x_hat, features in zip(data["x"], data["x_hat"], data["features"], strict=True):
        made = x_hat.float()
        if network is not None:
            made = network(made, features.float(), torch.tensor(QUALITIES).float())
        found.append((as_pixels(made).double() - x.double()).square().mean((1, 2, 3)))
    return np.asarray(torch.stack(found).numpy())


@torch.no_grad()
def seconds(network: Behind, repeats: int = 7) -> float:
    """CPU time on a picture of 768x512, the least of several."""
    x, features = torch.rand(1, 3, 512, 768), torch.randn(1, FEATURES, 128, 192)
    features = features.contiguous(memory_format=torch.channels_last)
    found = []
    for _ in range(repeats):
        start = time.process_time()
        network(x, features, torch.tensor([28.0]))
        found.append(time.process_time() - start)
    return min(found)


def train(name: str, plan: Plan, content: dict[str, dict[str, Tensor]]) -> dict[str, Any]:
    """Train one network; what it came to."""
    torch.manual_seed(plan.seed)
    network = Behind(NETWORKS[name]())
    # Errors at each quality in units of what they were.
    usual = torch.tensor(errors(None, content["validation"]).mean(0) / 255**2).float()

    def loss_of(given: tuple[Tensor, ...]) -> Tensor:
        x, x_hat, features, at = given
        made = network(x_hat, features, torch.tensor(QUALITIES).float()[at])
        loss: Tensor = ((made - x).square().mean((1, 2, 3)) / usual[at]).mean()
        return loss

    curve = train_for(
        network,
        plan,
        lambda number: batch(content["train"], number, plan.seed),
        loss_of,
        lambda: {},
    )
    network.eval()
    return {
        "name": name,
        "parameters": sum(p.numel() for p in network.network.parameters()),
        "steps": curve[-1]["steps"],
        "seconds": plan.seconds,
        "synthesis": seconds(network),
        "errors": errors(network, content["validation"]).tolist(),
    }


def report(output: Path, content: dict[str, dict[str, Tensor]]) -> None:
    """Print the table of what was trained."""
    before = errors(None, content["validation"])
    bpp = content["validation"]["bits"].numpy() / SIDE**2
    heads = [f"error at {q}, %" for q in QUALITIES]
    print("| network | parameters | steps | ms | " + " | ".join(heads) + " | BD-rate, % |")
    print("|" + "---|" * (5 + len(heads)))
    for name in NETWORKS:
        path = output / f"{name}.json"
        if not path.is_file():
            continue
        found = json.loads(path.read_text())
        after = np.array(found["errors"])
        rates = [
            bd_rate(curve_of(rate, own), curve_of(rate, plain)).value_percent
            for rate, own, plain in zip(bpp, after, before, strict=True)
        ]
        cells = [
            name,
            f"{found['parameters']:,}",
            str(found["steps"]),
            f"{1000 * found['synthesis']:.0f}",
            *(f"{value:+.2f}" for value in 100 * (after / before - 1).mean(0)),
            in_words((float(np.mean(rates)), interval_of_mean(rates))),
        ]
        print("| " + " | ".join(cells) + " |")


def curve_of(bpp: Any, squared: Any) -> Curve:
    """Bits per pixel against PSNR-RGB."""
    return Curve("", tuple(bpp), tuple(10 * np.log10(255**2 / np.asarray(squared))), "psnr-rgb")


def main() -> int:
    """Collect, train or report."""
    parser = parser_of(__doc__)
    parser.add_argument("action", choices=("collect", "train", "report"))
    parser.add_argument("names", nargs="*")
    parser.add_argument("--seconds", type=float, default=40, help="CPU time of each training")
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--output", type=Path, default=Path("runs/filters"))
    options = parser.parse_args()
    one_thread()
    if options.action == "collect":
        collect(options.output)
        return 0
    path = options.output / "coded.pt"
    if not path.is_file():
        raise InvalidInputError(f"there is no {path}: run `collect` first")
    content = torch.load(path, weights_only=True)
    if options.action == "report":
        report(options.output, content)
        return 0
    for name in options.names or list(NETWORKS):
        plan = Plan(options.seconds, learning_rate=options.learning_rate)
        write_json(options.output / f"{name}.json", train(name, plan, content))
    return 0


if __name__ == "__main__":
    run(main, "decoder_filters.py")
