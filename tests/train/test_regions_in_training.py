"""SegPIC, tiny: trained on regions of all shapes and numbers, and coding with its grid."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from compositions import config_of
from kodec.codecs import PictureCodec, build_module, load, read_picture
from kodec.entropy import RateMeter
from kodec.native import InvalidInputError
from kodec.train import RateDistortion, export_checkpoint, train
from kodec.train.data import LabelledCrops

SEGPIC = config_of(("region adaptive", "channel slices, adaptive to regions", False))


def codec_of(config: dict[str, Any]) -> PictureCodec:
    torch.manual_seed(0)
    codec = build_module(config)
    assert isinstance(codec, PictureCodec)
    return codec


class _Trainer:
    """Stands still, so that every step draws the same noise."""

    global_step = global_rank = 0
    world_size = accumulate_grad_batches = 1
    log_every_n_steps = 5


def stripes(counts: tuple[int, ...], size: int = 64) -> torch.Tensor:
    """Label maps (N, size, size) of so many stripes, under ids far apart."""
    rows = torch.arange(size)[:, None].expand(size, size)
    return torch.stack([rows * count // size * 65_537 for count in counts])


def loss_of(codec: PictureCodec, crops: Any) -> tuple[torch.Tensor, dict[str, float]]:
    """The loss of a training step, and what it logs."""
    module = RateDistortion(codec, lambda_high=0.013)
    module.trainer = _Trainer()  # type: ignore[assignment]
    logged: dict[str, torch.Tensor] = {}
    watched: Any = module
    watched._record = lambda figures, *_, **__: logged.update(figures)
    return module.training_step(crops, 0), {k: v.item() for k, v in logged.items()}


def test_a_step_reaches_every_part_and_bits_follow_the_regions() -> None:
    x = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    codec = codec_of(SEGPIC)
    loss, few = loss_of(codec, LabelledCrops(x, stripes((1, 2, 4))))
    loss.backward()
    missing = [
        name
        for name, p in codec.named_parameters()
        if p.grad is None or not p.grad.isfinite().all()
    ]
    assert not missing
    _, many = loss_of(codec, LabelledCrops(x, stripes((1, 2, 16))))
    _, grid = loss_of(codec, x)
    # 7, 19 and 3 x 16 regions; of 16 stripes, 4 are seen by the latents at 1/16.
    for name, counts in (("prototypes", (7, 19, 48)), ("latent_prototypes", (7, 7, 48))):
        bits = [figures[f"bpp_{name}"] for figures in (few, many, grid)]
        assert bits == pytest.approx([bits[2] * n / 48 for n in counts], rel=0.1)


def test_bits_are_counted_for_each_item() -> None:
    codec = codec_of(SEGPIC)
    meter = RateMeter(training=True)
    x = torch.rand(2, 3, 64, 64)
    codec.code(x, (2, 64, 64), None, meter, {"regions": stripes((1, 8))})
    one, eight = meter.bits["prototypes"].tolist()
    assert eight == pytest.approx(8 * one, rel=0.2)


def test_pictures_of_any_size_and_their_regions() -> None:
    codec = codec_of(SEGPIC)
    coded = codec.code(
        torch.rand(1, 3, 37, 51),
        (1, 37, 51),
        None,
        RateMeter(training=True),
        {"regions": torch.arange(37)[None, :, None].expand(1, 37, 51) // 9},
    )
    assert coded.x_hat.shape == (1, 3, 37, 51)


def test_parts_that_know_no_regions_ignore_them() -> None:
    x = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    codec = codec_of(config_of(("gdn", "channel slices", False)))
    with_regions, _ = loss_of(codec, LabelledCrops(x, stripes((1, 8))))
    without, _ = loss_of(codec, x)
    assert torch.equal(with_regions, without)


def test_no_file_is_written_with_regions() -> None:
    codec = codec_of(SEGPIC).eval()
    x = torch.rand(1, 3, 64, 64)
    with pytest.raises(InvalidInputError, match="regions are for training"):
        codec.code(x, (1, 64, 64), None, RateMeter(training=False), {"regions": stripes((2,))})
    with pytest.raises(InvalidInputError, match="one label for each pixel"):
        small = {"regions": stripes((2,), 32)}
        codec.train().code(x, (1, 64, 64), None, RateMeter(training=True), small)


def test_trained_on_labels_it_codes_files_with_the_grid(
    tiny_config: dict[str, Any],
    arguments: Callable[..., list[str]],
    pictures: Path,
    tmp_path: Path,
) -> None:
    labels = tmp_path / "labels"
    labels.mkdir()
    for path in pictures.iterdir():
        with Image.open(path) as image:
            size = image.size
        regions = np.random.default_rng(0).integers(0, 255, (3, 3, 3), np.uint8)
        Image.fromarray(regions).resize(size, Image.Resampling.NEAREST).save(labels / path.name)
    tiny_config["data"] |= {"regions": str(labels)}
    tiny_config["trainer"] |= {"max_steps": 4}
    tiny_config["model"]["codec"] = SEGPIC
    train(arguments(tiny_config, "run"))

    model = tmp_path / "model.safetensors"
    export_checkpoint(tmp_path / "run/checkpoints/last.ckpt", model)
    codec = load(model)
    encoded = codec.encode_picture(read_picture(pictures / "0.png"))
    decoded = codec.decode_picture(encoded.data)
    assert np.array_equal(decoded.pixels, encoded.reconstruction.pixels)
    assert codec.network.side is not None
    assert codec.network.side.symbols(4, 5) == 3 * 4**2  # type: ignore[operator]
