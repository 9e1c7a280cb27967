"""Data that can't be read: named, and refused or left out."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from kodec.eval import DatasetError
from kodec.native import InvalidInputError

# So many of what can't be used are named in one line.
_NAMED = 40


def without_unreadable(
    paths: Sequence[Path], troubles: Mapping[Path, str], what: str, leave_out: bool
) -> tuple[list[Path], list[str]]:
    """The paths without those that can't be read, and a note on these.

    troubles: by path, why it can't be read. what: they are, such as "training pictures". Raises
    `InvalidInputError` where they must not be left out, `DatasetError` where none is left.
    """
    if not troubles:
        return list(paths), []
    reasons = [trouble.partition("; ")[0] for trouble in troubles.values()]
    named = "; ".join(reasons[:_NAMED])
    if len(reasons) > _NAMED:
        named += f"; and {len(reasons) - _NAMED} others"
    count = f"{len(troubles)} of {len(paths)} {what} can't be read"
    usable = [path for path in paths if path not in troubles]
    if not leave_out:
        raise InvalidInputError(
            f"{count}: {named}; convert or remove them, or set data.leave_out_unreadable"
        )
    if not usable:
        raise DatasetError(f"{count}, so that none is left: {named}")
    return usable, [f"{count} and are left out: {named}"]
