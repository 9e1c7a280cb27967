"""VTM, HM and VVenC: encoders that are run as programs, with what they wrote kept in a cache."""

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kodec.codecs.video_files.frames import (
    Chroma,
    Frame,
    VideoFormat,
    fitted,
    frame_of_picture,
    picture_of_frame,
    read_raw,
    write_raw,
)
from kodec.native import InvalidInputError, KodecError, UnsupportedError

_STREAM, _RECONSTRUCTION = "stream.bin", "reconstruction.yuv"
_LOG, _FACTS = "log.txt", "facts.json"


@dataclass(frozen=True)
class Program:
    """How one encoder is called."""

    chroma: Chroma
    """What pictures are coded at: 4:4:4 where the encoder can."""
    needs_config: bool
    arguments: tuple[str, ...]
    """With {width}, {height}, {fps}, {frames}, {quality}, {chroma}, {depth}, {input}, {stream} and
    {reconstruction}."""
    decoder_arguments: tuple[str, ...]


_JVET = (
    *("-i", "{input}", "-b", "{stream}", "-o", "{reconstruction}", "-q", "{quality}"),
    *("-wdt", "{width}", "-hgt", "{height}", "-fr", "{fps}", "-f", "{frames}"),
    *("--InputBitDepth={depth}", "--OutputBitDepth={depth}", "--InputChromaFormat={chroma}"),
)
_DECODER = ("-b", "{stream}", "-o", "{reconstruction}", "-d", "{depth}")
# VTM's own intra configuration codes every eighth frame only.
_EVERY_FRAME = ("--ConformanceWindowMode=1", "--TemporalSubsampleRatio=1")
PROGRAMS = {
    "vtm": Program("444", True, (*_JVET, *_EVERY_FRAME), _DECODER),
    "hm": Program("444", True, (*_JVET, *_EVERY_FRAME), _DECODER),
    # vvencFFapp, which takes VTM's arguments; vvencapp writes no reconstruction.
    "vvenc": Program(
        "420",
        False,
        (*_JVET, "--Threads=1", "--PerceptQPA=0"),
        ("-b", "{stream}", "-o", "{reconstruction}"),
    ),
}


