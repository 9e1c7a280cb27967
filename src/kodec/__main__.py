"""The command line: `kodec` and `python -m kodec`."""

import sys
from collections.abc import Sequence

from kodec.commands import run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with `arguments` (the process's own by default); return the exit status."""
    return run(sys.argv[1:] if arguments is None else arguments)


if __name__ == "__main__":
    sys.exit(main())
