import random
import tracemalloc
from dataclasses import replace

import pytest

from kodec.codecs.container import (
    MAGIC,
    MAX_METADATA_BYTES,
    MAX_SIDE,
    PictureHeader,
    read_container,
    write_container,
)
from kodec.codecs.container.varint import write_varint
from kodec.native import BitstreamError, InvalidInputError, KodecError, UnsupportedError, crc32c

HEADER = PictureHeader(
    width=768,
    height=512,
    components=3,
    quality=32,
    model_id=bytes(range(8)),
    portability="guarded",
)
DIVIDED = replace(HEADER, planes=3)
PACKETS = (b"first packet", b"", b"third")
METADATA = {"icc": b"profile", "exif": b"MM\0*orientation"}
FILE = write_container(DIVIDED, PACKETS, METADATA)
HEAD_END = 4 + 1 + 1 + 1 + FILE[6] + 4


def forged(
    head: bytes, *chunks: tuple[bytes, bytes], version: int = 0, end: bytes | None = None
) -> bytes:
    """A file of any contents whose checksums are valid; one packet unless `chunks` say else.

    end: the end chunk's payload, for files that have one.
    """
    data = MAGIC + bytes([version]) + b"H" + write_varint(len(head)) + head
    crc = seed = crc32c(data)
    data += crc.to_bytes(4, "little")
    packets = 0
    for kind, payload in chunks or ((b"P", b"packet"),):
        body = kind + write_varint(len(payload)) + payload
        crc = crc32c(body, seed ^ packets)
        data += body + crc.to_bytes(4, "little")
        if kind == b"P":
            packets += 1
        elif not packets:
            seed = crc
    if end is not None:
        body = b"E" + write_varint(len(end)) + end
        crc = crc32c(body, crc32c(packets.to_bytes(4, "little"), seed))
        data += body + crc.to_bytes(4, "little")
    return data


def head(**changes: bytes) -> bytes:
    fields = {
        "kind": b"\x01",
        "width": write_varint(5),
        "height": write_varint(7),
        "samples": b"\x37",
        "colour": b"\0",
        "quality": b"\x20",
        "model_id": bytes(8),
        "planes": b"\x01",
        "more": b"",
    }
    assert set(changes) <= set(fields)
    return b"".join((fields | changes).values())


@pytest.mark.parametrize(
    "header",
    [
        HEADER,
        replace(HEADER, width=1, height=1, components=1, quality=None, portability="exact"),
        replace(HEADER, width=MAX_SIDE, height=1, quality=0, portability="local"),
        replace(HEADER, portability="local", machine=bytes(range(64)), planes=16),
        replace(HEADER, width=20000, height=10001, quality=63, tile=(1024, 512), planes=2),
    ],
)
@pytest.mark.parametrize("metadata", [{}, {"exif": b""}, METADATA])
def test_round_trip(header: PictureHeader, metadata: dict[str, bytes]) -> None:
    packets = tuple(bytes([n % 256]) * (n % 7) for n in range(header.packets))
    container = read_container(write_container(header, packets, metadata))
    assert container.header == header
    assert container.packets == packets
    assert container.metadata == metadata


def test_packets_are_the_planes_of_one_tile_after_the_other() -> None:
    header = replace(HEADER, tile=(256, 300), planes=2)
    assert (header.grid, header.packets) == ((3, 2), 12)
    places = [header.place(number) for number in range(12)]
    assert places[:5] == [(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0), (0, 2, 0)]
    assert places[6:8] == [(0, 0, 1), (1, 0, 1)] and len(set(places)) == 12
    with pytest.raises(InvalidInputError, match="12 packets"):
        header.place(12)


def test_a_plain_picture_costs_at_most_40_bytes() -> None:
    assert len(write_container(HEADER, [bytes(100)])) - 100 == 34
    assert len(write_container(HEADER, [bytes(16000)])) - 16000 == 35
    large = replace(HEADER, width=20000, height=20000)
    assert len(write_container(large, [bytes(1 << 20)])) - (1 << 20) == 38
    tiled = replace(large, tile=(2500, 2500))
    assert len(write_container(tiled, [bytes(20000)] * 64)) - 64 * 20000 == 34 + 8 + 64 * 8


