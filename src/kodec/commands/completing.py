"""`kodec completion`: what a shell needs to complete kodec's commands and options."""

import argparse

from . import usage


def add_to(commands: "argparse._SubParsersAction[usage.Parser]") -> None:
    """Add the command's parser."""
    completion = commands.add_parser(
        "completion", help="a script for a shell's completion", description=_COMPLETION
    )
    completion.add_argument("shell", choices=("bash", "zsh"))
    completion.set_defaults(run=complete)
    usage.add_global_options(completion)


def complete(options: argparse.Namespace) -> None:
    """Print the shell's script."""
    import shtab

    from .command_line import build_parser

    parser = build_parser()
    _complete_paths(parser)
    print(shtab.complete(parser, options.shell))


def _complete_paths(parser: argparse.ArgumentParser) -> None:
    import shtab

    for action in parser._actions:
        if action.type in (usage.path, usage.path_text):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        if isinstance(action, argparse._SubParsersAction):
            for part in action.choices.values():
                _complete_paths(part)


_COMPLETION = (
    "Print the script that lets a shell complete commands, options and files: for bash, "
    "`kodec completion bash > ~/.local/share/bash-completion/completions/kodec`."
)
