"""VMAF, computed by an ffmpeg that was built with libvmaf, where there is one."""

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from kodec.codecs.video_files.frames import Frame, VideoFormat, write_raw
from kodec.native import KodecError


def why_no_vmaf() -> str | None:
    """None where `ffmpeg` on the PATH has libvmaf; the reason otherwise."""
    program = shutil.which("ffmpeg")
    return (
        "no ffmpeg on the PATH; install one built with libvmaf"
        if program is None
        else (_why_not(program))
    )


def vmaf_version() -> str:
    """The first line of `ffmpeg -version`, as VMAF comes with it."""
    return _run(["ffmpeg", "-version"]).stdout.decode(errors="replace").splitlines()[0]


def vmaf(frames: Iterable[Frame], decoded: Iterable[Frame], form: VideoFormat) -> float:
    """The mean over the frames of VMAF, libvmaf's default model, in [0, 100].

    It is computed of luma as it stands. "Toward a practical perceptual video quality metric" (Li
    et al., 2016). Raises KodecError when ffmpeg fails.
    """
    with tempfile.TemporaryDirectory(prefix="kodec-vmaf-") as name:
        folder = Path(name)
        for which, sequence in (("reference", frames), ("decoded", decoded)):
            with (folder / f"{which}.yuv").open("wb") as file:
                for frame in sequence:
                    write_raw(file, frame)
        return vmaf_of_files(folder / "reference.yuv", folder / "decoded.yuv", form)


def vmaf_of_files(reference: Path, decoded: Path, form: VideoFormat) -> float:
    """As `vmaf`, of two raw files."""
    raw = ["-f", "rawvideo", "-pix_fmt", form.pixel_format, "-s", f"{form.width}x{form.height}"]
    raw += ["-r", str(form.fps)]
    with tempfile.TemporaryDirectory(prefix="kodec-vmaf-") as folder:
        # A bare name, as a path would need quoting twice in a filter's options.
        command = ["ffmpeg", "-hide_banner", "-nostdin", "-v", "error"]
        command += [*raw, "-i", str(decoded.resolve()), *raw, "-i", str(reference.resolve())]
        command += ["-lavfi", "libvmaf=log_fmt=json:log_path=vmaf.json:n_threads=1"]
        result = _run([*command, "-f", "null", "-"], folder)
        if result.returncode:
            lines = result.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
            raise KodecError(f"ffmpeg could not compute VMAF: {lines[-1]}")
        report = json.loads((Path(folder) / "vmaf.json").read_text(encoding="utf-8"))
    return float(report["pooled_metrics"]["vmaf"]["mean"])


@lru_cache(maxsize=4)
def _why_not(program: str) -> str | None:
    listed = _run([program, "-hide_banner", "-filters"]).stdout.decode(errors="replace")
    found = re.search(r"\blibvmaf\b", listed)
    return None if found else f"{program} was built without libvmaf"


def _run(command: list[str], folder: str | None = None) -> "subprocess.CompletedProcess[bytes]":
    try:
        return subprocess.run(command, capture_output=True, cwd=folder, check=False)
    except OSError as error:
        raise KodecError(f"cannot run {command[0]}: {error.strerror}") from error
