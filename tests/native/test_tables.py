from typing import Any

import numpy as np
import pytest

from kodec.native import InvalidInputError, Tables

GOOD: dict[str, Any] = {
    "frequencies": np.array([16000, 384, 8000, 8000, 384], np.uint16),
    "sizes": np.array([2, 3], np.uint16),
    "offsets": np.array([0, -1], np.int32),
    "shifts": np.array([0, 8], np.uint8),
}


def test_a_table_set_knows_its_size_and_content() -> None:
    tables = Tables(**GOOD)
    assert len(tables) == 2
    assert tables.fingerprint == Tables(**GOOD).fingerprint
    for name, array in GOOD.items():
        other = array.copy()
        if name == "frequencies":
            other[0] -= 1
            other[1] += 1
        elif name == "sizes":
            continue
        else:
            other[1] -= 1
        assert Tables(**{**GOOD, name: other}).fingerprint != tables.fingerprint


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("frequencies", [16000, 383, 8000, 8000, 384], "table 0 add up to 16383"),
        ("frequencies", [16000, 385, 8000, 8000, 384], "table 0 add up to more"),
        ("frequencies", [16000, 384, 8384, 8000, 0], "table 1 has frequency 0 at code 2"),
        ("frequencies", [16000, 384, 8000, 8000], "5 codes, but there are 4"),
        ("sizes", [1, 3], "table 0 has 1 codes"),
        ("sizes", [2, 257], "table 1 has 257 codes"),
        ("sizes", [2], "one element for each table"),
        ("offsets", [0, 2**31 - 512], "table 1 reaches symbols above"),
        ("shifts", [0, 9], "table 1 has 9 raw low bits"),
    ],
)
def test_bad_tables_are_refused(name: str, value: list[int], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        Tables(**{**GOOD, name: np.array(value, GOOD[name].dtype)})


@pytest.mark.parametrize("name", list(GOOD))
def test_other_array_types_are_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidInputError, match=f"{name} must be of type"):
        Tables(**{**GOOD, name: GOOD[name].astype(np.int64)})


def test_no_tables_are_no_set() -> None:
    empty = {name: array[:0] for name, array in GOOD.items()}
    with pytest.raises(InvalidInputError, match="1 to 65535 tables"):
        Tables(**empty)


def test_a_set_may_hold_more_tables_than_a_byte_counts() -> None:
    count = 1000
    tables = Tables(
        np.tile(np.array([16000, 384], np.uint16), count),
        np.full(count, 2, np.uint16),
        np.zeros(count, np.int32),
        np.zeros(count, np.uint8),
    )
    assert len(tables) == count
