import json
import os
from pathlib import Path

import pytest

from kodec.eval import (
    DatasetError,
    find_dataset,
    find_labels,
    kind_of_dataset,
    known_datasets,
)
from kodec.native import KodecError

needs_data = pytest.mark.skipif(
    not os.environ.get("KODEC_DATA"), reason="KODEC_DATA does not say where the data lie"
)


def make_crops(root: Path, sources: list[str], crops_each: int = 3) -> None:
    folder = root / "train"
    folder.mkdir()
    lines = []
    for number, source in enumerate(sources):
        for crop in range(crops_each):
            name = f"{number}_{crop}.jpg"
            (folder / name).touch()
            lines.append(json.dumps({"file": name, "source": source}))
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n")


def test_every_entry_says_what_a_user_needs() -> None:
    clic = {
        f"clic2020-{part}-{s}" for part in ("professional", "mobile") for s in ("valid", "test")
    }
    video = {"uvg", "mcl-jcv", "hevc-b", "hevc-c", "hevc-d", "hevc-e", "video_train"}
    others = {"kodak", "natural-crops", "coco-train2017", "tecnick", "bsds500"}
    assert set(known_datasets()) == {*others, *clic, *video}
    assert {name for name, entry in known_datasets().items() if entry.kind == "video"} == video
    for entry in known_datasets().values():
        assert entry.split in ("train", "test")
        for text in (entry.licence, entry.description, entry.absent):
            assert len(text) > 10 and "\n" not in text
    assert known_datasets()["kodak"].split == "test"


def test_pictures_come_in_natural_order(tmp_path: Path) -> None:
    (tmp_path / "kodak").mkdir()
    for name in ("kodim10.png", "kodim2.png", "kodim1.png", "other.png", "kodim3.txt"):
        (tmp_path / "kodak" / name).touch()
    names = [path.name for path in find_dataset("kodak", root=tmp_path)]
    assert names == ["kodim1.png", "kodim2.png", "kodim10.png"]


def test_root_defaults_to_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kodak").mkdir()
    (tmp_path / "kodak" / "kodim01.png").touch()
    monkeypatch.setenv("KODEC_DATA", str(tmp_path))
    assert find_dataset("kodak", "test") == [tmp_path / "kodak" / "kodim01.png"]


def test_folder_gives_its_pictures_only(tmp_path: Path) -> None:
    for name in ("b12.JPG", "b2.png", "notes.txt", ".hidden.png"):
        (tmp_path / name).touch()
    (tmp_path / "inner.png").mkdir()
    assert [path.name for path in find_dataset(str(tmp_path))] == ["b2.png", "b12.JPG"]


def test_what_is_no_file_is_left_out_with_a_note(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.png").touch()
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "link.png").symlink_to("nowhere")
    (tmp_path / "inner.png").mkdir()
    for _ in range(2):
        assert find_dataset(str(tmp_path)) == [tmp_path / "a.png"]
    assert [record.getMessage() for record in caplog.records] == [
        f"left out, as no file can be read there: {tmp_path}/inner.png (a folder), "
        f"{tmp_path}/link.png (a broken link), {tmp_path}/pipe.png (a pipe)"
    ]
    for name, words in (("pipe.png", "is a pipe"), ("link.png", "is a broken link")):
        with pytest.raises(DatasetError, match=words):
            find_dataset(str(tmp_path / name))


def test_pictures_of_one_stem_have_labels_of_their_own(tmp_path: Path) -> None:
    pictures = [tmp_path / "a.png", tmp_path / "a.jpg", tmp_path / "b.jpg"]
    labels = tmp_path / "labels"
    labels.mkdir()
    for name in ("a.png", "b.png"):
        (labels / name).touch()
    with pytest.raises(DatasetError, match=r"a\.png and a\.jpg would share .*a\.jpg\.png"):
        find_labels(str(labels), pictures)
    (labels / "a.jpg.png").touch()
    names = [path.name for path in find_labels(str(labels), pictures)]
    assert names == ["a.png", "a.jpg.png", "b.png"]


def test_unknown_name_lists_the_known() -> None:
    with pytest.raises(DatasetError, match="kodack.*kodak, natural-crops") as caught:
        find_dataset("kodack")
    assert isinstance(caught.value, KodecError)


def test_absent_without_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KODEC_DATA", raising=False)
    with pytest.raises(DatasetError, match="KODEC_DATA is not set.*r0k.us"):
        find_dataset("kodak")


def test_absent_folder_says_where_it_looked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KODEC_DATA", str(tmp_path))
    with pytest.raises(DatasetError, match=f"no folder {tmp_path}.*KODEC_DATA is {tmp_path}"):
        find_dataset("kodak")


def test_empty_places(tmp_path: Path) -> None:
    (tmp_path / "kodak").mkdir()
    with pytest.raises(DatasetError, match=r"no kodim\*\.png.*r0k.us"):
        find_dataset("kodak", root=tmp_path)
    with pytest.raises(DatasetError, match="no pictures in"):
        find_dataset(str(tmp_path))


@pytest.mark.parametrize("split", ["train", "validation"])
def test_test_set_cannot_be_trained_on(split: str, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="never train"):
        find_dataset("kodak", split, tmp_path)
    with pytest.raises(DatasetError, match="never train"):
        find_dataset(f"kodak:{split}", root=tmp_path)


