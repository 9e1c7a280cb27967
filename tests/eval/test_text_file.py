import os
import threading
from pathlib import Path

import pytest

from kodec.eval import text_file
from kodec.eval.text_file import UnknownFormatError, read_text, without_prefixes
from kodec.native import InvalidInputError

TEXT = "sequence,bpp\nGrüße,0.5\n"
ENCODED = {
    "utf-8": TEXT.encode(),
    "utf-8 with a mark": TEXT.encode("utf-8-sig"),
    "utf-16 le": TEXT.encode("utf-16-le"),
    "utf-16 be": TEXT.encode("utf-16-be"),
    "utf-16 le with a mark": b"\xff\xfe" + TEXT.encode("utf-16-le"),
    "utf-16 be with a mark": b"\xfe\xff" + TEXT.encode("utf-16-be"),
    "utf-32 with a mark": TEXT.encode("utf-32"),
    "latin-1": TEXT.encode("latin-1"),
    "crlf": TEXT.replace("\n", "\r\n").encode(),
    "crcrlf": TEXT.replace("\n", "\r\r\n").encode(),
    "cr": TEXT.replace("\n", "\r").encode(),
    "end of file mark": (TEXT + "\x1a").encode(),
    "colours": TEXT.replace("bpp", "\x1b[1;32mbpp\x1b[0m\x1b[K").encode(),
    "colours spelt out": TEXT.replace("bpp", "^[[32mbpp^[[0m").encode(),
    "a window's title": ("\x1b]0;run 1\x07" + TEXT).encode(),
}


@pytest.mark.parametrize("how", ENCODED)
def test_one_text_however_it_is_written(how: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(ENCODED[how])
    assert read_text(path) == TEXT


def test_windows_quotes_and_undefined_bytes_are_text(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"\x93a\x94\n")
    assert read_text(path) == "\u201ca\u201d\n"
    path.write_bytes(b"a\x81\n")
    assert read_text(path) == "a\x81\n"


def test_progress_that_overwrites_itself_is_lines(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"1 %\r2 %\x1b[1G3 %\b\b\b4 %\n")
    assert read_text(path) == "1 %\n2 %\n3 %\n4 %\n"


def test_pipes_are_read_as_files(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(ENCODED["utf-8 with a mark"]))
    writer.start()
    assert read_text(pipe) == TEXT
    writer.join()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x1f\x8b\x08rest", "is a gzip archive: unpack it"),
        (b"\xfd7zXZ\0rest", "is an xz archive: unpack it"),
        (b"\x28\xb5\x2f\xfdrest", "is a zstd archive: unpack it"),
        (b"PK\x03\x04rest", "is a zip archive.*: unpack it"),
        (b"text\0\0\0text", "binary, not text"),
        (bytes(range(256)) * 4, "binary, not text"),
        (bytes(100), "binary, not text"),
    ],
)
def test_what_is_no_text(data: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(data)
    with pytest.raises(UnknownFormatError, match=message):
        read_text(path)


def test_what_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidInputError, match="No such file"):
        read_text(tmp_path / "none")
    monkeypatch.setattr(text_file, "_LARGEST", 10)
    path = tmp_path / "x"
    path.write_text("0123456789")
    assert read_text(path) == "0123456789"
    path.write_text("0123456789a")
    with pytest.raises(UnknownFormatError, match="too large"):
        read_text(path)


@pytest.mark.parametrize(
    "prefix",
    [
        "0: ",
        " 12: ",
        "enc-1  | ",
        "[1,0]<stdout>:",
        "[pod/enc-0/enc] ",
        "(enc pid=12, ip=10.0.0.1) ",
        "2024-05-01T12:00:00.123456789Z stdout F ",
        "2024-05-01 12:00:00,123 ",
        "May  1 12:00:00 host enc[123]: ",
        "enc-1  | 2024-05-01T12:00:00Z ",
    ],
)
def test_prefixes_of_every_line(prefix: str) -> None:
    lines = ["bpp,psnr", "", "0.5,30"]
    prefixed = "\n".join(prefix + line for line in lines)
    assert without_prefixes(prefixed) == "\n".join(lines)
    assert without_prefixes("\n".join(lines)) is None
    assert without_prefixes(f"{prefixed}\n0.6,31") is None
