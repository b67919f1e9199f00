"""Completion: which words may come next, found in the parser itself; names are asked of the cluster.

Shells call `kubectl-refit __complete WORD...`; kubectl calls `kubectl_complete-refit WORD...` (both are installed).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Sequence
from enum import Enum

ASK = "__complete"
NO_FILES = ":4"
"""The last line of kubectl_complete-*: cobra's directive not to offer files."""


class Names(Enum):
    """What the names of an argument are names of."""

    MODEL = "models"
    REQUEST = "requests"
    EITHER = "models and requests"


SCRIPTS = {
    "bash": f"""\
_kubectl_refit() {{
  local IFS=$'\\n'
  COMPREPLY=($(kubectl-refit {ASK} "${{COMP_WORDS[@]:1:COMP_CWORD}}" 2>/dev/null))
}}
complete -o default -F _kubectl_refit kubectl-refit
""",
    "zsh": f"""\
#compdef kubectl-refit
_kubectl_refit() {{
  local -a found
  found=("${{(@f)$(kubectl-refit {ASK} "${{(@)words[2,CURRENT]}}" 2>/dev/null)}}")
  compadd -a found
}}
compdef _kubectl_refit kubectl-refit
""",
    "fish": f"""\
function __kubectl_refit
  set -l words (commandline -opc) (commandline -ct)
  kubectl-refit {ASK} $words[2..-1] 2>/dev/null
end
complete -c kubectl-refit -f -a '(__kubectl_refit)'
""",
}


def candidates(
    parser: argparse.ArgumentParser, words: Sequence[str], names: Callable[[Names, Sequence[str]], Iterable[str]]
) -> list[str]:
    """What the last word may be, given those before; `names` gives those of the cluster."""
    *before, last = words or ("",)
    commands = _commands(parser)
    if not before:
        return sorted(name for name in commands if name.startswith(last))
    command = commands.get(before[0])
    if command is None:
        return []
    return sorted(word for word in _possible(command, before, last, names) if word.startswith(last))


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:  # noqa: SLF001  # argparse tells what it parses nowhere else
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001  # as above
            return dict(action.choices)
    return {}


def _possible(
    command: argparse.ArgumentParser,
    before: Sequence[str],
    last: str,
    names: Callable[[Names, Sequence[str]], Iterable[str]],
) -> Iterable[str]:
    actions = command._actions  # noqa: SLF001  # as above
    options = {option: action for action in actions for option in action.option_strings}
    waiting = options.get(before[-1])
    if waiting is not None and waiting.nargs != 0:
        return _values(waiting, before, names)
    if last.startswith("-"):
        return (option for option in options if option.startswith("--") or len(last) == 1)
    positional = [action for action in actions if not action.option_strings]
    taken = _positionals(before[1:], options)
    if taken >= len(positional):
        return ()
    return _values(positional[taken], before, names)


def _values(
    action: argparse.Action, before: Sequence[str], names: Callable[[Names, Sequence[str]], Iterable[str]]
) -> Iterable[str]:
    if action.choices is not None:
        return map(str, action.choices)
    of = getattr(action, "names", None)
    return names(of, before) if of is not None else ()


def _positionals(words: Sequence[str], options: dict[str, argparse.Action]) -> int:
    """How many of the words are arguments by place."""
    count, skip = 0, False
    for word in words:
        if skip:
            skip = False
        elif word.startswith("-"):
            option = options.get(word)
            skip = option is not None and option.nargs != 0
        else:
            count += 1
    return count
