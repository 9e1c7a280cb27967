"""The training configs that come with the package."""

from importlib.util import find_spec
from pathlib import Path


def packaged_configs() -> dict[str, Path]:
    """Their files by name."""
    # Not imported: Lightning takes seconds.
    package = find_spec("kodec.train")
    assert package is not None and package.origin is not None
    files = Path(package.origin).parent.glob("configs/*.yaml")
    return {path.stem: path for path in sorted(files)}
