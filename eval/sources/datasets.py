"""The registry of data sets: what `datasets.yaml` names, and where it lies on this machine."""

import hashlib
import json
import logging
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import yaml

from kodec.codecs import storage
from kodec.codecs.natural_order import natural_key
from kodec.codecs.video_files.picture_folder import PICTURE_SUFFIXES
from kodec.codecs.video_files.video_reading import VIDEO_SUFFIXES
from kodec.native import KodecError

# At the repository's root in a checkout, inside the package in a wheel: one level up in both.
_REGISTRY = Path(__file__).resolve().parents[2] / "datasets.yaml"

Kind = Literal["pictures", "video"]

_log = logging.getLogger(__name__)
_NAMED = 5


class DatasetError(KodecError):
    """A data set is unknown, absent, empty, or asked for what it must not be used for."""


@dataclass(frozen=True)
class Validation:
    """The held-out part of a training set, chosen by source picture and not by crop."""

    manifest: str
    """JSON lines under the set's location; each names a `file` and the picture it came from."""
    group: str
    """The manifest's key for that picture."""
    fraction: float
    """Expected fraction of the pictures held out, in (0, 1)."""


@dataclass(frozen=True)
class Dataset:
    """One entry of `datasets.yaml`."""

    name: str
    location: str
    """Folder, relative to KODEC_DATA."""
    pattern: str
    split: str
    """`train` or `test`."""
    licence: str
    description: str
    absent: str
    """What to do when the files are not there."""
    kind: Kind = "pictures"
    validation: Validation | None = None
    labels: str | None = None
    """Folder of label pictures, relative to KODEC_DATA."""

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that may be asked for; the first is meant when none is named."""
        return (self.split,) if self.validation is None else (self.split, "validation")


@lru_cache(maxsize=1)
def known_datasets() -> dict[str, Dataset]:
    """Every registered data set, by name, in the registry's order."""
    entries: list[dict[str, Any]] = yaml.safe_load(_REGISTRY.read_text(encoding="utf-8"))
    found = {}
    for entry in entries:
        held_out = entry.pop("validation", None)
        validation = None if held_out is None else Validation(**held_out)
        found[entry["name"]] = Dataset(validation=validation, **entry)
    return found


def kind_of_dataset(name_or_folder: str, recursive: bool = False) -> Kind:
    """Whether a data set, folder (or those in it, too) or file holds pictures or video.

    Raises DatasetError for a folder that holds both.
    """
    entry = known_datasets().get(name_or_folder.partition(":")[0])
    if entry is not None:
        return entry.kind
    path = Path(name_or_folder)
    if path.is_file():
        return _kind_of_suffix(path)
    if not path.is_dir() or not _files_in(path, VIDEO_SUFFIXES, recursive):
        return "pictures"
    if _files_in(path, PICTURE_SUFFIXES, recursive):
        raise DatasetError(f"{path} holds pictures and video; a data set is of one kind: part them")
    return "video"


