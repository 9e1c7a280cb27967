"""Crops are a function of (seed, batch, rank); validation pictures are left alone by training."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from kodec.eval import DatasetError
from kodec.native import InvalidInputError, KodecError
from kodec.train import CropData
from kodec.train.data import Pictures, RandomCrops, load_rgb


def crops(folder: Path, **changes: int) -> RandomCrops:
    settings = {"crop": 24, "batch_size": 3, "seed": 1, "rank": 0} | changes
    return RandomCrops(sorted(folder.iterdir()), **settings)


def test_shape_and_range(pictures: Path) -> None:
    batch = crops(pictures).batch(0)
    # In any other order, convolutions of some shapes are not safe on a CPU.
    assert batch.is_contiguous()
    assert batch.shape == (3, 3, 24, 24)
    assert batch.dtype == torch.float32
    assert 0 <= batch.min() < 0.4 < 0.6 < batch.max() <= 1


def test_function_of_seed_batch_and_rank_alone(pictures: Path) -> None:
    expected = crops(pictures).batch(7)
    used = crops(pictures)
    for number in (3, 0, 7, 7):
        last = used.batch(number)
    assert torch.equal(last, expected)
    assert torch.equal(crops(pictures, cache_bytes=0).batch(7), expected)
    assert torch.equal(next(iter(crops(pictures, first=7))), expected)
    for other in ({"seed": 2}, {"rank": 1}):
        assert not torch.equal(crops(pictures, **other).batch(7), expected)
    assert not torch.equal(crops(pictures).batch(8), expected)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_loader_processes_change_nothing(pictures: Path) -> None:
    loader = DataLoader(crops(pictures, first=4), batch_size=None, num_workers=2)
    for number, batch in enumerate(islice(loader, 5)):
        assert torch.equal(batch, crops(pictures).batch(4 + number))


def test_crops_are_flipped_and_transposed(tmp_path: Path) -> None:
    ramp = np.zeros((8, 8, 3), np.uint8)
    ramp[...] = (np.arange(8)[:, None, None] * 3 + np.arange(8)[None, :, None] * 17).astype("u1")
    Image.fromarray(ramp).save(tmp_path / "ramp.png")
    batch = crops(tmp_path, crop=8, batch_size=64).batch(0)
    assert len(torch.unique(batch, dim=0)) == 8


def test_gray_pictures_become_three_equal_components(pictures: Path) -> None:
    pixels = load_rgb(pictures / "2.png")
    assert pixels.shape == (56, 72, 3)
    assert (pixels == pixels[..., :1]).all()


def test_pictures_below_the_crop_are_refused_before_training(pictures: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"0\.png has 72x56 pixels, less than .* 57"):
        CropData(str(pictures), crop=57).train_dataloader()
    assert CropData(str(pictures), crop=56).train_dataloader() is not None


def test_damaged_and_foreign_pictures_are_refused(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(KodecError, match="broken.png"):
        CropData(str(tmp_path), crop=8).train_dataloader()
    with pytest.raises(DatasetError, match="no data set or folder"):
        CropData("nowhere", crop=8).train_dataloader()


def test_a_folder_holds_out_pictures_for_validation(tmp_path: Path) -> None:
    for number in range(40):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number}.png")
    data = CropData(str(tmp_path), crop=8)
    training, validation = data.paths("train"), data.paths("validation")
    assert len(training) + len(validation) == 40
    assert len(validation) == 2
    assert not set(training) & set(validation)
    assert CropData(str(tmp_path), validation=str(tmp_path)).paths("train") == sorted(
        tmp_path.iterdir(), key=lambda path: int(path.stem)
    )


def test_held_out_pictures_are_found_in_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [Path(f"/pictures/{number:04}.png") for number in range(4_000)]
    monkeypatch.setattr("kodec.train.data.find_dataset", lambda *_: paths)
    data = CropData("folder")
    compared = []
    equal = Path.__eq__

    def counted(self: Path, other: object) -> bool:
        compared.append(None)
        return equal(self, other)

    monkeypatch.setattr(type(paths[0]), "__eq__", counted)
    assert len(data.paths("train")) + len(data.paths("validation")) == len(paths)
    assert len(compared) < 2 * len(paths)


def test_a_single_picture_serves_as_both(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "only.png")
    data = CropData(str(tmp_path), crop=8)
    assert data.paths("train") == data.paths("validation") == [tmp_path / "only.png"]


def test_validation_pictures_whole_or_their_middle(pictures: Path) -> None:
    whole = Pictures([pictures / "0.png"], 100)[0]
    assert whole.shape == (3, 56, 72)
    assert torch.equal(Pictures([pictures / "0.png"], 50)[0], whole[:, 3:53, 11:61])
    loaded = list(CropData(str(pictures), validation=str(pictures)).val_dataloader())
    assert [batch.shape for batch in loaded] == [(1, 3, 56, 72)] * 5


@pytest.mark.parametrize("name", ["crop", "batch_size", "validation_pictures", "validation_size"])
def test_settings_below_one_are_refused(name: str) -> None:
    with pytest.raises(InvalidInputError, match="1 or more"):
        CropData(**{name: 0})