def test_the_bytes_of_version_0_stay_what_they_are() -> None:
    expected = "d74b44430048110180068004370020000102030405060701"
    data = write_container(HEADER, [b"\xaa\xbb"])
    assert data.hex().startswith(expected)
    head_crc = crc32c(data[:24])
    assert data[24:28] == head_crc.to_bytes(4, "little")
    assert data[28:32] == b"P\x02\xaa\xbb"
    assert data[32:] == crc32c(b"P\x02\xaa\xbb", head_crc).to_bytes(4, "little")


def test_every_change_of_one_byte_is_an_error() -> None:
    for position in range(len(FILE)):
        # Every value in the head, every single bit and some others behind it.
        changes = range(1, 256) if position < HEAD_END else {1 << n for n in range(8)} | {position}
        for change in changes:
            value = FILE[position] ^ change & 0xFF
            changed = FILE[:position] + bytes([value]) + FILE[position + 1 :]
            with pytest.raises(KodecError):
                read_container(changed)


def test_every_truncation_and_extension_is_an_error() -> None:
    for length in range(len(FILE)):
        with pytest.raises(BitstreamError):
            read_container(FILE[:length])
    for extra in (b"\0", b"P", FILE, FILE[HEAD_END:]):
        with pytest.raises(BitstreamError):
            read_container(FILE + extra)


def test_random_mutations_are_errors() -> None:
    generator = random.Random(1)
    for _ in range(3000):
        data = bytearray(FILE)
        for _ in range(generator.randint(1, 4)):
            a, b = sorted(generator.randrange(len(data) + 1) for _ in range(2))
            c = generator.randrange(len(data) + 1)
            choice = generator.randrange(4)
            if choice == 0:
                data[a:b] = generator.randbytes(b - a)
            elif choice == 1:
                del data[a:b]
            elif choice == 2:
                data[c:c] = data[a:b]
            else:
                data[a:b] = bytes(b - a)
        if bytes(data) != FILE:
            with pytest.raises(KodecError):
                read_container(bytes(data))


def test_swapped_and_foreign_packets_are_errors() -> None:
    two = replace(HEADER, planes=2)
    size, end = 4 + 1 + 1 + 4, 8
    *fronts, a, b, e = cut(write_container(two, [b"aaaa", b"bbbb"]), size, size, end)
    _, a2, b2, e2 = cut(
        write_container(replace(two, quality=33), [b"aaaa", b"bbbb"]), size, size, end
    )
    for chunks in ((b, a, e), (a, a, e), (a, b2, e), (a2, b, e), (b, e), (a, b, e2)):
        with pytest.raises(BitstreamError, match="checksum"):
            read_container(b"".join((*fronts, *chunks)))
    for wrong in ((a, e), (a, b), (a, b, a, e), (a, b, e, e), (a, b, e, a), (e,), (e, a, b)):
        with pytest.raises(BitstreamError):
            read_container(b"".join((*fronts, *wrong)))


def cut(data: bytes, *sizes: int) -> list[bytes]:
    """The last `sizes` bytes as pieces of their own, after what precedes them."""
    ends = [len(data) - sum(sizes[n:]) for n in range(len(sizes))] + [len(data)]
    return [data[: ends[0]], *(data[a:b] for a, b in zip(ends, ends[1:], strict=False))]


