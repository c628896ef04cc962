"""`postern completion`: a shell script that completes commands, verbs and options, made from the parser itself."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterator
from typing import Any

from functions.cli.invocation import Invocation


def add(commands: Any, shaped: argparse.ArgumentParser) -> None:
    """Add the command."""
    one = commands.add_parser(
        "completion",
        parents=[shaped],
        help="a completion script for your shell",
        epilog='bash, zsh: eval "$(postern completion bash)"    fish: postern completion fish | source',
    )
    one.add_argument("shell", choices=["bash", "zsh", "fish"])
    one.set_defaults(run=_completion)


def _completion(invocation: Invocation) -> None:
    from functions.cli.parser import build_parser  # late: the parser imports this file

    words = dict(candidates(build_parser()))
    script = {"bash": _bash, "zsh": _zsh, "fish": _fish}[invocation.options.shell](words)
    invocation.terminal.result({"shell": invocation.options.shell, "script": script}, script)


def candidates(parser: argparse.ArgumentParser, before: str = "") -> Iterator[tuple[str, list[str]]]:
    """For each position ("", "server", "server create") the words that may follow: commands, options, and the values
    of the positional and `--client` choices. Option values are keyed by position and option: "snippet --client"."""
    words: list[str] = []
    for action in parser._actions:  # argparse has no public way to ask
        if isinstance(action, argparse._SubParsersAction):
            words += action.choices
            for name, child in action.choices.items():
                yield from candidates(child, f"{before} {name}".strip())
        elif action.option_strings:
            words += action.option_strings
            if action.choices is not None:
                for option in action.option_strings:
                    yield f"{before} {option}".strip(), [str(choice) for choice in action.choices]
        elif action.choices is not None:
            words += [str(choice) for choice in action.choices]
    yield before, words


def _bash(words: dict[str, list[str]]) -> str:
    cases = "\n".join(
        f"    {shlex.quote(place)}) words={shlex.quote(' '.join(found))} ;;" for place, found in words.items()
    )
    return f"""\
_postern() {{
  local current="${{COMP_WORDS[COMP_CWORD]}}" place="" word words
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    _postern_words "${{place:+$place }}$word"
    case "$word" in -*) ;; *) [ -z "$words" ] || place="${{place:+$place }}$word" ;; esac
  done
  _postern_words "${{place:+$place }}${{COMP_WORDS[COMP_CWORD-1]}}"
  [ -n "$words" ] || _postern_words "$place"
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
_postern_words() {{
  case "$1" in
{cases}
    *) words="" ;;
  esac
}}
complete -o default -F _postern postern"""


def _zsh(words: dict[str, list[str]]) -> str:
    return "autoload -U +X compinit && compinit\nautoload -U +X bashcompinit && bashcompinit\n" + _bash(words)


def _fish(words: dict[str, list[str]]) -> str:
    cases = "\n".join(
        f"    case {shlex.quote(place)}\n      string split ' ' -- {shlex.quote(' '.join(found))}"
        for place, found in words.items()
    )
    return f"""\
function __postern_words
  switch "$argv"
{cases}
  end
end
function __postern_complete
  set -l place
  set -l previous
  for word in (commandline -opc)[2..-1]
    set previous $word
    string match -q -- '-*' $word; and continue
    test -n "$(__postern_words $place $word)"; and set -a place $word
  end
  set -l found (__postern_words $place $previous)
  test -n "$found"; or set found (__postern_words $place)
  printf '%s\\n' $found
end
complete -c postern -f -a '(__postern_complete)'"""
