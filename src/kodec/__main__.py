"""The command line: `kodec` and `python -m kodec`."""

import argparse
import sys
from collections.abc import Sequence

from kodec import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with `arguments` (the process's own by default); return the exit status."""
    parser = argparse.ArgumentParser(prog="kodec", description=sys.modules["kodec"].__doc__)
    parser.add_argument("--version", action="version", version=f"kodec {__version__}")
    parser.parse_args(arguments)
    parser.print_usage(sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