def test_claimed_lengths_allocate_nothing() -> None:
    huge = write_varint((1 << 35) - 1) + b"x" * 50
    files = [FILE[:HEAD_END] + kind + huge for kind in (b"P", b"e", b"z", b"Z")]
    files += [MAGIC + b"\0H" + huge]
    files += [FILE[:HEAD_END] + b"e" + write_varint(MAX_METADATA_BYTES) + b"x" * 50]
    files += [forged(head(width=write_varint(1 << 15), height=write_varint((1 << 15) + 1)))]
    tile = write_varint(1)
    files += [forged(head(kind=b"\x05", more=tile + tile))]
    wide = {"width": write_varint(1 << 15), "height": write_varint(1 << 15)}
    files += [forged(head(kind=b"\x05", **wide, more=tile + tile))]
    files += [forged(head(planes=b"\x02"), end=2 * write_varint((1 << 32) - 1))]
    tracemalloc.start()
    try:
        for data in files:
            with pytest.raises(KodecError):
                read_container(data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 17
    finally:
        tracemalloc.stop()


def test_an_unknown_optional_chunk_is_skipped() -> None:
    data = forged(head(), (b"i", b"an index of the future"), (b"e", b"exif"), (b"P", b"packet"))
    container = read_container(data)
    assert container.packets == (b"packet",)
    assert container.metadata == {"exif": b"exif"}
    with pytest.raises(BitstreamError, match="checksum of chunk 'i'"):
        read_container(data.replace(b"future", b"futurE"))


def test_an_unknown_mandatory_chunk_is_refused_by_name() -> None:
    data = forged(head(), (b"Z", b"what pixels mean"), (b"P", b"packet"))
    with pytest.raises(UnsupportedError, match="chunk type 'Z'.*update kodec"):
        read_container(data)


@pytest.mark.parametrize("kind", [b"e", b"i", b"H", b"Z"])
def test_nothing_but_packets_follows_a_packet(kind: bytes) -> None:
    data = forged(head(planes=b"\x02"), (b"P", b"a"), (kind, b"x"), (b"P", b"b"), end=b"\2\0")
    with pytest.raises(BitstreamError, match=f"chunk '{kind.decode()}' stands"):
        read_container(data)
    with pytest.raises(BitstreamError, match="bytes follow the last packet"):
        read_container(forged(head(), (b"P", b"a"), (kind, b"x")))


def test_a_chunk_that_was_cut_out_is_missed() -> None:
    data = forged(head(), (b"i", b"cut"), (b"P", b"packet"))
    begin = data.index(b"i\x03cut")
    with pytest.raises(BitstreamError, match="checksum of chunk 'P'"):
        read_container(data[:begin] + data[begin + 9 :])


@pytest.mark.parametrize(
    ("kind", "message"), [(b"e", "two exif"), (b"H", "two heads"), (b"!", "no chunk type")]
)
def test_chunks_stand_once_and_have_letters(kind: bytes, message: str) -> None:
    with pytest.raises(BitstreamError, match=message):
        read_container(forged(head(), (b"e", b"x"), (kind, b"x"), (b"P", b"packet")))


def test_the_head_stands_first() -> None:
    body = MAGIC + b"\0P\x01x"
    with pytest.raises(BitstreamError, match="begin with its head"):
        read_container(body + crc32c(body).to_bytes(4, "little"))


def test_the_forged_head_of_these_tests_is_sound() -> None:
    assert read_container(forged(head())).packets == (b"packet",)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"kind": b"\x11"}, UnsupportedError, "holds a video"),
        ({"kind": b"\x21"}, UnsupportedError, "holds a fitted network"),
        ({"kind": b"\x31"}, UnsupportedError, "kind 3"),
        ({"kind": b"\x09"}, UnsupportedError, "flags 2"),
        ({"kind": b"\x03"}, UnsupportedError, "portability class 3"),
        ({"width": b"\0"}, BitstreamError, "width is 1 to 16777216 pixels, not 0"),
        ({"height": write_varint(MAX_SIDE + 1)}, BitstreamError, "height is 1 to"),
        ({"height": b"\x87\x00"}, BitstreamError, "more bytes than it needs"),
        ({"samples": b"\x47"}, UnsupportedError, "4 components of 8 bits"),
        ({"samples": b"\x3b"}, UnsupportedError, "3 components of 12 bits"),
        ({"colour": b"\x01"}, UnsupportedError, "colour system 1"),
        ({"quality": b"\x40"}, BitstreamError, "not 64"),
        ({"model_id": bytes(7), "planes": b""}, BitstreamError, "too short"),
        ({"planes": b""}, BitstreamError, "too short"),
        ({"planes": b"\0"}, BitstreamError, "planes, not 0"),
        ({"planes": b"\x11"}, BitstreamError, "planes, not 17"),
        ({"planes": b"\x02"}, BitstreamError, "after 1 of 2 packets"),
        ({"more": b"\x01"}, BitstreamError, "longer than it should be"),
        ({"kind": b"\x05"}, BitstreamError, "middle of a number"),
        ({"kind": b"\x05", "more": b"\0\1"}, BitstreamError, "tile's width is 1 to"),
        ({"kind": b"\x05", "more": b"\5\4"}, BitstreamError, "after 1 of 2 packets"),
        ({"kind": b"\x02", "more": b"\3ab"}, BitstreamError, "too short"),
        ({"kind": b"\x02", "more": write_varint(65) + bytes(65)}, BitstreamError, "at most 64"),
        ({"kind": b"\x01", "more": b"\2ab"}, BitstreamError, "longer"),
    ],
)
def test_impossible_heads_with_a_valid_checksum(
    changes: dict[str, bytes], error: type[KodecError], message: str
) -> None:
    with pytest.raises(error, match=message):
        read_container(forged(head(**changes)))
    for length in range(len(head())):
        with pytest.raises(KodecError):
            read_container(forged(head()[:length]))


