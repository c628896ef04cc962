"""`postern completion`: a script that completes commands, options and their values in your shell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from functions.cli.command import Shared, argument, declaration
from functions.cli.invocation import Invocation
from functions.cli.program import NAME

Shell = Literal["bash", "zsh", "fish"]
SHELLS: tuple[Shell, ...] = get_args(Shell)
"""The shells that run on the platforms Postern runs on, in the order the help lists them."""

INSTALL = """\
bash  eval "$(postern completion bash)"
zsh   postern completion zsh > ~/.zfunc/_postern     (~/.zfunc must be in $fpath)
fish  postern completion fish > ~/.config/fish/completions/postern.fish

The script asks the endpoint in use for the names of servers, accounts, tags and tools.
"""

ZSH_END = f"""
if [[ "$funcstack[1]" == "_{NAME}" ]]; then
  _cyclopts_{NAME} "$@"
else
  compdef _cyclopts_{NAME} {NAME}
fi
"""
"""Makes the script work as a file of $fpath under the usual name, which zsh runs, and when it is sourced."""

COMPLETION = declaration("completion", more=INSTALL)


@dataclass(frozen=True, kw_only=True)
class Completion(Shared):
    """The words of `completion`."""

    shell: Shell = argument("SHELL", ", ".join(SHELLS))


@COMPLETION.alone(Completion)
def _completion(invocation: Invocation[Completion]) -> None:
    from functions.cli.parser import build_parser  # late: the parser loads this file

    shell = invocation.options.shell
    script = build_parser().generate_completion(prog_name=NAME, shell=shell) + (ZSH_END if shell == "zsh" else "")
    invocation.terminal.result({"shell": shell, "script": script}, script)
