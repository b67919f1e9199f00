"""Arguments: the commands of `kubectl refit`, their names and options. Completion is made from the same parser."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from refit.cli import bundle
from refit.cli.ask import promote, retrain, rollback, undo
from refit.cli.audit import audit
from refit.cli.completion import SCRIPTS, Names
from refit.cli.decide import approve, reject
from refit.cli.doctor import doctor
from refit.cli.explain import explain
from refit.cli.freeze import freeze, unfreeze
from refit.cli.history import diff, history
from refit.cli.replay import replay
from refit.cli.reports import KINDS, report
from refit.cli.session import MISUSE, Result, Session
from refit.cli.status import requests, status
from refit.cli.trace import trace

Run = Callable[[Session, argparse.Namespace], Awaitable[Result]]
METAVARS = {Names.MODEL: "MODEL", Names.REQUEST: "REQUEST", Names.EITHER: "NAME"}


class Parser(argparse.ArgumentParser):
    """Its refusal is one line and how to go on."""

    def error(self, message: str) -> NoReturn:
        self.exit(MISUSE, f"kubectl refit: {message}; see {self.prog} --help\n")


class Command:
    """One command while it is put together."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._parser = parser

    def takes(self, names: Names, *, optional: bool = False) -> Command:
        """The name of an object, as its argument by place."""
        return self.option("name", names=names, metavar=METAVARS[names], nargs="?" if optional else None)

    def option(self, *words: str, names: Names | None = None, **how: Any) -> Command:
        """An argument as argparse takes it; `names` says what completion offers for it."""
        self._parser.add_argument(*words, **how).names = names  # type: ignore[attr-defined]  # for completion
        return self

    def everywhere(self) -> Command:
        return self.option("-A", "--all-namespaces", action="store_true", help="in all namespaces")

    def decides(self, *, needs_reason: bool) -> None:
        self.takes(Names.REQUEST)
        self.option("--reason", required=needs_reason, help="why; it is kept with the decision")
        self.option("-y", "--yes", action="store_true", help="do not ask me again")

    def asks(self) -> Command:
        return self.takes(Names.MODEL).option("--reason", default="", help="why; it is kept as the request's note")

    def evidence(self) -> Command:
        """What rows of the audit are held against."""
        return self.option(
            "--checkpoint",
            action="append",
            default=[],
            metavar="FILE",
            help="one that was kept elsewhere; may be repeated",
        ).option(
            "--api-log",
            action="append",
            default=[],
            metavar="FILE",
            help="verify: the API server's audit log, compared both ways",
        )

    def alone(self, run: Callable[[argparse.Namespace], Result]) -> Command:
        """It asks nobody."""
        self._parser.set_defaults(alone=run)
        return self

    def mlflow(self) -> Command:
        return self.option("--mlflow-url", help="default: the operator's, through the API server")


