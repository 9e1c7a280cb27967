import pytest

from kodec.native import InvalidInputError, crc32c


@pytest.mark.parametrize(
    ("data", "expected"),
    [  # RFC 3720, appendix B.4, and the check value of the CRC catalogue
        (b"", 0),
        (b"123456789", 0xE3069283),
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(reversed(range(32))), 0x113FDB5C),
    ],
)
def test_published_values(data: bytes, expected: int) -> None:
    assert crc32c(data) == expected


def test_a_checksum_continues_over_parts() -> None:
    data = bytes(range(256)) * 3
    for cut in (0, 1, 7, 8, 100, len(data)):
        assert crc32c(memoryview(data)[cut:], crc32c(data[:cut])) == crc32c(data)


@pytest.mark.parametrize("value", [-1, 2**32, 2**70, "0"])
def test_a_start_that_is_no_checksum_is_refused(value: object) -> None:
    with pytest.raises(InvalidInputError, match="value"):
        crc32c(b"", value)  # type: ignore[arg-type]


def test_text_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="data must be contiguous bytes, not str"):
        crc32c("text")  # type: ignore[arg-type]
