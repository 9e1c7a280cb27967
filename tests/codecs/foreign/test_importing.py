"""Checkpoints of CompressAI's models, imported: the same latents, pixels and bits."""

import json
import math
import os
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from compressai.models import (
    Cheng2020Anchor,
    Cheng2020Attention,
    FactorizedPrior,
    JointAutoregressiveHierarchicalPriors,
    MeanScaleHyperprior,
    ScaleHyperprior,
)
from compressai.models.sensetime import Elic2022Official
from safetensors.torch import load_file
from torch import Tensor, nn

from kodec.codecs import Picture, load, to_array
from kodec.codecs.foreign import import_checkpoint
from kodec.entropy import Distribution, MultiReference, RateMeter
from kodec.models import ResidualAnalysis, ResidualSynthesis
from kodec.native import BitstreamError, InvalidInputError

MODELS: dict[str, Any] = {
    "bmshj2018-factorized": lambda: FactorizedPrior(6, 8),
    "bmshj2018-hyperprior": lambda: ScaleHyperprior(6, 8),
    "mbt2018-mean": lambda: MeanScaleHyperprior(6, 8),
    "mbt2018": lambda: JointAutoregressiveHierarchicalPriors(6, 9),
    "cheng2020-anchor": lambda: Cheng2020Anchor(6),
    "cheng2020-attn": lambda: Cheng2020Attention(6),
    "elic": lambda: Elic2022Official(8, 24, groups=[4, 8, 12]),
}
SERIAL = ("mbt2018", "cheng2020-anchor", "cheng2020-attn")


def published(family: str) -> Any:
    """With weights that give every network something to do."""
    torch.manual_seed(3)
    model = MODELS[family]()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "quantiles" in name:
                parameter.add_(torch.rand_like(parameter) - 0.5)
            elif "gdn" not in name:
                parameter.add_(0.03 * torch.randn_like(parameter))
        last = model.g_a[-1] if hasattr(model.g_a[-1], "weight") else model.g_a[-2]
        last.weight.mul_(30)
    return model.eval()


@pytest.fixture
def saved(tmp_path: Path) -> Any:
    def save(family: str) -> tuple[Any, Path]:
        model = published(family)
        path = tmp_path / "foreign.pth"
        torch.save(model.state_dict(), path)
        return model, path

    return save


@pytest.mark.parametrize("family", MODELS)
@torch.no_grad()
def test_same_weights_same_codec(family: str, saved: Any, tmp_path: Path) -> None:
    theirs, checkpoint = saved(family)
    import_checkpoint(checkpoint, tmp_path / "model.safetensors", family)
    codec = load(tmp_path / "model.safetensors")
    ours = codec.network
    x = torch.rand(1, 3, 64, 128)
    y = theirs.g_a(x)
    assert torch.allclose(ours.analysis(x, None), y, atol=1e-4 * float(y.abs().max()))
    meter = RateMeter(training=False)
    coded = ours.code(x, (1, 64, 128), None, meter)
    if family in SERIAL:
        # Its forward rounds without the means; compress does not, and is what files are made of.
        theirs.update(force=True, scale_table=np.geomspace(0.11, 256, 64).tolist())
        x_hat = theirs.decompress(**theirs.compress(x))["x_hat"]
        likelihoods = serial_likelihoods(theirs, y, coded.y_hat.float())
        mine = coded.x_hat.clamp(0, 1)
    else:
        result = theirs(x)
        x_hat, likelihoods, mine = result["x_hat"], result["likelihoods"], coded.x_hat
    assert torch.allclose(mine, x_hat, atol=1e-4 * max(1.0, float(x_hat.abs().max())))
    bits = sum(-v.log2().sum().item() for v in likelihoods.values())
    assert meter.total().item() == pytest.approx(bits, rel=1e-3)


def name_of_2020(name: str) -> str:
    """As in the files that CompressAI offers for download, which are older than its code."""
    name = re.sub(r"^entropy_bottleneck\.(?=(matrices|biases|factors)\.)", r"\g<0>_", name)
    return re.sub(r"^(g_a\.\d+)\.skip\.", r"\1.downsample.", name)


