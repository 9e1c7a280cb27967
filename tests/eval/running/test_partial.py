import math
from dataclasses import replace
from pathlib import Path

from kodec.eval import ImageRow, PartialRows

ROW = ImageRow("a.png", 8, 64, 32, 100, 0.39, {"psnr-rgb": math.inf}, 0.25, None)


def test_rows_outlive_the_process(tmp_path: Path) -> None:
    path = tmp_path / "r.json.partial"
    rows = PartialRows(path)
    assert rows.rows == {} and not path.exists()
    rows.add("one", ROW)
    rows.add("two", replace(ROW, quality=9))
    assert PartialRows(path).rows == {"one": ROW, "two": replace(ROW, quality=9)}
    rows.remove()
    rows.remove()
    assert not path.exists()


def test_line_cut_by_a_kill_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "r.json.partial"
    PartialRows(path).add("one", ROW)
    PartialRows(path).add("two", ROW)
    path.write_text(path.read_text()[:-30])
    rows = PartialRows(path)
    assert set(rows.rows) == {"one"}
    rows.add("three", ROW)
    assert set(PartialRows(path).rows) == {"one", "three"}


def test_other_files_hold_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "r.json.partial"
    path.write_bytes(b'\xff\xfe{}\n[1]\n{"key": 1}\n{"key": "x", "row": {"image": "a"}}\n')
    assert PartialRows(path).rows == {}
