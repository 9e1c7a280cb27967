"""Readers of files from elsewhere under coverage-guided mutations: pictures, containers, models.

    pip install atheris
    python benchmarks/fuzz_readers.py container|picture|model CORPUS [-max_total_time=600 ...]

Half of the mutated inputs get right checksums and lengths of their outer parts. Further options are
libFuzzer's. CORPUS is a folder, made where it is missing, that begins with
small sound files and grows. Anything but an error of kodec's in one line ends the run with the
input in a file `crash-...`; so do an input that takes more than 10 seconds and a process above
1.5 GB.
"""

import inspect
import io
import json
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

try:
    import atheris
except ImportError:
    sys.exit("fuzz_readers.py: atheris is not installed: pip install atheris")

import numpy as np
from PIL import Image

import kodec.codecs.model_file as model_file
from forging import PREAMBLE_BYTES, seal, split
from kodec.codecs import ChunkReader, read_picture
from kodec.codecs.pictures.alpha import unpack_alpha
from kodec.codecs.pictures.picture_colour import unpack_colour
from kodec.native import KodecError

DAMAGED: tuple[Literal["refuse", "keep"], ...] = ("refuse", "keep")
INSTRUMENTED = (
    "kodec.codecs.pictures",
    "kodec.codecs.container",
    "kodec.codecs.model_file",
    "kodec.codecs.tensor_file",
    "kodec.codecs.file_kind",
    "kodec.codecs.building",
    "kodec.codecs.objective",
    "PIL.Png",
    "PIL.Tiff",
    "PIL.Bmp",
    "PIL.Ppm",
    "PIL.Jpeg",
    "PIL.Webp",
    "PIL.Avif",
)
LIMITS = ["-timeout=10", "-rss_limit_mb=1536", "-max_len=4096"]


def container(data: bytes) -> None:
    """All of a `.kdc` file that needs no model."""
    for damaged in DAMAGED:
        try:
            reader = ChunkReader(data, damaged=damaged)
            for _ in reader:
                pass
            unpack_colour(reader.metadata.get("colour", b""))
        except KodecError as error:
            check(error)
    try:
        unpack_alpha(data, 24, 40, 8)
    except KodecError as error:
        check(error)


def picture(data: bytes) -> None:
    """A picture of any format."""
    try:
        read_picture(io.BytesIO(data), max_pixels=1 << 20)
    except KodecError as error:
        check(error)


def model(data: bytes) -> None:
    """What a model file says of itself."""
    with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
        file.write(data)
        file.flush()
        try:
            model_file.read_model_info(Path(file.name))
        except KodecError as error:
            check(error)


def instrument() -> int:
    """Have atheris see what runs in our readers and Pillow's; how many functions that are.

    Not by its import hook, which an editable install goes past.
    """
    Image.init()
    count = 0
    for name, module in list(sys.modules.items()):
        if not name.startswith(INSTRUMENTED):
            continue
        for holder in [module, *filter(inspect.isclass, vars(module).values())]:
            for function in list(vars(holder).values()):
                function = getattr(function, "__func__", function)
                own = getattr(function, "__module__", "") == name
                if inspect.isfunction(function) and own:
                    atheris.instrument_func(function)
                    count += 1
    return count


def check(error: KodecError) -> None:
    """One line."""
    if "\n" in str(error):
        raise AssertionError(f"an error of several lines: {error!r}")


def seeds(target: str) -> Iterator[bytes]:
    """Sound files of a few hundred bytes, or the beginning of one."""
    if target == "model":
        yield small_model()
        return
    if target == "container":
        from container import sound_files

        yield from sound_files()
        return
    pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 4), np.uint8)
    for mode in ("1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "I;16"):
        image = Image.fromarray(pixels).convert("L" if mode == "I;16" else mode)
        image = image.convert("I").convert("I;16") if mode == "I;16" else image
        for kind in ("PNG", "TIFF", "BMP", "WEBP", "PPM", "JPEG", "AVIF"):
            out = io.BytesIO()
            try:
                image.save(out, kind)
            except (OSError, ValueError, KeyError):
                continue  # This format has no such samples.
            yield out.getvalue()
    head = b"P7\nWIDTH 2\nHEIGHT 1\nDEPTH 2\nMAXVAL 65535\nTUPLTYPE GRAYSCALE_ALPHA\nENDHDR\n"
    yield head + b"12345678"
    yield b"P5 2 1 1023\n\x03\xff\0\x01"


def small_model() -> bytes:
    """A file with all that the default model's says of itself, and one tensor."""
    from kodec.codecs import embedded_models

    with next(entry.path for entry in embedded_models()).open("rb") as file:
        head = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    tensor = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
    text = json.dumps({"__metadata__": head["__metadata__"], "a": tensor}).encode()
    return len(text).to_bytes(8, "little") + text + bytes(16)


def sealed_container(data: bytes) -> bytes:
    """With right checksums, as far as the chunks can be told apart."""
    try:
        return seal(data[:PREAMBLE_BYTES], split(data))
    except KodecError:
        return data


def sealed_picture(data: bytes) -> bytes:
    """A PNG with right checksums, anything else as it is."""
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    out, at = data[:8], 8
    while at + 8 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4])
        out += data[at:end] + zlib.crc32(data[at + 4 : end]).to_bytes(4)
        at = end + 4
    return out


def sealed_model(data: bytes) -> bytes:
    """With the right length of its text, and as many bytes of a tensor as were there at first."""
    text = data[8 : data.rfind(b"}") + 1]
    return len(text).to_bytes(8, "little") + text + bytes(16)


TARGETS: dict[str, tuple[Callable[[bytes], None], Callable[[bytes], bytes]]] = {
    "container": (container, sealed_container),
    "picture": (picture, sealed_picture),
    "model": (model, sealed_model),
}


def main() -> None:
    """Fill the corpus, then fuzz."""
    if len(sys.argv) < 3 or sys.argv[1] not in TARGETS:
        sys.exit(f"fuzz_readers.py: name a target ({', '.join(TARGETS)}) and a folder")
    target, folder = sys.argv[1], Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(seeds(target)):
        (folder / f"seed-{number}").write_bytes(data)
    print(f"{instrument()} functions are watched", file=sys.stderr)
    try_one, sealed = TARGETS[target]

    def mutated(data: bytes, max_size: int, seed: int) -> bytes:
        found: bytes = atheris.Mutate(data, max_size)
        return sealed(found)[:max_size] if seed & 1 else found

    arguments = [sys.argv[0], str(folder), *LIMITS, *sys.argv[3:]]
    atheris.Setup(arguments, try_one, custom_mutator=mutated)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
