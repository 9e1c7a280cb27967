"""Every reader's files as shells, schedulers and Windows leave them: read, or the true reason."""

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from encoder_logs import hm_log, vtm_log, vvenc_log, x265_log
from kodec.eval import read_curve_sets
from kodec.eval.readers import UnknownFormatError
from kodec.native import InvalidInputError

PLANES = [(41.25, 43.5, 44.0), (39.5, 42.75, 43.125), (38.75, 42.5, 43.0)]
BITS = [4096, 512, 256]
OLD_VVENC = (
    "vvencapp: Fraunhofer VVC Encoder ver. 1.6.1 [Linux][GCC 12.2.1][64 bit][SIMD=AVX2]\n\n"
    "\tTotal Frames |   Bitrate     Y-PSNR    U-PSNR    V-PSNR    YUV-PSNR\n"
    "\t       64    a    4000.0000   40.0000   43.0000   44.0000   41.0000\n"
)
LOGS = {
    "vtm": vtm_log(PLANES, BITS, 22),
    "vtm that states its QP": "QP                                     : 22\n"
    + vtm_log(PLANES, BITS, 22),
    "hm": hm_log(PLANES, BITS, 22),
    "vvenc": vvenc_log(PLANES[0], 10, 900.5, 22),
    "old vvenc": OLD_VVENC,
    "x265": x265_log(600, 9075.96),
}
RECORD = {
    **{"frame_pixel_num": 2048, "i_frame_num": 1, "p_frame_num": 95, "qp": 22},
    **{"ave_all_frame_bpp": 0.1, "ave_all_frame_psnr": 30.5, "ave_all_frame_psnr_y": 30},
    **{"ave_all_frame_psnr_u": 31, "ave_all_frame_psnr_v": 33},
}
TABLES = {
    "json": json.dumps({"results": {"bpp": [0.1, 0.2], "psnr-rgb": [30, 33]}}, indent=1),
    "dcvc": json.dumps({"UVG": {"Beauty": {"000": RECORD}}}, indent=1),
    "coolchic": "lmbda\tseq_name\tn_pixels\tloss\tpsnr_db\trate_bpp\n0.1\tkodim01\t9\t1\t30\t0.1\n",
    "csv": "bpp,psnr-rgb\n0.1,30\n0.2,33\n",
}


def lines_with(prefix: str) -> Callable[[str], str]:
    return lambda text: "".join(prefix + line for line in text.splitlines(keepends=True))


ANY_LINES: dict[str, Callable[[str], bytes]] = {
    "BOM": lambda text: text.encode("utf-8-sig"),
    "UTF-16": lambda text: text.encode("utf-16"),
    "UTF-16 LE without a mark": lambda text: text.encode("utf-16-le"),
    "UTF-16 BE without a mark": lambda text: text.encode("utf-16-be"),
    "CRLF": lambda text: text.replace("\n", "\r\n").encode(),
    "CR": lambda text: text.replace("\n", "\r").encode(),
    "colours": lambda text: text.replace("\n", "\x1b[0m\n\x1b[1;32m").encode(),
    "srun": lambda text: lines_with("0: ")(text).encode(),
    "docker compose": lambda text: lines_with("enc-1  | ")(text).encode(),
    "time": lambda text: lines_with("2024-05-01T12:00:00.123Z ")(text).encode(),
    "mpirun": lambda text: lines_with("[1,0]<stdout>:")(text).encode(),
}
LOG_LINES: dict[str, Callable[[str], str]] = {
    "parallel --tag": lines_with("foreman 22\t"),
    "kubectl logs": lines_with("2024-05-01T12:00:00.123456789Z stdout F "),
    "journal": lines_with("May  1 12:00:00 host enc[123]: "),
    "logging": lines_with("2024-05-01 12:00:00,123 INFO enc: "),
    "gh run view": lines_with("build\tRun\t2024-05-01T12:00:00.1234567Z "),
    "grep": lines_with("enc.log:12:"),
    "ray": lines_with("(enc pid=12, ip=10.0.0.1) "),
    "a bracket first": lambda text: "[mov @ 0x55d0c0] st: 0 edit list: 1\n" + text,
    "a brace first": lambda text: "{run 1}\n" + text,
    "a job first": lambda text: "[1] 12345\n" + text,
    "Latin-1 and a tail": lambda text: text + "Größe\nreal\t1m2.3s\n",
    "trailing blanks": lambda text: text.replace("\n", "   \n"),
    "progress": lambda text: "10 %\r20 %\r\x1b[2K\n" + text,
}


def numbers(path: Path) -> list[object]:
    return [
        (found.rates, found.metrics, found.frames, found.size, found.fps, found.settings)
        for found in read_curve_sets([path])
    ]