@pytest.mark.parametrize("family", ["bmshj2018-factorized", "mbt2018", "cheng2020-attn"])
def test_training_checkpoints_and_older_names(family: str, saved: Any, tmp_path: Path) -> None:
    theirs, checkpoint = saved(family)
    new = import_checkpoint(checkpoint, tmp_path / "new.safetensors", family)
    state = {f"module.{name_of_2020(k)}": v for k, v in theirs.state_dict().items()}
    assert any("_biases.0" in name for name in state)
    training = {"epoch": 3, "state_dict": state, "loss": torch.tensor(0.5), "optimizer": {}}
    torch.save(training, checkpoint)
    old = import_checkpoint(checkpoint, tmp_path / "old.safetensors", family)
    assert old.model_id == new.model_id


def serial_likelihoods(model: Any, y: Tensor, y_hat: Tensor) -> dict[str, Tensor]:
    """What CompressAI's networks make of each latent where those before it are `y_hat`."""
    z_hat, z = model.entropy_bottleneck(model.h_a(y))
    contexts = torch.cat([model.h_s(z_hat), model.context_prediction(y_hat)], dim=1)
    scales, means = model.entropy_parameters(contexts).chunk(2, 1)
    _, likelihoods = model.gaussian_conditional(y, scales, means=means)
    return {"y": likelihoods, "z": z}


@torch.no_grad()
def test_mlicpp_with_the_authors_weights(tmp_path: Path) -> None:
    """Beside likelihoods and pixels that the authors' code gave."""
    folder = Path(os.environ.get("KODEC_DATA", ".")) / "reference"
    if not (folder / "mlicpp-tiny-weights.safetensors").exists():
        pytest.skip("KODEC_DATA has no reference/mlicpp-tiny-weights.safetensors")
    state = {}
    for key, tensor in load_file(folder / "mlicpp-tiny-weights.safetensors").items():
        form, _, name = key.partition("/")
        state[name] = tensor.float() / 256 if form == "int8" else tensor
    checkpoint = tmp_path / "foreign.pth"
    torch.save(state, checkpoint)
    import_checkpoint(checkpoint, tmp_path / "model.safetensors", "mlic++")
    network = load(tmp_path / "model.safetensors").network
    theirs = {
        k: torch.from_numpy(v) for k, v in np.load(folder / "mlicpp-tiny-outputs.npz").items()
    }
    meter = Likelihoods(training=False)
    coded = network.code(theirs["x"].float(), (1, 64, 128), None, meter)
    assert torch.allclose(meter.of["z"].float(), theirs["z_likelihoods"], atol=1e-4)
    slices = []
    for number in range(3):
        # Anchors (row + column odd) come first.
        odd, even = meter.of[f"y{number}/0"], meter.of[f"y{number}/1"]
        tokens = torch.empty(1, 4 * 8, 32)
        odd_places = (torch.arange(4)[:, None] + torch.arange(8)).reshape(-1) % 2 == 1
        tokens[:, odd_places] = odd.float()
        tokens[:, ~odd_places] = even.float()
        slices.append(tokens)
    likelihoods = torch.cat(slices, dim=2).transpose(1, 2).reshape(1, 96, 4, 8)
    assert torch.allclose(likelihoods, theirs["y_likelihoods"], atol=1e-4)
    bits = -sum(theirs[f"{k}_likelihoods"].log2().sum().item() for k in "yz")
    assert meter.total().item() == pytest.approx(bits, rel=1e-3)
    assert torch.allclose(coded.x_hat, theirs["x_hat"], atol=1e-4)


class Likelihoods(RateMeter):
    """Keeps the likelihoods of each block's values: by name, with a number within the name."""

    def __init__(self, training: bool) -> None:
        super().__init__(training)
        self.of: dict[str, Tensor] = {}

    def code(self, name: str, y: Tensor | None, dist: Distribution) -> Tensor:
        values = super().code(name, y, dist)
        number = sum(key.startswith(f"{name}/") for key in self.of)
        self.of["z" if name == "z" else f"{name}/{number}"] = torch.exp2(-dist.bits(values))
        return values


def test_mlicpps_published_size() -> None:
    with torch.device("meta"):
        analysis = ResidualAnalysis(192, 320, activation="gelu")
        synthesis = ResidualSynthesis(192, 320, activation="gelu")
        latents = MultiReference(320, 192, prior_filters=(3, 3, 3, 3))
    ours = sum(p.numel() for m in (analysis, latents, synthesis) for p in m.parameters())
    # Theirs has three quantiles per channel of z besides, trained by a loss of their own.
    assert ours == 83_501_408 - 3 * 192


