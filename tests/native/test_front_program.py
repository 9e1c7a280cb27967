"""Front programs: what is refused, and what a slope is."""

from typing import Any

import numpy as np
import pytest

from kodec.native import Decoder, Encoder, FrontProgram, InvalidInputError, Tables

TAPS = np.array([[0, -1], [-1, 1]], np.int32)
LEVELS = np.array([[1, 1], [2, 1]], np.int32)


def layer(outputs: int, inputs: int, value: int = 1, shift: int = 0, rectified: int = 0) -> Any:
    weights = np.full((outputs, inputs), value, np.int64)
    return weights, np.zeros(outputs, np.int64), shift, rectified


def arguments(**changes: Any) -> dict[str, Any]:
    given = {
        "taps": TAPS,
        "side": 1,
        "side_bound": 10,
        "least": -64,
        "most": 63,
        "layers": [layer(3, 3, rectified=1), layer(2, 6)],
        "lowest": -1024,
        "highest": 768,
        "levels": LEVELS,
    }
    return given | changes


def test_programs_that_make_no_sense_are_refused() -> None:
    assert FrontProgram(**arguments()).slope == 2
    large = layer(3, 3, 2**46)
    cases: list[tuple[dict[str, Any], str]] = [
        ({"taps": np.array([[0, 0]], np.int32)}, "not coded before"),
        ({"taps": np.array([[1, -1]], np.int32)}, "not coded before"),
        ({"taps": np.array([[-17, 0]], np.int32)}, "at most 16"),
        ({"taps": np.empty((0, 2), np.int32)}, "1 to 256 taps"),
        ({"taps": np.zeros((2, 3), np.int32)}, "rows of"),
        ({"side": -1}, "from 0 on"),
        ({"side_bound": 2**31}, "at most 2\\^30"),
        ({"side": 2}, "takes 3 inputs, but gets 4"),
        ({"least": 1}, "0 among them"),
        ({"most": 2**16}, "0 among them"),
        ({"layers": []}, "1 to 16 layers"),
        ({"layers": [layer(2, 3)] * 17}, "1 to 16 layers"),
        ({"layers": [layer(3, 3), layer(2, 3)]}, "takes 3 inputs, but gets 6"),
        ({"layers": [layer(3, 3)]}, "a mean and a log scale"),
        ({"layers": [layer(2, 3, rectified=1)]}, "not rectified"),
        ({"layers": [layer(257, 3), layer(2, 260)]}, "256 outputs"),
        ({"layers": [layer(2, 3, shift=1)]}, "shift of 0 or of 2"),
        ({"layers": [layer(2, 3, shift=33)]}, "shift of 0 or of 2"),
        ({"layers": [large, layer(2, 6)]}, "may reach 2\\^53"),
        ({"layers": [layer(3, 3, 2**40), layer(2, 6, 2**20)]}, "may reach 2\\^53"),
        ({"layers": [(layer(2, 3)[0], np.full(2, 2**53), 0, 0)]}, "bias beyond"),
        ({"layers": [layer(2, 3)[:3]]}, "a layer is"),
        ({"lowest": 768}, "2 to 4096 levels"),
        ({"levels": LEVELS[:1]}, "2 to 4096 levels"),
        ({"levels": np.array([[9, 1], [1, 1]], np.int32)}, "1 to 8 bits"),
        ({"levels": np.array([[1, 0], [1, 1]], np.int32)}, "tables from 1 on"),
        ({"levels": np.array([[8, 65500], [1, 1]], np.int32)}, "beyond 65535"),
    ]
    for changes, message in cases:
        with pytest.raises(InvalidInputError, match=message):
            FrontProgram(**arguments(**changes))


def test_grids_and_values_that_do_not_fit_are_refused() -> None:
    program = FrontProgram(**arguments())
    side, values = np.zeros(4, np.int32), np.zeros(12, np.int32)
    symbols, indexes = program.predict(3, 4, side, 1, values)
    assert symbols.tolist() == [0] * 12 and len(indexes) == 12
    for wrong, message in [
        ((0, 4, side, 1, values), "1 to 2\\^16"),
        ((2**16 + 1, 4, side, 1, values), "1 to 2\\^16"),
        ((3, 4, side, 0, values), "takes 12"),
        ((3, 4, side, 17, values), "side_shift"),
        ((3, 4, side, 1, values[1:]), "the grid has 12"),
        ((3, 4, side, 1, values + 64), "out of its range"),
    ]:
        with pytest.raises(InvalidInputError, match=message):
            program.predict(*wrong)


def test_tables_must_be_there() -> None:
    two = np.array([8192, 8192] * 2, np.uint16)
    tables = Tables(two, np.full(2, 2, np.uint16), np.zeros(2, np.int32), np.zeros(2, np.uint8))
    encoder = Encoder()
    indexes = np.ones(12, np.uint16)
    encoder.add(np.zeros(12, np.int32), indexes, tables, np.empty(0, np.uint32))
    decoder = Decoder(encoder.finish())
    with pytest.raises(InvalidInputError, match="names table 3, but the set has 2"):
        program = FrontProgram(**arguments())
        decoder.scan_fronts(program, 3, 4, np.zeros(4, np.int32), 1, tables)
