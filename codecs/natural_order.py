"""Files in the order that people count in: `kodim2` before `kodim10`."""

import re
from pathlib import Path


def natural_key(path: Path) -> tuple[list[tuple[bool, int, str]], str]:
    """What files of a folder are sorted by: numbers in their names as numbers."""
    parts = re.findall(r"\d+|\D+", path.name)
    return [(p.isdecimal(), int(p) if p.isdecimal() else 0, p) for p in parts], path.name