def find_dataset(
    name_or_folder: str,
    split: str | None = None,
    root: Path | None = None,
    kind: Kind = "pictures",
    recursive: bool = False,
) -> list[Path]:
    """The pictures of a data set, in natural order (`kodim2` before `kodim10`), or its video files.

    `name_or_folder` is a registered name (which wins over a folder of that name: write `./name` for
    the folder), a name with a split (`natural-crops:validation`), a folder, of which every picture
    (or video file) directly inside it is taken, or one file. `split` is `train`, `validation` or
    `test`; without it, a registered set's own (`train` leaves the held-out part away), and all of a
    folder. `root` replaces KODEC_DATA. recursive: of a folder, those in folders within it, too.

    What is named like one and is no file (a pipe, a broken link, a folder) is left out with a note.

    Raises DatasetError for an unknown name, a split the set does not have (so a test set is never
    trained on by mistake), a set of the other kind, absent files, or no files.
    """
    name, _, suffix = name_or_folder.partition(":")
    known = known_datasets()
    if name not in known:
        folder = Path(name_or_folder)
        if folder.is_file():
            return [folder]
        if not folder.is_dir() and os.path.lexists(folder):
            raise DatasetError(
                f"{folder} is {_what_is(folder)}: give a folder of pictures, a file or one of "
                + ", ".join(known)
            )
        if not folder.is_dir():
            raise DatasetError(
                f"no data set or folder {name_or_folder!r}: give a folder of pictures or one of "
                + ", ".join(known)
            )
        return _all_in(folder, kind, recursive)
    entry = known[name]
    if entry.kind != kind:
        raise DatasetError(f"data set {name} holds {entry.kind}, where {kind} are needed")
    if suffix and split and suffix != split:
        raise DatasetError(f"{name_or_folder!r} contradicts the split {split!r}: name one of them")
    split = suffix or split or entry.split
    if split not in entry.splits:
        raise DatasetError(
            f"data set {name} has no split {split!r}, only {' and '.join(entry.splits)}"
            + (": it is for testing, never train or tune on it" if entry.split == "test" else "")
        )
    folder = _folder_of(entry, root)
    files = _in_natural_order(folder.glob(entry.pattern))
    if not files:
        raise DatasetError(
            f"data set {name}: no {entry.pattern} in {folder}; to get it: {entry.absent}"
        )
    if entry.validation is None:
        return files
    held_out = _held_out_files(folder, entry.name, entry.validation)
    unnamed = next((file for file in files if file.name not in held_out), None)
    if unnamed is not None:
        raise DatasetError(
            f"data set {name}: {entry.validation.manifest} does not name {unnamed.name}, "
            "so its split is unknown: add it there or remove the file"
        )
    wanted = [file for file in files if held_out[file.name] == (split == "validation")]
    if not wanted:
        raise DatasetError(f"data set {name}: no picture in {folder} falls into the split {split}")
    return wanted


def find_urls(url: str, recursive: bool = False) -> tuple[list[tuple[str, str]], Kind]:
    """URLs of the files in a folder that a URL names, each with its place below that, in natural
    order, or the one file's; and whether they are pictures or video.

    Raises DatasetError where there is none, or both; InvalidInputError where the store can't be
    asked, UnsupportedError where its package is not installed.
    """
    if not storage.is_folder(url):
        name = url.rpartition("/")[2]
        return [(url, name)], _kind_of_suffix(Path(name))
    found = [Path(relative) for relative, _ in storage.files_in(url, recursive)]
    found = [path for path in found if path.suffix.lower() in PICTURE_SUFFIXES | VIDEO_SUFFIXES]
    kinds = {_kind_of_suffix(path) for path in found}
    if len(kinds) != 1:
        raise DatasetError(
            f"{url} holds pictures and video; a data set is of one kind: part them"
            if kinds
            else f"no pictures and no video in {url}"
        )
    found.sort(key=lambda path: [natural_key(Path(part)) for part in path.parts])
    names = [path.as_posix() for path in found]
    return [(storage.join(url, name), name) for name in names], kinds.pop()


def _kind_of_suffix(path: Path) -> Kind:
    return "video" if path.suffix.lower() in VIDEO_SUFFIXES else "pictures"


def find_labels(
    name_or_folder: str, pictures: Iterable[Path], root: Path | None = None
) -> list[Path]:
    """The label picture of each picture, in their order: `a.jpg.png` or `a.png` for `a.jpg`.

    `name_or_folder` is a registered data set that has label pictures, or a folder of them. `root`
    replaces KODEC_DATA.

    Raises DatasetError where a data set has none, or a picture lacks its own or shares it.
    """
    entry = known_datasets().get(name_or_folder.partition(":")[0])
    if entry is None:
        folder = Path(name_or_folder)
    elif entry.labels is None:
        raise DatasetError(
            f"data set {entry.name} has no label pictures: name a folder of NAME.png for each of "
            "its pictures"
        )
    else:
        folder = _folder_of(entry, root, entry.labels)
    owners: dict[Path, Path] = {}
    labels = []
    for picture in pictures:
        label = folder / f"{picture.name}.png"
        if not label.is_file():
            label = folder / f"{picture.stem}.png"
        if not label.is_file():
            raise DatasetError(f"there is no label picture {label}: every picture needs one")
        other = owners.setdefault(label, picture)
        if other != picture:
            raise DatasetError(
                f"{other.name} and {picture.name} would share the label picture {label}: name "
                f"theirs {other.name}.png and {picture.name}.png"
            )
        labels.append(label)
    return labels


