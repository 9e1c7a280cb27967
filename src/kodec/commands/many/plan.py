"""Which files become which."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from kodec.codecs import storage
from kodec.native import InvalidInputError


@dataclass(frozen=True)
class FileTask:
    """An input, its output, and the input's state when the work was planned (None: absent)."""

    input: str
    output: str
    state: str | None


def plan(
    inputs: Iterable[str],
    folder: str,
    recursive: bool,
    taken: frozenset[str],
    suffix: str,
) -> list[FileTask]:
    """A task for each input, in their order; of a folder for each file whose suffix is `taken`.

    Outputs lie in `folder` under the input's name with another suffix; what comes from a folder
    keeps its place below that. Raises InvalidInputError where two inputs would have one output,
    an output is an input, or there is nothing to do.
    """
    owners: dict[str, str] = {}
    tasks = []
    for name, relative, state in _found(inputs, recursive, taken):
        output = storage.join(folder, str(PurePosixPath(relative).with_suffix(suffix)))
        other = owners.setdefault(output, name)
        if other != name:
            raise InvalidInputError(
                f"{other} and {name} would both become {output}: code them in two calls"
            )
        tasks.append(FileTask(name, output, state))
    clash = next((owners[task.input] for task in tasks if task.input in owners), None)
    if clash is not None:
        raise InvalidInputError(
            f"the output of {clash} is another input: name another --output-dir"
        )
    if not tasks:
        raise InvalidInputError(
            f"nothing to do: no files in the folders named end in {' '.join(sorted(taken))}"
            + ("" if recursive else "; --recursive looks into folders in them, too")
        )
    return list(dict.fromkeys(tasks))


def _found(
    inputs: Iterable[str], recursive: bool, taken: frozenset[str]
) -> Iterator[tuple[str, str, str | None]]:
    """Names, where they lie below the folder that was named, and states."""
    for named in inputs:
        name = storage.local(named)
        state = storage.state_of(name)
        if storage.is_folder(name):
            for relative, state in storage.files_in(name, recursive):
                if PurePosixPath(relative).suffix.lower() in taken:
                    yield storage.join(name, relative), relative, state
        else:
            # One that is absent fails when its turn comes, as a broken one does.
            yield name, PurePosixPath(name.replace("\\", "/")).name, state
