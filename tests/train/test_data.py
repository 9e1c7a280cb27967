"""Crops are a function of (seed, sample); validation pictures are left alone by training."""

from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, PngImagePlugin
from torch import Tensor
from torch.utils.data import DataLoader

from kodec.eval import DatasetError
from kodec.native import InvalidInputError, KodecError
from kodec.train import CropData
from kodec.train.data import Pictures, RandomCrops, load_rgb


def crops(folder: Path, **changes: int) -> RandomCrops:
    settings: dict[str, Any] = {"crop": 24, "batch_size": 3, "seed": 1, "rank": 0} | changes
    return RandomCrops(sorted(folder.iterdir()), **settings)


def batch_of(made: RandomCrops, number: int) -> Tensor:
    batch = made.batch(number)
    assert isinstance(batch, Tensor)
    return batch


def test_shape_and_range(pictures: Path) -> None:
    batch = batch_of(crops(pictures), 0)
    # In any other order, convolutions of some shapes are not safe on a CPU.
    assert batch.is_contiguous()
    assert batch.shape == (3, 3, 24, 24)
    assert batch.dtype == torch.float32
    assert 0 <= batch.min() < 0.4 < 0.6 < batch.max() <= 1


def test_function_of_seed_and_sample_alone(pictures: Path) -> None:
    expected = batch_of(crops(pictures), 7)
    used = crops(pictures)
    for number in (3, 0, 7, 7):
        last = batch_of(used, number)
    assert torch.equal(last, expected)
    assert torch.equal(batch_of(crops(pictures, cache_bytes=0), 7), expected)
    first = next(iter(crops(pictures, first=7)))
    assert isinstance(first, Tensor) and torch.equal(first, expected)
    for other in ({"seed": 2}, {"rank": 1, "processes": 2}):
        assert not torch.equal(batch_of(crops(pictures, **other), 7), expected)
    assert not torch.equal(batch_of(crops(pictures), 8), expected)


def test_processes_share_the_samples_of_one(pictures: Path) -> None:
    whole = batch_of(crops(pictures, batch_size=6), 5)
    shared = [batch_of(crops(pictures, rank=rank, processes=2), 5) for rank in range(2)]
    assert torch.equal(torch.cat(shared), whole)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_loader_processes_change_nothing(pictures: Path) -> None:
    loader = DataLoader(crops(pictures, first=4), batch_size=None, num_workers=2)
    for number, batch in enumerate(islice(loader, 5)):
        assert torch.equal(batch, batch_of(crops(pictures), 4 + number))


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


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Twenty sound pictures, and four that can't be trained on."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (20, 24, 4), np.uint8)
    for number in range(20):
        Image.fromarray(pixels[..., :3]).save(tmp_path / f"{number}.jpg")
    Image.fromarray(pixels).save(tmp_path / "z-alpha.png")
    Image.fromarray(pixels).convert("CMYK").save(tmp_path / "z-cmyk.jpg")
    whole = (tmp_path / "0.jpg").read_bytes()
    (tmp_path / "z-cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "z-empty.png").touch()
    return tmp_path


def test_all_unreadable_pictures_are_named_before_training(mixed: Path, pictures: Path) -> None:
    data = CropData(str(mixed), validation=str(pictures), crop=8)
    with pytest.raises(InvalidInputError, match="4 of 24 training pictures") as raised:
        data.prepare_data()
    for words in ("z-alpha.png has transp", "z-cmyk.jpg is in CMYK", "z-cut.jpg", "z-empty.png is"):
        assert words in str(raised.value)
    assert "data.leave_out_unreadable" in str(raised.value) and "\n" not in str(raised.value)
    for name in ("z-alpha.png", "z-cmyk.jpg", "z-cut.jpg"):
        data = CropData(str(pictures), validation=str(mixed / name), crop=8)
        with pytest.raises(InvalidInputError, match=f"1 of 1 validation .*{name}"):
            data.prepare_data()


def test_unreadable_pictures_are_left_out_with_a_note(
    mixed: Path, pictures: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = CropData(str(mixed), validation=str(mixed), crop=8, leave_out_unreadable=True)
    data.prepare_data()
    assert "4 of 24 training pictures can't be read and are left out: " in caplog.text
    dataset: Any = data.train_dataloader().dataset
    assert dataset.paths == [mixed / f"{number}.jpg" for number in range(20)]
    batches = [batch.shape for batch in data.val_dataloader()]
    assert 0 < len(batches) <= 16 and set(batches) == {(1, 3, 20, 24)}
    for number in range(20):
        (mixed / f"{number}.jpg").unlink()
    data = CropData(str(mixed), validation=str(pictures), crop=8, leave_out_unreadable=True)
    with pytest.raises(DatasetError, match="none is left"):
        data.prepare_data()


def test_label_pictures_are_checked_before_training(mixed: Path, tmp_path: Path) -> None:
    pictures, labels = tmp_path / "pictures", tmp_path / "labels"
    for folder in (pictures, labels):
        folder.mkdir()
    for number in range(4):
        (mixed / f"{number}.jpg").rename(pictures / f"{number}.jpg")
        Image.new("L", (24, 20 if number else 21)).save(labels / f"{number}.png")
    (labels / "1.png").write_bytes((labels / "1.png").read_bytes()[:-20])
    settings: Any = {"validation": str(pictures), "crop": 8, "regions": str(labels)}
    with pytest.raises(InvalidInputError, match=r"2 of 4 .*0\.png has 24x21 labels.*1\.png"):
        CropData(str(pictures), **settings).prepare_data()
    data = CropData(str(pictures), **settings, leave_out_unreadable=True)
    dataset: Any = data.train_dataloader().dataset
    assert dataset.paths == [pictures / "2.jpg", pictures / "3.jpg"]


def test_pictures_beyond_pillow_s_own_limit_are_trained_on(
    pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    data = CropData(str(pictures), validation=str(pictures), crop=8)
    data.prepare_data()
    assert next(iter(data.train_dataloader())).shape == (4, 3, 8, 8)


def test_colours_left_out_are_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    info = PngImagePlugin.PngInfo()
    info.add(b"gAMA", (100000).to_bytes(4))
    for number in range(3):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{number}.png", pnginfo=info)
    data = CropData(str(tmp_path), validation=str(tmp_path), crop=8)
    data.prepare_data()
    next(iter(data.train_dataloader()))
    assert len(caplog.records) == 1 and "3 of 3 pictures" in caplog.text


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
    paths = [Path(f"/pictures/{number:06}.png") for number in range(100_000)]
    monkeypatch.setattr("kodec.train.data.find_dataset", lambda *_: paths)
    data = CropData("folder")
    compared: list[None] = []
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
        CropData(**{name: 0})  # type: ignore[arg-type]