def _folder_of(entry: Dataset, root: Path | None, location: str | None = None) -> Path:
    """The folder of a data set, or another `location` of it."""
    location = location or entry.location
    if root is None:
        variable = os.environ.get("KODEC_DATA")
        if not variable:
            raise DatasetError(
                f"data set {entry.name} is absent: the environment variable KODEC_DATA is not set; "
                f"set it to the folder that holds {location}/; to get it: {entry.absent}"
            )
        root = Path(variable)
    folder = root / location
    if not folder.is_dir():
        raise DatasetError(
            f"data set {entry.name} is absent: no folder {folder} (KODEC_DATA is "
            f"{os.environ.get('KODEC_DATA') or 'not set'}); to get it: {entry.absent}"
        )
    return folder


def _all_in(folder: Path, kind: Kind, recursive: bool) -> list[Path]:
    suffixes = VIDEO_SUFFIXES if kind == "video" else PICTURE_SUFFIXES
    files = _files_in(folder, suffixes, recursive)
    if not files:
        raise DatasetError(f"no {kind} in {folder}: looked for " + " ".join(sorted(suffixes)))
    return files


def _files_in(folder: Path, suffixes: frozenset[str], recursive: bool) -> list[Path]:
    files = _in_natural_order(
        path
        for path in (folder.rglob("*") if recursive else folder.iterdir())
        if path.suffix.lower() in suffixes
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    # By folder, the order within each being there.
    return sorted(files, key=lambda path: [natural_key(Path(part)) for part in path.parent.parts])


def _held_out_files(folder: Path, name: str, validation: Validation) -> dict[str, bool]:
    """For every file the manifest names, whether it belongs to the held-out part."""
    manifest = folder / validation.manifest
    held_out = {}
    try:
        with manifest.open(encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                held_out[str(row["file"])] = _is_held_out(str(row[validation.group]), validation)
    except OSError as error:
        raise DatasetError(f"data set {name}: cannot read {manifest}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise DatasetError(
            f"data set {name}: line {len(held_out) + 1} of {manifest} is not a JSON object with "
            f"`file` and `{validation.group}`"
        ) from error
    return held_out


def _is_held_out(source: str, validation: Validation) -> bool:
    # By the picture's file name alone: one picture may lie in two folders of its collection.
    digest = hashlib.sha256(source.rsplit("/", 1)[-1].encode()).digest()
    return int.from_bytes(digest[:8], "big") < validation.fraction * 2**64


def _in_natural_order(paths: Iterable[Path]) -> list[Path]:
    files: list[Path] = []
    others: list[Path] = []
    for path in paths:
        (files if path.is_file() else others).append(path)
    if others:
        named = ", ".join(f"{path} ({_what_is(path)})" for path in sorted(others)[:_NAMED])
        rest = f" and {len(others) - _NAMED} others" if len(others) > _NAMED else ""
        _note_once(f"left out, as no file can be read there: {named}{rest}")
    return sorted(files, key=natural_key)


@lru_cache
def _note_once(message: str) -> None:
    """Log a remark; a folder is looked through several times, for its kind and its splits."""
    _log.warning(message)


def _what_is(path: Path) -> str:
    """What something that is no file is."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return "a broken link" if path.is_symlink() else str(error.strerror)
    for test, name in (
        (stat.S_ISDIR, "a folder"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISSOCK, "a socket"),
    ):
        if test(mode):
            return name
    return "a device"
