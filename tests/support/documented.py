"""Pages of the documentation whose commands are run: what they print is held to what they show."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str, language: str) -> list[str]:
    """The page's fenced blocks in a language, in order."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def indented_commands(text: str) -> list[list[str]]:
    """The arguments of kodec's commands in the indented blocks of a page and in its consoles, those
    aside that leave something out (`...`)."""
    joined = text.replace("\\\n", " ")
    lines = re.findall(r"^(?:    |\$ )(.*)$", joined, re.MULTILINE)
    found = []
    for line in lines:
        for command in re.split(r" \| | > ", re.sub(r"(^|\s)#.*", "", line)):
            words = shlex.split(command) if command.count("'") % 2 == 0 else []
            while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
                words = words[1:]
            if words[:1] == ["kodec"] and "..." not in words:
                found.append(words[1:])
    return found


def run_console(page: str, folder: Path, **environment: str) -> None:
    """Run the commands of a page's console blocks in one shell; compare what they print.

    Shown lines are the first ones of what is printed. A line may end in `...`, and its numbers may
    differ by 2 %, as instruction sets and versions of libraries do.
    """
    shown: list[tuple[str, list[str]]] = []
    for line in "".join(blocks(page, "console")).splitlines():
        if line.startswith("$ "):
            shown.append((line[2:], []))
        else:
            shown[-1][1].append(line)
    script = "set -e\n" + "".join(
        f"echo '#{number}'\n{command}\n" for number, (command, _) in enumerate(shown)
    )
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": path, "OMP_NUM_THREADS": "1", **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    printed = re.split(r"^#\d+\n", done.stdout, flags=re.MULTILINE)[1:]
    assert len(printed) == len(shown)
    for (command, expected), output in zip(shown, printed, strict=True):
        lines = output.splitlines()
        assert len(lines) >= len(expected), command
        for line, found in zip(expected, lines, strict=False):
            assert alike(line, found), f"{command}\nshown:   {line}\nprinted: {found}"


def alike(shown: str, printed: str) -> bool:
    """Whether a printed line is what is shown, up to 2 % of each number."""
    if shown.endswith("..."):
        return printed.startswith(shown.removesuffix("..."))
    number = re.compile(r"[+-]?\d[\d,]*(?:\.\d+)?")
    if number.sub("#", shown) != number.sub("#", printed):
        return False
    pairs = zip(number.findall(shown), number.findall(printed), strict=True)
    values = [[float(text.replace(",", "")) for text in pair] for pair in pairs]
    return all(abs(a - b) <= 0.02 * max(abs(a), abs(b)) + 1e-9 for a, b in values)
