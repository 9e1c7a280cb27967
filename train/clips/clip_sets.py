"""Where clips lie: registered sets, folders of video files, and the layouts of published sets.

Vimeo-90k   sequences/NNNNN/NNNN/im1.png to im7.png, listed in sep_trainlist.txt
            ("Video enhancement with task-oriented flow", 2019)
BVI-DVC     AName_3840x2176_25fps_10bit_420.mp4 or .yuv, the same scene as B, C and D at half,
            a quarter and an eighth of the size ("BVI-DVC", 2021), in one folder or several
"""

import re
from collections.abc import Sequence
from pathlib import Path

from kodec.codecs.video_files.video_reading import VIDEO_SUFFIXES
from kodec.eval import DatasetError, find_dataset, known_datasets
from kodec.native import InvalidInputError

from .opening import ClipSource

VIMEO_LIST = "sep_trainlist.txt"
VIMEO_FRAMES = 7
# Of a set, one scene in so many is held out: about so many clips at most, if scenes have few.
HELD_OUT = 8
MOST_HELD_OUT = 32

_BVI_NAME = re.compile(r"[A-D](?P<scene>.+)_\d+x\d+_\d+fps_\d+bit_\d+")
_VIMEO_LINE = re.compile(r"(?P<scene>\d+)/\d+")


def find_clips(name_or_folder: str) -> list[ClipSource]:
    """The clips of a registered training set or of a folder, in natural order.

    Raises `DatasetError` where there are none, or the set is for testing.
    """
    if name_or_folder.partition(":")[0] in known_datasets():
        return _files(find_dataset(name_or_folder, "train", kind="video"))
    folder = Path(name_or_folder)
    if (folder / VIMEO_LIST).is_file():
        return _septuplets(folder)
    if folder.is_dir() and not _has_video(folder):
        # One folder for each resolution, or class.
        parts = sorted(part for part in folder.iterdir() if part.is_dir() and _has_video(part))
        if parts:
            return [clip for part in parts for clip in find_clips(str(part))]
    return _files(find_dataset(name_or_folder, kind="video"))


def split_by_scene(clips: Sequence[ClipSource]) -> tuple[list[ClipSource], list[ClipSource]]:
    """Clips to train on, and clips of other scenes to validate on; a single scene is both."""
    scenes = list(dict.fromkeys(clip.origin for clip in clips))
    every = max(HELD_OUT, len(clips) // MOST_HELD_OUT)
    held_out = set(scenes[every // 2 :: every] or scenes[-1:])
    training = [clip for clip in clips if clip.origin not in held_out]
    return training or list(clips), [clip for clip in clips if clip.origin in held_out]


def _files(paths: Sequence[Path]) -> list[ClipSource]:
    return [ClipSource(path, _scene_of(path)) for path in paths]


def _scene_of(path: Path) -> str:
    match = _BVI_NAME.fullmatch(path.stem)
    return match["scene"] if match else str(path)


def _has_video(folder: Path) -> bool:
    return any(path.suffix.lower() in VIDEO_SUFFIXES for path in folder.iterdir())


def _septuplets(folder: Path) -> list[ClipSource]:
    """The training clips of a folder in Vimeo-90k's layout."""
    path = folder / VIMEO_LIST
    try:
        lines = path.read_text(encoding="ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path} can't be read: {error}") from error
    clips = []
    for number, line in enumerate(lines, start=1):
        match = _VIMEO_LINE.fullmatch(line)
        if match is None:
            raise InvalidInputError(f"{path}: entry {number} is {line[:40]!r}, not NNNNN/NNNN")
        clip = folder / "sequences" / line
        pictures = tuple(clip / f"im{n}.png" for n in range(1, VIMEO_FRAMES + 1))
        clips.append(ClipSource(clip, match["scene"], pictures))
    if not clips:
        raise DatasetError(f"{path} lists no clips")
    return clips