def segpic_checkpoint(path: Path) -> dict[str, Tensor]:
    """Write the checkpoint that the reference describes; returns the outputs of public code."""
    folder = Path(os.environ.get("KODEC_DATA", ".")) / "reference"
    if not (folder / "segpic-keys.json").exists():
        pytest.skip("KODEC_DATA has no reference/segpic-keys.json")
    with np.load(folder / "segpic-small-tensors.npz") as stored:
        state = {name: torch.from_numpy(stored[name]) for name in stored.files}
    for name, shape in json.loads((folder / "segpic-keys.json").read_text())["ruled"].items():
        rng = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))
        values = rng.uniform(-1, 1, shape) * math.sqrt(3 / math.prod(shape[1:])) * 0.9
        state[name] = torch.from_numpy(values.astype(np.float32))
    torch.save({"state_dict": {f"module.{name}": t for name, t in state.items()}}, path)
    with np.load(folder / "segpic-outputs.npz") as outputs:
        return {name: torch.from_numpy(outputs[name]) for name in outputs.files}


@torch.no_grad()
def test_segpic_with_the_authors_weights(tmp_path: Path) -> None:
    """Beside likelihoods and pixels that the authors' code gave, at full size; then a file."""
    theirs = segpic_checkpoint(tmp_path / "foreign.pth")
    import_checkpoint(tmp_path / "foreign.pth", tmp_path / "model.safetensors", "segpic")
    codec = load(tmp_path / "model.safetensors")
    network = codec.network
    # Theirs has three quantiles for each channel of a factorised prior.
    size = sum(p.numel() for p in network.parameters())
    assert size == 83_503_971 - 3 * (192 + 96 + 96)

    x = theirs["x"].float()
    meter = Likelihoods(training=False)
    coded = network.code(x, (1, 64, 128), None, meter)
    tokens = torch.cat([meter.of[f"y{number}/0"] for number in range(10)], dim=2)
    ours = {
        "likelihood_y": tokens.transpose(1, 2).reshape(1, 320, 4, 8),
        "likelihood_z": meter.of["z"],
        "likelihood_z_center": meter.of["prototypes/0"],
        "likelihood_z_center2": meter.of["latent_prototypes/0"],
    }
    for name, likelihoods in ours.items():
        assert torch.allclose(likelihoods.float(), theirs[name], rtol=0, atol=1e-4), name
    bits = -sum(theirs[name].double().log2().sum().item() for name in ours)
    assert meter.total().item() == pytest.approx(bits, rel=1e-3)
    assert torch.allclose(coded.x_hat, theirs["x_hat"], rtol=0, atol=1e-4)

    encoded = codec.encode_picture(Picture(to_array(x, 3)))
    decoded = codec.decode_picture(encoded.data)
    assert np.array_equal(decoded.pixels, encoded.reconstruction.pixels)


def test_an_imported_model_codes_files(saved: Any, tmp_path: Path) -> None:
    _, checkpoint = saved("mbt2018-mean")
    import_checkpoint(checkpoint, tmp_path / "model.safetensors", "mbt2018-mean")
    codec = load(tmp_path / "model.safetensors")
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    data = codec.encode(pixels)
    again = load(tmp_path / "model.safetensors")
    assert np.array_equal(again.decode(data), codec.decode(data))


def test_what_is_refused(saved: Any, tmp_path: Path) -> None:
    _, checkpoint = saved("mbt2018-mean")
    output = tmp_path / "model.safetensors"
    with pytest.raises(InvalidInputError, match="mbt2018-mean"):
        import_checkpoint(checkpoint, output, "nothing")
    with pytest.raises(BitstreamError, match="does not fit mbt2018"):
        import_checkpoint(checkpoint, output, "mbt2018")
    # A whole pickled object would run code of its own when loaded.
    torch.save(nn.Linear(2, 2), checkpoint)
    with pytest.raises(BitstreamError, match="state_dict"):
        import_checkpoint(checkpoint, output, "mbt2018-mean")
    checkpoint.write_bytes(b"nothing of the kind")
    with pytest.raises(BitstreamError, match="state_dict"):
        import_checkpoint(checkpoint, output, "mbt2018-mean")
    assert not output.exists()
