"""EXIF in TIFF files, where its tags stand among those that describe the file's own layout."""

import struct
import warnings

from PIL import ExifTags, Image, TiffImagePlugin

_EXIF_PREFIX = b"Exif\0\0"
_ORIENTATION = int(ExifTags.Base.Orientation)

# Tags of the first directory that describe the picture and not the layout of one file.
_DESCRIPTIVE = frozenset(
    int(tag)
    for tag in (
        ExifTags.Base.ImageDescription,
        ExifTags.Base.Make,
        ExifTags.Base.Model,
        ExifTags.Base.Orientation,
        ExifTags.Base.Software,
        ExifTags.Base.DateTime,
        ExifTags.Base.Artist,
        ExifTags.Base.HostComputer,
        ExifTags.Base.Rating,
        ExifTags.Base.RatingPercent,
        ExifTags.Base.Copyright,
    )
)
_DIRECTORIES = (int(ExifTags.IFD.Exif), int(ExifTags.IFD.GPSInfo))

# Pillow turns a TIFF while loading it; these turn it back.
_UNDO = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def exif_from_tiff(image: Image.Image) -> bytes | None:
    """Return the descriptive tags of a TIFF not yet loaded as an EXIF block, None if it has none
    or is no TIFF."""
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return None
    exif = _descriptive(image.getexif())
    return exif.tobytes().removeprefix(_EXIF_PREFIX) if len(exif) else None


def exif_to_tiff(block: bytes) -> tuple[bytes | None, str]:
    """Return what of an EXIF block a TIFF file carries, or None, and in words what it does not.

    The words are empty if nothing is lost. Raises nothing on a damaged block: its loss is told.
    Not to be called by two threads at a time (Python's warning filters are the process's).
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of damage and goes on with what it has got.
            warnings.simplefilter("error")
            source = Image.Exif()
            source.load(block)
            exif = _descriptive(source)
            # Values that cannot be written are met here, not while the TIFF is written.
            kept = exif.tobytes()
    except (
        UserWarning,
        SyntaxError,
        ValueError,
        LookupError,
        TypeError,
        OSError,
        EOFError,
        struct.error,
    ):
        return None, "its EXIF, which is damaged"
    dropped = sorted(set(source) - set(exif))
    words = f"EXIF tags {', '.join(map(str, dropped))}" if dropped else ""
    return (kept if len(exif) else None), words


def undo_orientation(image: Image.Image) -> Image.Transpose | None:
    """Return what turns the pixels of a TIFF back to how they are stored, once it is loaded.

    None if nothing has to be done or the picture is no TIFF.
    """
    if not isinstance(image, TiffImagePlugin.TiffImageFile):
        return None
    return _UNDO.get(image.getexif().get(_ORIENTATION, 1))


def _descriptive(source: Image.Exif) -> Image.Exif:
    exif = Image.Exif()
    for tag in source:
        if tag in _DESCRIPTIVE:
            exif[tag] = source[tag]
        elif tag in _DIRECTORIES:
            directory = source.get_ifd(tag)
            if directory:
                exif[tag] = dict(directory)
    return exif