@pytest.mark.parametrize("kind", [*LOGS, *TABLES])
def test_encodings_line_ends_colours_and_prefixes(kind: str, tmp_path: Path) -> None:
    text = {**LOGS, **TABLES}[kind]
    path = tmp_path / "x_qp22.log"
    path.write_text(text)
    expected = numbers(path)
    for how, change in ANY_LINES.items():
        path.write_bytes(change(text))
        assert numbers(path) == expected, how
    for how in LOG_LINES if kind in LOGS else []:
        path.write_text(LOG_LINES[how](text), encoding="latin-1")
        assert numbers(path) == expected, how


@pytest.mark.parametrize("kind", [*LOGS, *TABLES])
def test_pipes(kind: str, tmp_path: Path) -> None:
    text = {**LOGS, **TABLES}[kind]
    path, pipe = tmp_path / "x_qp22.log", tmp_path / "pipe" / "x_qp22.log"
    path.write_text(text)
    pipe.parent.mkdir()
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_text(text))
    writer.start()
    assert numbers(pipe) == numbers(path)
    writer.join()


@pytest.mark.parametrize("kind", [*LOGS, *TABLES])
def test_empty_binary_and_cut(kind: str, tmp_path: Path) -> None:
    text = {**LOGS, **TABLES}[kind]
    path = tmp_path / "x_qp22.log"
    for data, message in (
        (b"", "is empty"),
        (b" \n\r\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (text.encode() + bytes(9), "binary, not text"),
        (b"\x1f\x8b\x08" + text.encode(), "archive: unpack it first"),
    ):
        path.write_bytes(data)
        with pytest.raises(InvalidInputError, match=message):
            read_curve_sets([path])
    if kind in ("json", "dcvc"):
        path.write_text(text[: len(text) // 2])
        with pytest.raises(InvalidInputError, match="not JSON"):
            read_curve_sets([path])


def test_a_descriptor_of_the_shell(tmp_path: Path) -> None:
    """As `<(cat x.json)` is."""
    end, other = os.pipe()
    os.write(other, TABLES["json"].encode())
    os.close(other)
    (found,) = read_curve_sets([Path(f"/dev/fd/{end}")])
    os.close(end)
    assert found.metrics["psnr-rgb"] == (30, 33)


def test_what_a_first_bracket_is_taken_for(tmp_path: Path) -> None:
    path = tmp_path / "x"
    for text, message in (
        ("[.ShellClassInfo]\nLocalizedResourceName=logs\n", "expected a log of VTM"),
        ("[[tool.mypy]]\nstrict = true\n", "expected a log of VTM"),
        ("[2024-05-01] began\n", "expected a log of VTM"),
        ('{"results": {"bpp": [0.1', "not JSON"),
        ("[0.1, 0.2", "not JSON"),
        ('{"log": "POC 0"}\n{"log": "POC 1"}\n', "2 documents, one a line.*as Docker keeps them"),
    ):
        path.write_text(text)
        with pytest.raises(InvalidInputError, match=message):
            read_curve_sets([path])


@pytest.mark.parametrize(
    ("banner", "encoder"),
    [
        ("vvencapp: Fraunhofer VVC Encoder ver. 1.6.1 [Linux]", "VVenC-1.6.1"),
        ("vvencFFapp: VVenC, the Fraunhofer H.266/VVC Encoder, version 1.12.0 [", "VVenC-1.12.0"),
        ("VVCSoftware: VTM Encoder Version 17.0 [Linux]", "VTM-17.0"),
        ("VVCSoftware: ECM Encoder Version 8.0 [Linux]", "ECM-8.0"),
        ("HM software: Encoder Version [16.20] (including RExt)[Linux]", "HM-16.20"),
        ("HM software: Encoder Version [HM-16.6] [Linux]", "HM-16.6"),
        ("SHM software: Encoder Version [12.4] based on HM Version [16.10]", "SHM-12.4"),
        ("JEM software: Encoder Version [7.2] (including RExt)", "JEM-7.2"),
    ],
)
def test_banners_old_and_new(banner: str, encoder: str, tmp_path: Path) -> None:
    body = OLD_VVENC.partition("\n")[2]
    (tmp_path / "x_qp22.log").write_text(f"0: {banner}\n{body}")
    (tmp_path / "x_qp27.log").write_text(LOGS["vtm"].replace("VTM Encoder", "TEST Encoder"))
    (tmp_path / "x_qp27.log").write_text(
        f"VVCSoftware: TEST Encoder Version 1.0\n{body.replace('4000.0', '2000.0')}"
    )
    (found,) = read_curve_sets([tmp_path])
    assert f"x: points of different encoders: {', '.join(sorted([encoder, 'TEST-1.0']))}" in (
        found.notes
    )


def test_a_log_that_is_cut_off_is_named_so_and_no_other_is(tmp_path: Path) -> None:
    path = tmp_path / "x_qp22.log"
    header = OLD_VVENC.partition("\t ")[0]
    for tail, message in (
        ("", "cut off within its summary"),
        ("\t     64    a", "cut off within its summary"),
        ("Killed by signal\n", "no row of all frames .* but 'Killed by signal'"),
        (f"{header}\t 64 a 4000.0 40.0 43.0 44.0 41.0\n", "lines of several runs are mixed"),
        ("\t 64 a 4000.0000 nan 43.0 44.0 41.0\n", "Y-PSNR is nan"),
        ("\t 64 a 4000.0000 -inf 43.0 44.0 41.0\n", "Y-PSNR is -inf"),
        ("\t 64 a nan 40.0 43.0 44.0 41.0\n", "nan kbps"),
        ("\t 64 a 4000.0000 40.0000 43.0\n", "3 numbers under 5 columns"),
    ):
        path.write_text(header + tail)
        with pytest.raises(InvalidInputError, match=message):
            read_curve_sets([path])
    path.write_text(header + "\t 64 a 4000.0000 40.0000 nan 44.0000 41.0000\n")
    (found,) = read_curve_sets([path])
    assert "psnr-u" not in found.metrics and any("U-PSNR is nan" in note for note in found.notes)
    path.write_text("\tTotal Frames |   Bitrate\n\t 64 a 4000.0\n")
    with pytest.raises(InvalidInputError, match="no Y-PSNR in the summary"):
        read_curve_sets([path])


def test_mixed_lines_of_two_tasks_are_no_run(tmp_path: Path) -> None:
    one, two = LOGS["vtm"].splitlines(), vtm_log(PLANES, BITS[::-1], 27).splitlines()
    mixed = [line for a, b in zip(one, two, strict=True) for line in (f"0: {a}", f"1: {b}")]
    path = tmp_path / "x.log"
    path.write_text("\n".join(mixed))
    with pytest.raises(InvalidInputError, match="several runs"):
        read_curve_sets([path])


def test_foreign_files_of_a_folder_are_left_out(tmp_path: Path) -> None:
    for qp in (22, 27):
        (tmp_path / f"x_qp{qp}.log").write_text(vtm_log(PLANES, [b * qp for b in BITS], qp))
    (tmp_path / "desktop.ini").write_text("[.ShellClassInfo]\nLocalizedResourceName=logs\n")
    (tmp_path / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(600))
    (tmp_path / ".DS_Store").write_bytes(bytes(10))
    (tmp_path / "README.md").write_text("# Runs\n\nOf Tuesday.\n")
    (tmp_path / "parse.py").write_text("import re\n\nHEADER = 'Total Frames |'\n")
    (tmp_path / "DONE").write_text("")
    (tmp_path / "x_qp22.err").write_text("")
    (tmp_path / "old.log.gz").write_bytes(b"\x1f\x8b\x08rest")
    (tmp_path / "x.dec.txt").write_text("POC    0 TId: 0 ( I-SLICE, QP 32 ) [DT  0.154] [L0 ]\n")
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe")
    (found,) = read_curve_sets([tmp_path])
    assert found.settings == ("QP 22", "QP 27")
    known = "Thumbs.db, desktop.ini, gone, parse.py, pipe"
    assert f"not read, being none of the known formats: README.md, {known}" in found.notes
    for name, reason in (
        ("DONE", "is empty"),
        ("x_qp22.err", "is empty"),
        ("old.log.gz", "is a gzip archive"),
        ("x.dec.txt", "a decoder's log"),
    ):
        assert any(name in note and reason in note for note in found.notes), name


@pytest.mark.parametrize("end", ["HM", "SUMMARY", "I Slices"])
def test_a_point_that_is_not_whole_ends_the_reading(end: str, tmp_path: Path) -> None:
    for qp in (22, 27, 32):
        text = hm_log(PLANES, [b * (40 - qp) for b in BITS], qp)
        (tmp_path / f"x_qp{qp}.log").write_text(
            text if qp > 22 else text[: text.index(end) - 60 * (end[0] == "I")]
        )
    with pytest.raises(InvalidInputError, match=r"x_qp22.log"):
        read_curve_sets([tmp_path])


def test_a_folder_of_nothing_says_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(b"\x1f\x8b\x08rest")
    with pytest.raises(InvalidInputError, match="holds none.*x.gz is a gzip archive"):
        read_curve_sets([tmp_path])
    with pytest.raises(UnknownFormatError, match="gzip archive: unpack it first"):
        read_curve_sets([tmp_path / "x.gz"])
