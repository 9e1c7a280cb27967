"""Label maps of crops: cut, mirrored and transposed as the pixels are, or drawn at random."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from kodec.eval import DatasetError
from kodec.native import InvalidInputError
from kodec.train import CropData
from kodec.train.data import LabelledCrops, RandomCrops
from kodec.train.regions import LabelPictures, RandomRectangles, load_labels


def ids_of(pixels: Tensor) -> Tensor:
    """What a label picture of these pixels (N, 3, H, W) in [0, 1] would say."""
    red, green, blue = (pixels * 255).round().long().unbind(1)
    return red + 256 * green + 256**2 * blue


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """Four pictures that are their own label pictures; every pixel has a colour of its own."""
    for number in range(4):
        codes = np.arange(2000).reshape(40, 50) * 8191 + 1000 * number
        pixels = np.stack([codes % 256, codes // 256 % 256, codes // 256**2], axis=2)
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / f"{number}.png")
    return tmp_path


def crops(folder: Path, **changes: Any) -> RandomCrops:
    paths = sorted(folder.iterdir())
    settings: dict[str, Any] = {"crop": 16, "batch_size": 24, "seed": 1}
    return RandomCrops(paths, **settings, regions=LabelPictures(paths, **changes))


@pytest.mark.parametrize("cache_bytes", [0, 2**20])
def test_labels_are_cut_and_turned_with_the_pixels(labelled: Path, cache_bytes: int) -> None:
    batch = crops(labelled, cache_bytes=cache_bytes).batch(3)
    assert isinstance(batch, LabelledCrops)
    assert batch.pixels.shape == (24, 3, 16, 16) and batch.regions.shape == (24, 16, 16)
    assert batch.regions.dtype == torch.int64
    assert torch.equal(batch.regions, ids_of(batch.pixels))


def test_the_crops_are_those_without_labels(labelled: Path) -> None:
    plain = RandomCrops(sorted(labelled.iterdir()), 16, 24, seed=1).batch(5)
    with_labels = crops(labelled, cache_bytes=0).batch(5)
    assert isinstance(plain, Tensor) and isinstance(with_labels, LabelledCrops)
    assert torch.equal(plain, with_labels.pixels)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("workers", [0, 2])
def test_a_folder_of_label_pictures(labelled: Path, workers: int) -> None:
    data = CropData(str(labelled), crop=16, batch_size=3, regions=str(labelled), workers=workers)
    data.prepare_data()
    batch = next(iter(data.train_dataloader()))
    assert isinstance(batch, LabelledCrops)
    assert torch.equal(batch.regions, ids_of(batch.pixels))


def test_labels_of_a_registered_data_set(
    labelled: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path_factory.mktemp("data")
    pictures, labels = root / "coco/train2017", root / "coco/annotations/panoptic_train2017"
    for folder in (pictures, labels):
        folder.mkdir(parents=True)
    for number in range(2):
        Image.open(labelled / f"{number}.png").save(labels / f"{number}.png")
        Image.open(labelled / f"{number}.png").save(pictures / f"{number}.jpg")
    Image.new("RGB", (15, 400)).save(pictures / "small.jpg")
    monkeypatch.setenv("KODEC_DATA", str(root))
    settings: dict[str, Any] = {"validation": str(pictures), "crop": 16, "regions": "labels"}
    with pytest.raises(DatasetError, match=r"no label picture .*small\.png"):
        CropData("coco-train2017", **settings).prepare_data()
    Image.new("RGB", (15, 400)).save(labels / "small.png")
    with pytest.raises(InvalidInputError, match=r"small\.jpg has 15x400.*leave_out_small"):
        CropData("coco-train2017", **settings).train_dataloader()
    data = CropData("coco-train2017", leave_out_small=True, **settings)
    batch = next(iter(data.train_dataloader()))
    assert isinstance(batch, LabelledCrops)
    with pytest.raises(InvalidInputError, match=r"no label pictures .*name their folder"):
        CropData(str(pictures), **settings).prepare_data()


def test_gray_label_pictures_hold_their_labels(tmp_path: Path) -> None:
    for mode, largest in (("L", 255), ("I;16", 65535)):
        labels = np.array([[0, 7], [largest, 1]])
        kind = np.uint8 if mode == "L" else np.uint16
        Image.fromarray(labels.astype(kind)).save(tmp_path / "labels.png")
        assert np.array_equal(load_labels(tmp_path / "labels.png"), labels)


def test_labels_that_do_not_fit_are_refused(labelled: Path, tmp_path: Path) -> None:
    folder = tmp_path / "labels"
    folder.mkdir()
    for number in range(4):
        Image.new("RGB", (50, 41)).save(folder / f"{number}.png")
    paths = [labelled / f"{number}.png" for number in range(4)]
    labels = LabelPictures([folder / path.name for path in paths], 0)
    with pytest.raises(InvalidInputError, match="50x41 labels, its picture 50x40 pixels"):
        RandomCrops(paths, 16, 1, seed=0, regions=labels).batch(0)
    (folder / "0.png").write_bytes(b"nothing of the kind")
    with pytest.raises(InvalidInputError, match=r"0\.png is no label picture"):
        load_labels(folder / "0.png")


def test_random_rectangles(labelled: Path) -> None:
    data = CropData(str(labelled), crop=16, batch_size=32, regions="rectangles")
    loader = data.train_dataloader()
    first, again = next(iter(loader)), next(iter(loader))
    assert isinstance(first, LabelledCrops) and isinstance(again, LabelledCrops)
    assert torch.equal(first.regions, again.regions)
    counts = [len(labels.unique()) for labels in first.regions]
    assert len(set(counts)) > 4 and max(counts) <= 13
    one = RandomRectangles().crop(0, (16, 16), (0, 0), 16, np.random.default_rng(0))
    # The last of them lies on top, whole.
    rows, columns = np.nonzero(one == one.max())
    assert (one[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] == one.max()).all()