def test_validation_is_held_out_by_source_picture(tmp_path: Path) -> None:
    sources = [f"collection/{number}.png" for number in range(300)]
    make_crops(tmp_path, sources)
    train = find_dataset("natural-crops", "train", tmp_path)
    held_out = find_dataset("natural-crops", "validation", tmp_path)
    assert len(train) + len(held_out) == 900
    assert 3 * 3 <= len(held_out) <= 3 * 24  # 12 of 300 expected
    numbers_of = [{path.name.split("_")[0] for path in part} for part in (train, held_out)]
    assert not numbers_of[0] & numbers_of[1]
    assert find_dataset("natural-crops", root=tmp_path) == train
    assert find_dataset("natural-crops:validation", root=tmp_path) == held_out


def test_same_picture_in_two_folders_stays_together(tmp_path: Path) -> None:
    make_crops(tmp_path, [f"{folder}/{n}.png" for n in range(200) for folder in ("a", "b/c")], 1)
    held_out = find_dataset("natural-crops", "validation", tmp_path)
    numbers = [int(path.name.split("_")[0]) for path in held_out]
    assert numbers and sorted(number ^ 1 for number in numbers) == sorted(numbers)


def test_label_pictures_lie_beside_the_pictures(tmp_path: Path) -> None:
    pictures, labels = tmp_path / "coco/train2017", tmp_path / "coco/annotations/panoptic_train2017"
    for folder, suffix in ((pictures, "jpg"), (labels, "png")):
        folder.mkdir(parents=True)
        for number in (2, 10):
            (folder / f"{number}.{suffix}").touch()
    found = find_dataset("coco-train2017", root=tmp_path)
    expected = [labels / "2.png", labels / "10.png"]
    assert find_labels("coco-train2017", found, tmp_path) == expected
    assert find_labels(str(labels), found) == expected
    (labels / "10.png").unlink()
    with pytest.raises(DatasetError, match=r"no label picture .*10\.png"):
        find_labels("coco-train2017", found, tmp_path)
    with pytest.raises(DatasetError, match="natural-crops has no label pictures"):
        find_labels("natural-crops", found, tmp_path)


def test_split_named_twice(tmp_path: Path) -> None:
    make_crops(tmp_path, ["a", "b"])
    with pytest.raises(DatasetError, match="contradicts"):
        find_dataset("natural-crops:validation", "train", tmp_path)


def test_no_picture_falls_into_the_split(tmp_path: Path) -> None:
    make_crops(tmp_path, ["a"])
    with pytest.raises(DatasetError, match="split validation"):
        find_dataset("natural-crops", "validation", tmp_path)


@pytest.mark.parametrize("manifest", [None, '{"file": "0_0.jpg"}', "not JSON", "[]"])
def test_unusable_manifest(manifest: str | None, tmp_path: Path) -> None:
    make_crops(tmp_path, ["a"])
    path = tmp_path / "train" / "manifest.jsonl"
    path.unlink()
    if manifest is not None:
        path.write_text(manifest)
    with pytest.raises(DatasetError, match=r"manifest\.jsonl"):
        find_dataset("natural-crops", root=tmp_path)


def test_picture_the_manifest_does_not_name(tmp_path: Path) -> None:
    make_crops(tmp_path, ["a"])
    (tmp_path / "train" / "new.jpg").touch()
    with pytest.raises(DatasetError, match=r"does not name new\.jpg"):
        find_dataset("natural-crops", root=tmp_path)


@needs_data
def test_real_data_are_complete() -> None:
    assert [path.name for path in find_dataset("kodak")] == [
        f"kodim{number:02d}.png" for number in range(1, 25)
    ]
    train = find_dataset("natural-crops", "train")
    held_out = find_dataset("natural-crops", "validation")
    assert len(train) + len(held_out) == 2395
    assert 0.03 < len(held_out) / 2395 < 0.05
    assert not set(train) & set(held_out)


def test_folder_of_video_is_told_from_one_of_pictures(tmp_path: Path) -> None:
    for name in ("clip10.mkv", "clip2_16x16_30.yuv", "notes.txt"):
        (tmp_path / name).touch()
    assert kind_of_dataset(str(tmp_path)) == "video"
    files = find_dataset(str(tmp_path), kind="video")
    assert [path.name for path in files] == ["clip2_16x16_30.yuv", "clip10.mkv"]
    with pytest.raises(DatasetError, match="no pictures in"):
        find_dataset(str(tmp_path))
    (tmp_path / "a.png").touch()
    with pytest.raises(DatasetError, match="pictures and video"):
        kind_of_dataset(str(tmp_path))


def test_one_file_is_a_data_set(tmp_path: Path) -> None:
    for name, kind in (("a.png", "pictures"), ("b.y4m", "video")):
        (tmp_path / name).touch()
        assert kind_of_dataset(str(tmp_path / name)) == kind
        assert find_dataset(str(tmp_path / name)) == [tmp_path / name]


def test_registered_sets_are_of_one_kind(tmp_path: Path) -> None:
    (tmp_path / "uvg").mkdir()
    (tmp_path / "uvg" / "Beauty_1920x1080_120fps_420_8bit_YUV.yuv").touch()
    assert kind_of_dataset("uvg") == "video" and kind_of_dataset("kodak") == "pictures"
    assert len(find_dataset("uvg", root=tmp_path, kind="video")) == 1
    with pytest.raises(DatasetError, match="uvg holds video"):
        find_dataset("uvg", root=tmp_path)