@dataclass(frozen=True)
class ExternalCodec:
    """An encoder that the user points at, run on raw YUV in a temporary folder.

    Pictures become one frame of YUV, BT.709 full range, at `bit_depth` and 4:4:4 (VVenC: 4:2:0;
    gray: 4:0:0). Decoded is what `decoder` makes of the stream, and without one the reconstruction
    that the encoder wrote. Stream, reconstruction, log and times are kept under `cache`, by a hash
    of programs, configurations, arguments and input; what is there is not run again.

    Raises InvalidInputError when a program or configuration is missing, or VTM or HM have none.
    """

    name: str
    binary: Path
    cache: Path
    configs: tuple[Path, ...] = ()
    decoder: Path | None = None
    bit_depth: int = 8
    extra: tuple[str, ...] = ()
    """Further arguments of the encoder."""
    _entries: dict[bytes, Path] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        for program in filter(None, (self.binary, self.decoder)):
            if not program.is_file():
                raise InvalidInputError(f"no program {program}: give --binary the encoder's path")
            if not os.access(program, os.X_OK):
                raise InvalidInputError(f"{program} is not executable: chmod +x, or name another")
        for config in self.configs:
            if not config.is_file():
                raise InvalidInputError(f"no configuration file {config}")
        if self.program.needs_config and not self.configs:
            raise InvalidInputError(
                f"{self.name} codes nothing without a configuration: give --config, such as "
                + ("encoder_intra_vtm.cfg" if self.name == "vtm" else "encoder_intra_main_rext.cfg")
            )

    @property
    def program(self) -> Program:
        """How it is called."""
        return PROGRAMS[self.name]

    @property
    def settings(self) -> dict[str, str | int | bool]:
        """What pictures' bytes and pixels depend on besides the quality."""
        chroma = ":".join(self.program.chroma)
        if self.program.chroma != "444":
            chroma += " (the encoder has no 4:4:4); mean of 2x2 down, linear up; odd sides padded"
        return {
            **self.sequence_settings,
            "colour": f"8-bit RGB to {self.bit_depth}-bit YUV, BT.709 full range, and back; gray "
            "as 4:0:0",
            "chroma": chroma,
            "matrix": "bt709",
            "range": "full",
            "bit depth": self.bit_depth,
        }

    @property
    def sequence_settings(self) -> dict[str, str | int | bool]:
        """The same of sequences."""
        stated: dict[str, str | int | bool] = {
            "quality": "QP",
            "binary": self.binary.name,
            "binary sha256": _hash_of(self.binary),
            "arguments": " ".join((*self.program.arguments, *self.extra)),
            "decoded": "by the decoder" if self.decoder else "the encoder's own reconstruction",
            "colour": "as stored, no conversion",
            "file": "the encoder's bitstream",
            "timing": "of the whole program, files included; kept in the cache",
        }
        for number, config in enumerate(self.configs):
            stated[f"config {number + 1}"] = f"{config.name} sha256 {_hash_of(config)}"
        if self.decoder is not None:
            stated["decoder"] = self.decoder.name
            stated["decoder sha256"] = _hash_of(self.decoder)
        return stated

    @property
    def versions(self) -> dict[str, str]:
        """The line with the version that the program prints when it is run without arguments."""
        try:
            ran = subprocess.run(
                [self.binary],
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=20,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return {}
        text = (ran.stdout + ran.stderr).decode(errors="replace")
        line = next((line for line in text.splitlines() if re.search("version", line, re.I)), None)
        return {} if line is None else {self.name: line.strip()[:200]}

    def encode(self, image: NDArray[np.uint8], quality: int | None) -> bytes:
        """The bitstream of a picture (H, W, C)."""
        height, width, components = image.shape
        chroma: Chroma = "400" if components == 1 else self.program.chroma
        frame = frame_of_picture(image, chroma, self.bit_depth)
        form = VideoFormat(width, height, chroma, self.bit_depth)
        form = form.padded(2 if chroma == "420" else 1)
        return self._coded([fitted(frame, form)], form, (width, height), quality)

    def decode(self, data: bytes) -> NDArray[np.uint8]:
        """The picture (H, W, C) of a bitstream that this object encoded."""
        facts, frames = self._reconstruction(data)
        height, width = facts["height"], facts["width"]
        return picture_of_frame(next(frames), height, width, self.bit_depth)

    def encode_sequence(
        self,
        frames: Iterable[Frame],
        form: VideoFormat,
        quality: int | None,
        on_frame: Callable[[int, float], None] | None = None,
    ) -> bytes:
        """The bitstream of a sequence."""
        coded = form.padded(1 if form.chroma in ("400", "444") else 2)
        fits = (fitted(frame, coded) for frame in frames)
        return self._coded(fits, coded, (form.width, form.height), quality)

    def decode_sequence(self, data: bytes) -> Iterator[Frame]:
        """The frames of a bitstream that this object encoded."""
        facts, frames = self._reconstruction(data)
        form = _form_of(facts)
        shown = VideoFormat(facts["width"], facts["height"], form.chroma, form.bit_depth)
        return (fitted(frame, shown) for frame in frames)

    @property
    def timing(self) -> str:
        """What the seconds are of."""
        return "wall-clock seconds of the whole program, reading and writing files included"

    def seconds_of(self, data: bytes) -> tuple[float, float | None]:
        """The seconds that encoding and decoding took when they were run; None: not decoded."""
        facts = json.loads((self._entry(data) / _FACTS).read_text(encoding="utf-8"))
        return facts["encoding_time"], facts["decoding_time"]

    def _coded(
        self,
        frames: Iterable[Frame],
        form: VideoFormat,
        shown: tuple[int, int],
        quality: int | None,
    ) -> bytes:
        self.cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="kodec-", dir=self.cache) as name:
            folder, count = Path(name), 0
            source = folder / "input.yuv"
            with source.open("wb") as file:
                for frame in frames:
                    write_raw(file, frame)
                    count += 1
            facts: dict[str, Any] = {
                **{"width": shown[0], "height": shown[1], "frames": count, "quality": quality},
                **{"coded_width": form.width, "coded_height": form.height, "fps": str(form.fps)},
                **{"chroma": form.chroma, "bit_depth": form.bit_depth},
            }
            entry = self.cache / self._key(facts, source)
            if not (entry / _FACTS).is_file():
                self._run(folder, facts, entry)
                source.unlink()
                (folder / _FACTS).write_text(
                    json.dumps({**facts, "settings": self.sequence_settings}, indent=2)
                )
                shutil.rmtree(entry, ignore_errors=True)
                shutil.copytree(folder, entry.with_suffix(".part"), dirs_exist_ok=True)
                entry.with_suffix(".part").rename(entry)
        data = (entry / _STREAM).read_bytes()
        self._entries[hashlib.sha256(data).digest()] = entry
        return data

    def _key(self, facts: dict[str, Any], source: Path) -> str:
        what = {**facts, "settings": self.sequence_settings, "input": _hash_of(source)}
        return f"{self.name}-{hashlib.sha256(json.dumps(what).encode()).hexdigest()[:32]}"

    def _run(self, folder: Path, facts: dict[str, Any], entry: Path) -> None:
        """Encode, and decode where there is a decoder, adding the times to `facts`."""
        fps = Fraction(facts["fps"])
        values = {
            "width": facts["coded_width"],
            "height": facts["coded_height"],
            # The JVET programs take whole numbers; the rate moves nothing but the logged kbps.
            "fps": max(1, round(fps)),
            "frames": facts["frames"],
            "quality": facts["quality"],
            "chroma": facts["chroma"],
            "depth": facts["bit_depth"],
            "input": "input.yuv",
            "stream": _STREAM,
            "reconstruction": _RECONSTRUCTION,
        }
        configs = [part for config in self.configs for part in ("-c", str(config.resolve()))]
        arguments = [part.format(**values) for part in self.program.arguments]
        command = [str(self.binary.resolve()), *configs, *arguments, *self.extra]
        facts["encoding_time"] = self._timed(command, folder, entry)
        facts["decoding_time"] = None
        if self.decoder is not None:
            (folder / _RECONSTRUCTION).unlink(missing_ok=True)
            arguments = [part.format(**values) for part in self.program.decoder_arguments]
            command = [str(self.decoder.resolve()), *arguments]
            facts["decoding_time"] = self._timed(command, folder, entry)
        for name, what in ((_STREAM, "bitstream"), (_RECONSTRUCTION, "reconstruction")):
            path = folder / name
            if not path.is_file() or not path.stat().st_size:
                raise KodecError(
                    f"{command[0]} wrote no {what}; its last line was: {_last_line(folder / _LOG)}"
                )
        form = _form_of(facts)
        size = (folder / _RECONSTRUCTION).stat().st_size
        expected = form.frame_bytes * facts["frames"]
        if size != expected:
            raise KodecError(
                f"{command[0]} wrote a reconstruction of {size:,} bytes where {facts['frames']} "
                f"{form.pixel_format} frames of {form.width}x{form.height} have {expected:,}: "
                "check the configuration's chroma format, bit depth and frame count"
            )

    def _timed(self, command: list[str], folder: Path, entry: Path) -> float:
        log = folder / _LOG
        with log.open("ab") as file:
            file.write(f"$ {shlex.join(command)}\n".encode())
            file.flush()
            start = time.perf_counter()
            try:
                ran = subprocess.run(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    cwd=folder,
                    check=False,
                )
            except OSError as error:
                raise KodecError(f"cannot run {command[0]}: {error.strerror}") from error
            seconds = time.perf_counter() - start
        if ran.returncode:
            kept = entry.with_suffix(".failed.log")
            shutil.copyfile(log, kept)
            raise KodecError(
                f"{command[0]} failed with status {ran.returncode}; its last line was: "
                f"{_last_line(log)} (the log is {kept})"
            )
        return seconds

    def _entry(self, data: bytes) -> Path:
        entry = self._entries.get(hashlib.sha256(data).digest())
        if entry is None:
            raise UnsupportedError(f"{self.name} decodes only what it has just encoded")
        return entry

    def _reconstruction(self, data: bytes) -> tuple[dict[str, Any], Iterator[Frame]]:
        entry = self._entry(data)
        facts = json.loads((entry / _FACTS).read_text(encoding="utf-8"))
        return facts, read_raw(entry / _RECONSTRUCTION, _form_of(facts))


def default_cache() -> Path:
    """Where streams of external encoders are kept: `kodec/encodings` in the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "kodec" / "encodings"


def _form_of(facts: dict[str, Any]) -> VideoFormat:
    size = facts["coded_width"], facts["coded_height"]
    return VideoFormat(*size, facts["chroma"], facts["bit_depth"], Fraction(facts["fps"]))


def _hash_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _last_line(log: Path) -> str:
    text = log.read_text(encoding="utf-8", errors="replace")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines and not lines[-1].startswith("$ ") else "nothing"
