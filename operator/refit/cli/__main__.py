"""`kubectl refit`: reads the words, asks as the person, prints the answer. No error is a traceback."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import yaml

from refit.api.objects import UnreadableError
from refit.cli import completion
from refit.cli.arguments import parser
from refit.cli.completion import Names
from refit.cli.session import DONE, PROBLEM, Result, Session, StopError, system_namespace
from refit.cli.terminal import Terminal, colours, printable
from refit.kube.answers import RefusalError
from refit.kube.cluster import ClusterError

INTERRUPTED = 130
BY_POLICY = "denied request: "
"""What stands before a policy's own words; they are enough."""


def main() -> int:
    """The console script kubectl-refit."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # what it is at a process's start
    # A handler of our own: asyncio's would let a question at the terminal go on after Ctrl-C.
    signal.signal(signal.SIGINT, _interrupted)
    is_terminal = sys.stdout.isatty()
    terminal = Terminal(
        out=sys.stdout,
        err=sys.stderr,
        ask=input if sys.stdin.isatty() and is_terminal else None,
        colours=colours("auto", os.environ, is_terminal),
    )
    try:
        return run(sys.argv[1:], terminal)
    except BrokenPipeError:  # `kubectl refit ... | head` read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE


def _interrupted(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def complete() -> int:
    """The console script kubectl_complete-refit, which kubectl calls for completion."""
    code = run([completion.ASK, *sys.argv[1:]], Terminal(out=sys.stdout, err=sys.stderr))
    print(completion.NO_FILES)  # noqa: T201  # a command's answer
    return code


def run(words: Sequence[str], terminal: Terminal, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> int:
    """One command, its exit code."""
    if words[:1] == [completion.ASK]:
        for word in completion.candidates(parser(), words[1:], _names):
            terminal.say(word)
        return DONE
    try:
        given = parser().parse_args(words)
    except SystemExit as end:  # a wrong word, or --help
        return int(end.code or 0)
    if given.command == "completion":
        terminal.say(completion.SCRIPTS[given.shell].rstrip("\n"))
        return DONE
    return _run(given, terminal if given.color == "auto" else replace(terminal, colours=False), now)


def _run(given: Namespace, terminal: Terminal, now: Callable[[], datetime]) -> int:
    try:
        found = asyncio.run(_answer(given, terminal, now))
        terminal.say(_shown(found, given.output))
    except StopError as error:
        terminal.complain(printable(error))
        return error.code
    except RefusalError as error:
        terminal.complain(f"refused: {printable(str(error).rpartition(BY_POLICY)[2])}")
        return PROBLEM
    except (ClusterError, UnreadableError) as error:
        terminal.complain(printable(error))
        return PROBLEM
    except (KeyboardInterrupt, EOFError):
        terminal.complain("interrupted; nothing more was done")
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001  # a person at a terminal gets a line, whatever it is
        terminal.complain(
            f"{type(error).__name__}: {printable(error)}; this is a defect of the plugin, please report it"
        )
        return PROBLEM
    return found.code


async def _answer(given: Namespace, terminal: Terminal, now: Callable[[], datetime]) -> Result:
    if given.alone is not None:
        alone: Result = given.alone(given)
        return alone
    from refit.kube.person import Person  # noqa: PLC0415  # two seconds, which words alone need not wait

    async with await Person.of(given.kubeconfig, given.context) as person:
        session = Session(
            person=person,
            named=given.namespace,
            everywhere=getattr(given, "all_namespaces", False),
            system=system_namespace(given.system_namespace),
            terminal=terminal,
            now=now(),
            clock=now,
            for_people=given.output == "table",
        )
        found: Result = await given.run(session, given)
        return found


def _shown(found: Result, output: str) -> str:
    if output == "json":
        return json.dumps(found.data, indent=2, ensure_ascii=True, default=str)
    if output == "yaml":
        return yaml.safe_dump(
            json.loads(json.dumps(found.data, default=str)), sort_keys=False, allow_unicode=False
        ).rstrip()
    return found.text


def _names(of: Names, before: Sequence[str]) -> Iterable[str]:
    """Names of the cluster, in the namespace that the words so far name; none if it can not be asked."""
    given, _ = parser().parse_known_args(["status", *_chosen(before)])

    async def asked() -> list[str]:
        from refit.kube.person import Person  # noqa: PLC0415  # as above

        async with await Person.of(given.kubeconfig, given.context) as person:
            session = Session(
                person=person,
                named=given.namespace,
                everywhere=False,
                system=system_namespace(given.system_namespace),
                terminal=Terminal(out=sys.stdout, err=sys.stderr),
                now=datetime.now(UTC),
                clock=lambda: datetime.now(UTC),
            )
            models = [one.name for one in await session.models()] if of is not Names.REQUEST else []
            requests = [one.name for one in await session.requests() if one.open] if of is not Names.MODEL else []
            return [*models, *requests]

    try:
        return asyncio.run(asked())
    except Exception:  # noqa: BLE001  # completion never speaks up
        return ()


def _chosen(words: Sequence[str]) -> list[str]:
    """Of the words so far those that say which cluster and namespace."""
    wanted = ("-n", "--namespace", "--context", "--kubeconfig")
    return [word for one, two in pairwise(words) if one in wanted for word in (one, two)]


if __name__ == "__main__":
    sys.exit(main())
