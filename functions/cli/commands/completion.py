"""`postern completion`: a script that completes commands, options and their values in your shell."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

from functions.cli.invocation import Invocation

SHELLS = ("bash", "zsh", "fish", "tcsh")
"""The shells that run on the platforms Postern runs on, in the order the help lists them."""

EPILOG = """\
bash  eval "$(postern completion bash)"
zsh   postern completion zsh > ~/.zfunc/_postern     (~/.zfunc must be in $fpath)
fish  postern completion fish > ~/.config/fish/completions/postern.fish
tcsh  postern completion tcsh > ~/.postern.tcsh      (then `source` it in ~/.tcshrc)
"""


def add(commands: Any, shaped: argparse.ArgumentParser, whole: argparse.ArgumentParser) -> None:
    """Add the command. `whole` is the parser of the whole command line, which the script describes."""
    one = commands.add_parser(
        "completion",
        parents=[shaped],
        help="print a completion script for your shell",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    one.add_argument("shell", choices=SHELLS)
    one.set_defaults(run=partial(_completion, whole))


def _completion(whole: argparse.ArgumentParser, invocation: Invocation) -> None:
    import shtab  # late: no other command needs it

    shell = invocation.options.shell
    script = shtab.complete(whole, shell)
    invocation.terminal.result({"shell": shell, "script": script}, script)
