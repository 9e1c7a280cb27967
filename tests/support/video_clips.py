"""Small video files, sound and damaged, and folders of pictures that stand for some."""

from pathlib import Path
from typing import cast

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image


def moving(frames: int, height: int = 48, width: int = 64, seed: int = 0) -> NDArray[np.uint8]:
    """RGB (T, H, W, 3): waves that pass over a still texture, no two frames alike."""
    rng = np.random.default_rng(seed)
    texture = rng.integers(0, 40, (height, width, 3))
    y, x = np.mgrid[:height, :width]
    speed, across, down = rng.uniform(0.3, 0.8), *rng.uniform(0.1, 0.3, 2)
    phases = across * x + down * y - speed * np.arange(frames)[:, None, None]
    waves = 100 + 60 * np.sin(phases)
    out: NDArray[np.uint8] = (waves[..., None] + texture).clip(0, 255).astype(np.uint8)
    return out


def write_video(
    path: Path,
    rgb: NDArray[np.uint8],
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    **options: str,
) -> Path:
    """A video file of RGB frames, by default H.264 with B-frames, a key frame every ten.

    The same frames make the same packets: x264's faster code does not always (its macroblock tree).
    """
    given = options or {"g": "10", "keyint_min": "10", "bf": "2", "crf": "18"}
    if codec == "libx264":
        given = {"x264-params": "asm=0", **given}
    with av.open(str(path), "w") as container:
        stream = cast(av.VideoStream, container.add_stream(codec, rate=25, options=given))
        stream.height, stream.width = rgb.shape[1:3]
        stream.pix_fmt = pixel_format
        for picture in rgb:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


CHECKED = {"level": "3", "slicecrc": "1"}
"""FFV1 with checksums, which tell any damage; other codecs decode much of it to something else."""


def damage_frame(path: Path) -> None:
    """Overwrite a part of the frame in the middle of a file, whose container stays sound."""
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    packet, data = packets[len(packets) // 2], path.read_bytes()
    third = len(packet) // 3
    changed = packet[:third] + bytes(third) + packet[2 * third :]
    path.write_bytes(data.replace(packet, changed))


def write_raw(path: Path, rgb: NDArray[np.uint8], pixel_format: str = "yuv420p") -> Path:
    """A raw file of the frames."""
    with path.open("wb") as file:
        for picture in rgb:
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                format=pixel_format
            )
            file.write(frame.to_ndarray().tobytes())
    return path


def write_septuplets(folder: Path, names: list[str], height: int = 48, width: int = 64) -> Path:
    """A folder in Vimeo-90k's layout."""
    for seed, name in enumerate(names):
        clip = folder / "sequences" / name
        clip.mkdir(parents=True)
        for number, picture in enumerate(moving(7, height, width, seed), start=1):
            Image.fromarray(picture).save(clip / f"im{number}.png")
    (folder / "sep_trainlist.txt").write_text("\n".join(names) + "\n")
    return folder