def test_the_number_of_pixels_is_limited() -> None:
    data = write_container(HEADER, [b"x"])
    assert read_container(data, max_pixels=768 * 512).header == HEADER
    with pytest.raises(UnsupportedError, match="768x512 pixels, above the limit of 393215"):
        read_container(data, max_pixels=768 * 512 - 1)


def test_another_format_version_is_named() -> None:
    with pytest.raises(UnsupportedError, match="format version 7"):
        read_container(forged(head(), version=7))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "not a kodec file \\(it is empty\\)"),
        (b"\x89PNG\r\n\x1a\n" + bytes(30), "not a kodec file \\(it looks like a PNG picture\\)"),
        (b"\xff\xd8\xff\xe0" + bytes(30), "JPEG"),
        (b"RIFF\x10\0\0\0WEBPVP8 ", "WebP"),
        (b"GIF89a" + bytes(30), "GIF"),
        (b"\0\0\0\x20ftypisom" + bytes(30), "MP4"),
        (b"\0\0\0\x20ftypavif" + bytes(30), "AVIF"),
        (b"PK\x03\x04" + bytes(30), "zip archive"),
        (b'\x40\0\0\0\0\0\0\0{"a":', "safetensors"),
        ("Grüße".encode() * 200, "text"),
        (b"P6 1 1 255\nabc", "PPM"),
        (b"\x01\x02\x03\x04\x05", "not a kodec file$"),
        (MAGIC[:2], "truncated: only 2 bytes"),
        (MAGIC + b"\0", "truncated: only 5 bytes"),
    ],
)
def test_foreign_files_are_recognised(data: bytes, message: str) -> None:
    with pytest.raises(BitstreamError, match=message):
        read_container(data)


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 0},
        {"height": MAX_SIDE + 1},
        {"components": 4},
        {"quality": 64},
        {"quality": -1},
        {"model_id": bytes(7)},
        {"portability": "somewhere"},
        {"bit_depth": 12},
        {"planes": 17},
        {"tile": (0, 5)},
        {"tile": (1, 1), "planes": 3},
        {"machine": b"x"},
        {"portability": "local", "machine": bytes(65)},
    ],
)
def test_a_header_out_of_range_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidInputError):
        replace(HEADER, **changes)  # type: ignore[arg-type]


def test_what_cannot_be_written_is_refused() -> None:
    for packets in ([], [b""] * 2):
        with pytest.raises(InvalidInputError, match="packets"):
            write_container(HEADER, packets)
    with pytest.raises(InvalidInputError, match="'text'"):
        write_container(HEADER, [b""], {"text": b""})
    with pytest.raises(InvalidInputError, match="exif metadata take 16777217 bytes"):
        write_container(HEADER, [b""], {"exif": bytes(MAX_METADATA_BYTES + 1)})
