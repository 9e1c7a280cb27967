"""Training pictures in tar files, in WebDataset's layout."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kodec.eval import DatasetError
from kodec.native import InvalidInputError
from kodec.train import CropData, train
from kodec.train.data import RandomCrops
from kodec.train.shards import ShardedPictures, find_shards


def write_shard(path: Path, files: dict[str, bytes]) -> None:
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


@pytest.fixture
def shards(pictures: Path, tmp_path: Path) -> Path:
    """The five pictures in two shards, with what else WebDataset puts beside them."""
    files = sorted(pictures.iterdir())
    for number, group in enumerate((files[:3], files[3:])):
        content = {"a folder/" + "long" * 40 + f"/{path.name}": path.read_bytes() for path in group}
        beside = {f"{path.stem}.json": b"{}" for path in group}
        write_shard(tmp_path / f"{number:06}.tar", content | beside)
    return tmp_path


def test_crops_are_those_of_a_folder(pictures: Path, shards: Path) -> None:
    found = ShardedPictures(find_shards(str(shards / "*.tar")))
    settings: dict[str, Any] = {"crop": 24, "batch_size": 3, "seed": 1}
    in_shards = RandomCrops(found, **settings)
    in_files = RandomCrops(sorted(pictures.iterdir()), **settings)
    for number in range(4):
        a, b = in_shards.batch(number), in_files.batch(number)
        assert isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor)
        assert torch.equal(a, b)
    # The second time by what is remembered.
    again = ShardedPictures(find_shards(str(shards)))
    for number in range(5):
        one, two = found[number], again[number]
        assert one is not None and two is not None and np.array_equal(one, two)
    found.close()
    again.close()


def test_what_is_unfit_is_named_or_left_out(pictures: Path, tmp_path: Path) -> None:
    sound = (pictures / "0.png").read_bytes()
    write_shard(tmp_path / "0.tar", {"0.png": sound, "1.png": sound[:300]})
    shards = find_shards(str(tmp_path))
    pictures_in = ShardedPictures(shards, smallest=57, leave_out_unreadable=True)
    assert pictures_in[1] is None
    with pytest.raises(InvalidInputError, match="0.tar, the picture at byte 512 has 72x56 pixels"):
        pictures_in[0]
    with pytest.raises(InvalidInputError, match="can't be read .*: mend the shard"):
        ShardedPictures(shards)[1]
    crops = RandomCrops(ShardedPictures(shards, 16, True, True), 16, 8, seed=0)
    batch = crops.batch(0)
    assert isinstance(batch, torch.Tensor) and batch.shape == (8, 3, 16, 16)
    with pytest.raises(InvalidInputError, match="all left out"):
        RandomCrops(ShardedPictures(shards, 60, True, True), 60, 8, seed=0).batch(0)
    (tmp_path / "0.tar").write_bytes((tmp_path / "0.tar").read_bytes()[:1500])
    with pytest.raises(InvalidInputError, match="cut off|no uncompressed tar"):
        ShardedPictures(shards)
    (tmp_path / "0.tar").write_bytes(b"\x1f\x8b" + bytes(600))
    with pytest.raises(InvalidInputError, match="no uncompressed tar file"):
        ShardedPictures(shards)
    write_shard(tmp_path / "0.tar", {"a.txt": b"words"})
    with pytest.raises(DatasetError, match="no picture"):
        ShardedPictures(shards)
    with pytest.raises(DatasetError, match="no shards"):
        find_shards(str(tmp_path / "none"))
    with pytest.raises(InvalidInputError, match="needs data.validation"):
        CropData(shards=str(tmp_path))


def test_a_run_on_shards(
    tiny_config: dict[str, Any],
    arguments: Callable[..., list[str]],
    shards: Path,
    pictures: Path,
    tmp_path: Path,
) -> None:
    tiny_config["data"] |= {"shards": str(shards / "*.tar"), "validation": str(pictures)}
    tiny_config["trainer"]["max_steps"] = 2
    train(arguments(tiny_config, "run"))
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").exists()
