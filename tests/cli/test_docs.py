"""docs/plugin.md shows what the plugin prints: every example is run, on a live API server, and its whole text compared."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from backends import name_runs
from guarded import RBAC, SYSTEM, TEAM, Guarded
from plugin import NOW, Plugin, furnish
from refit.cli.arguments import parser
from refit.cli.completion import candidates

PAGE = (Path(__file__).parents[2] / "docs" / "plugin.md").read_text()
EXAMPLES = re.findall(r"^```\n(\$ kubectl refit .*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
FILES = re.findall(r"^```yaml\n# (\S+)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
USERS = {"approve": "carol", "reject": "bob", "rollback": "rita", "promote": "rita", "undo": "rita"}
"""Who types it; everything else root."""
NEEDS_SERVICES = ("trace", "diff", "doctor")
NEEDS_AUDIT = ("audit",)


def first_word(example: str) -> str:
    return example.split()[3]


@pytest.mark.contract
@pytest.mark.parametrize("example", [pytest.param(one, id=one.splitlines()[0][2:]) for one in EXAMPLES])
def test_an_example_is_what_is_printed(
    example: str,
    plane: Guarded,
    refit: Plugin,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    furnish(plane)
    if first_word(example) in NEEDS_SERVICES:
        found = request.getfixturevalue("services")
        name_runs(plane, found)
        refit.renamed = found.renamed
    if first_word(example) in NEEDS_AUDIT:
        kept = request.getfixturevalue("audit_checkpoint")
        (tmp_path / "checkpoint.json").write_text(kept)
    for name, content in FILES:
        (tmp_path / name).write_text(content)
    monkeypatch.chdir(tmp_path)
    printed = ""
    for line in example.splitlines():
        if line.startswith("$ "):
            words = shlex.split(line)[3:]
            answer = re.search(r"\? \[y/N\] (\w)$", example, re.MULTILINE)
            now = None if words[0] == "doctor" else NOW  # it holds this machine's clock against the server's
            said = refit(USERS.get(words[0], "root"), *words, answer=answer[1] if answer else None, now=now)
            printed += f"{line}\n{said.out}{said.err}"
    assert printed == example


def test_every_command_has_an_example() -> None:
    told = {line.split()[3] for one in EXAMPLES for line in one.splitlines() if line.startswith("$ kubectl refit ")}
    commands = set(candidates(parser(), [""], lambda _of, _before: ()))
    without = {"retrain", "completion"}  # the former is like rollback; the latter prints a script
    assert told == commands - without
    assert set(re.findall(r"`([a-z]+)`", PAGE)) >= commands - told - {"completion"}


def test_the_options_of_every_command_are_those_of_the_page() -> None:
    table = PAGE[PAGE.index("| option of every command") : PAGE.index("Exit codes")]
    told = set(re.findall(r"--[a-z][a-z-]+", table))
    common = set.intersection(
        *(
            set(candidates(parser(), [command, "--"], lambda _of, _before: ()))
            for command in candidates(parser(), [""], lambda _of, _before: ())
        )
    )
    assert told == common - {"--help"} - {"--output"}


@pytest.mark.contract
def test_the_roles_that_the_page_names_are_enough_to_trace(
    plane: Guarded, refit: Plugin, request: pytest.FixtureRequest
) -> None:
    found = request.getfixturevalue("services")
    furnish(plane)
    name_runs(plane, found)
    refit.renamed = found.renamed
    (example,) = [one for one in EXAMPLES if first_word(one) == "trace"]
    words = shlex.split(example.splitlines()[0])[3:]
    assert refit("olga", *words).code == 1
    named = re.findall(r"^kubectl create rolebinding \S+ -n (\S+) --(\w+)=(\S+) --user=(\S+)$", PAGE, re.MULTILINE)
    assert named == [(SYSTEM, "role", "refit-tracer", "olga"), (TEAM, "clusterrole", "refit-tracer", "olga")]
    bindings = []
    for namespace, kind, role, user in named:
        plane.bind(role, user, namespace=namespace, kind="Role" if kind == "role" else "ClusterRole")
        bindings.append(f"/apis/{RBAC}/namespaces/{namespace}/rolebindings/{role}-{user}")
    try:
        said = refit("olga", *words)
        assert (f"{example.splitlines()[0]}\n{said.out}", said.err) == (example, "")
    finally:
        for path in bindings:
            plane.admin.delete(path).accepted()