class Commands:
    """All commands while they are put together."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self._parsers = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)

    def add(self, name: str, run: Run | None, told: str) -> Command:
        one = self._parsers.add_parser(name, help=told, description=told)
        one.set_defaults(run=run, alone=None)
        return (
            Command(one)
            .option("-n", "--namespace", help="default: the context's")
            .option("--context", help="context of the kubeconfig")
            .option("--kubeconfig", help="path of a kubeconfig")
            .option("--system-namespace", help="the operator's; default: $REFIT_SYSTEM_NAMESPACE, else refit-system")
            .option("-o", "--output", choices=("table", "json", "yaml"), default="table")
            .option("--color", choices=("auto", "never"), default="auto")
        )


def parser() -> Parser:
    """The whole command line."""
    found = Parser(prog="kubectl refit", description="What Refit does with your models, why, and your word in it.")
    commands = Commands(found)
    _looking(commands)
    _deciding(commands)
    _proving(commands)
    return found


def _looking(commands: Commands) -> None:
    commands.add("status", status, "models and how they are; one of them in detail").takes(
        Names.MODEL, optional=True
    ).everywhere()
    commands.add("explain", explain, "why a model or a request is as it is, and what to do").takes(Names.EITHER)
    commands.add("requests", requests, "open requests, those that wait for a person first").option(
        "--all", action="store_true", help="those too that are done, rejected or expired"
    ).everywhere()
    commands.add("history", history, "the versions of a model: when each served, and why").takes(Names.MODEL)
    commands.add("diff", diff, "what differs between two versions, or what a request would change").takes(
        Names.EITHER
    ).option("versions", nargs="*", type=int, metavar="VERSION", help="two versions of the model").mlflow()


def _deciding(commands: Commands) -> None:
    commands.add("approve", approve, "say yes to what a request proposes").decides(needs_reason=False)
    commands.add("reject", reject, "say no to what a request proposes").decides(needs_reason=True)
    commands.add("retrain", retrain, "ask for a new version").asks()
    commands.add("rollback", rollback, "ask for an earlier version").asks().option(
        "--to", type=int, metavar="VERSION", help="default: the last that served of those older than the one that does"
    )
    commands.add("promote", promote, "ask for a certain version").asks().option(
        "--to", type=int, metavar="VERSION", required=True
    )
    commands.add("undo", undo, "ask that the last change be taken back").asks()
    commands.add("freeze", freeze, "stop the line, everywhere or in the namespace of -n").option(
        "--reason", default="", help="why; everybody sees it"
    )
    commands.add("unfreeze", unfreeze, "let it run again")


def _proving(commands: Commands) -> None:
    commands.add("trace", trace, "from an inference id to version, file, run, data and approvals").option(
        "inference", metavar="INFERENCE_ID", help="header refit-inference-id of the answer"
    ).option("-m", "--model", names=Names.MODEL, help="refuse if another model answered").option(
        "--collector-url", help="default: through the API server"
    ).option("--collector-token-file", help="file with a token for it; default: one is asked for").option(
        "--service-account", default="default", help="whose token is asked for; default: %(default)s"
    ).mlflow()
    commands.add("replay", replay, "make a decision again from what is stored, or under another policy").takes(
        Names.EITHER
    ).option("--policy", metavar="FILE", help="YAML with spec.remediation, or with what stands in it").option(
        "--since", default="30d", help="how far back, such as 12h; default: %(default)s"
    )
    commands.add("audit", audit, "the operator's record: its rows, a bundle to take away, and whether it holds").option(
        "what", choices=("list", "export", "verify")
    ).everywhere().option("--model", names=Names.MODEL, help="list: of this model").option(
        "--kind", choices=("Intent", "Outcome", "Impact"), help="list: of this kind"
    ).option("--trigger", choices=("Alert", "Drift", "Schedule", "Human"), help="list: so caused").option(
        "--actor", help="list: asked for by this user"
    ).option("--trace", metavar="TRACE_ID", help="list: of this trace").option(
        "--since", metavar="TIME", help="list: since then, such as 2026-01-31T00:00:00Z"
    ).option("--limit", type=int, default=50, help="list: the newest so many; default: %(default)s").option(
        "--file", help="export: the bundle to write, *.tar, or a table, *.csv"
    ).evidence().option("--operator-url", help="default: through the API server").option(
        "--token-file", help="file with a token for the audit; default: one is asked for"
    )
    commands.add("verify", None, "a bundle of the audit, without a cluster").option(
        "bundle", metavar="BUNDLE"
    ).evidence().option("--keys", metavar="FOLDER", help="the audit's keys: macs are checked, too").option(
        "--part", action="store_true", help="rows behind the bundle's last are elsewhere"
    ).alone(bundle.verify)
    commands.add("report", report, "the PDF reports of a model; or `calibration`: how well predictions held").option(
        "what", names=Names.MODEL, metavar="MODEL|calibration"
    ).option("--kind", choices=tuple(KINDS), help="the newest of this kind, as a file").option(
        "-f", "--file", help="where to put it; default: MODEL-KIND.pdf"
    ).mlflow().everywhere()
    commands.add("doctor", doctor, "whether all that Refit needs is there")
    commands.add("completion", None, "the script that completes words in your shell").option(
        "shell", choices=tuple(SCRIPTS)
    )
