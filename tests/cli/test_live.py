"""`kubectl refit` on a live API server with the guard: real users, real refusals, whole texts compared."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from guarded import REQUESTS, SYSTEM, TEAM, Guarded, approvals, no, yes
from plugin import (
    BEGAN,
    DIGEST,
    DOCUMENTED,
    EARLIER,
    MODELS,
    OPEN,
    Plugin,
    Said,
    asking,
    condition,
    documented,
    executed,
    kubeconfig,
    renew,
)
from refit.api import meta
from refit.api.times import stamp
from refit_cluster import golang

pytestmark = pytest.mark.contract

ROOT = Path(__file__).parents[2]
SHOWN = f"""\
request    team-a/{{name}}
proposal   Retrain heart: thalach and chol have drifted
change 1   served version: version 3 -> a newly trained version, if it is better
expected   f1 0.71 -> 0.82 [0.77, 0.86], by trial training
asked by   system:serviceaccount:refit-system:refit-operator
needed     the yes of 1 person, has 0; who asked may not
expires    2026-11-22T13:00:00Z (in 20h)
digest     {DIGEST}
"""


@pytest.fixture
def waiting(plane: Guarded, refit: Plugin) -> Iterator[str]:
    """A request of its own that waits for a decision; its name. The world is furnished first."""
    del refit
    name = plane.name("heart-retrain")
    renew(plane, name)
    yield name
    plane.admin.delete(f"{REQUESTS}/{name}").accepted()


def entries(plane: Guarded, name: str) -> dict[str, Any]:
    return dict(plane.decided(f"{REQUESTS}/{name}"))


# Decisions


def test_a_yes_is_written_under_ones_own_name_with_the_digest_that_was_shown(
    plane: Guarded, refit: Plugin, waiting: str
) -> None:
    said = refit("carol", "approve", waiting, "--reason", "looks right", answer="y")
    shown = SHOWN.format(name=waiting)
    assert said == Said(
        0,
        f"{shown}\nApprove this as carol? [y/N] y\n{waiting} approved by carol, digest {DIGEST}\n"
        f"what comes of it: kubectl refit explain {waiting}\n",
        "",
    )
    assert entries(plane, waiting) == {
        "carol": {
            "decision": "Approved",
            "proposalDigest": DIGEST,
            "reason": "looks right",
            "groups": ["ml-approvers"],
        }
    }


def test_a_no_is_written_with_its_reason(plane: Guarded, refit: Plugin, waiting: str) -> None:
    said = refit("bob", "reject", waiting, "--reason", "not at night", "-y")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines()[-2] == f"{waiting} rejected by bob, digest {DIGEST}"
    assert entries(plane, waiting) == {
        "bob": {"decision": "Rejected", "proposalDigest": DIGEST, "reason": "not at night"}
    }


@pytest.mark.parametrize(
    ("user", "words", "answer", "code", "err"),
    [
        pytest.param("carol", ["approve"], "n", 1, "nothing was decided on {name}", id="a no at the question decides nothing"),
        pytest.param("carol", ["approve"], "", 1, "nothing was decided on {name}", id="nor does an empty answer"),
        pytest.param("carol", ["approve"], None, 2, "this is not a terminal, so nobody can be asked: pass -y to decide without a question", id="without a terminal nobody is asked"),
        pytest.param("carol", ["reject"], None, 2, "the following arguments are required: --reason; see kubectl refit reject --help", id="a rejection without a reason is wrong use"),
        pytest.param("carol", ["reject", "--reason", " "], None, 2, "a rejection needs a reason: --reason 'why not'", id="so is one with an empty reason"),
        pytest.param("mallory", ["approve", "-y"], None, 1, "refused: mallory may not approve Retrain of heart", id="the right to write is not the right to approve"),
        pytest.param("erin", ["approve", "-y"], None, 1, 'refused: remediationrequests.refit.dev "{name}" is forbidden: User "erin" cannot get resource "remediationrequests" in API group "refit.dev" in the namespace "team-a"', id="an approver of another namespace does not even see it"),
        pytest.param("olga", ["approve", "-y"], None, 1, 'refused: remediationrequests.refit.dev "{name}" is forbidden: User "olga" cannot patch resource "remediationrequests/status" in API group "refit.dev" in the namespace "team-a"', id="who may only look is refused by RBAC"),
    ],
)  # fmt: skip
def test_what_is_not_decided(
    plane: Guarded,
    refit: Plugin,
    waiting: str,
    capsys: pytest.CaptureFixture[str],
    user: str,
    words: list[str],
    answer: str | None,
    code: int,
    err: str,
) -> None:
    said = refit(user, words[0], waiting, *words[1:], answer=answer)
    told = said.err or capsys.readouterr().err  # what argparse itself says goes to the process's own
    assert (said.code, told) == (code, f"kubectl refit: {err.format(name=waiting)}\n")
    assert entries(plane, waiting) == {}


MEANWHILE: dict[str, Callable[[Guarded, str], Any]] = {
    "another proposal": lambda plane, path: plane.write_status(path, asking(EARLIER)),
    "another's decision": lambda plane, path: plane.who("bob").merge(f"{path}/status", approvals({"bob": no(DIGEST)})).accepted(),
    "it is done": lambda plane, path: plane.write_status(path, executed()),
    "deleted and made again": lambda plane, path: (
        plane.admin.delete(path).accepted(),
        renew(plane, path.rsplit("/", 1)[1]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("change", [pytest.param(change, id=name) for name, change in MEANWHILE.items()])
def test_what_changed_since_one_looked_is_not_decided(
    plane: Guarded, refit: Plugin, waiting: str, change: Callable[[Guarded, str], Any]
) -> None:
    def while_asked() -> str:
        change(plane, f"{REQUESTS}/{waiting}")
        return "y"

    said = refit("carol", "approve", waiting, answer=while_asked)
    look = f"kubectl refit explain {waiting}"
    assert (said.code, said.err) == (
        1,
        f"kubectl refit: {waiting} changed since you looked, and nothing was decided; look again: {look}\n",
    )
    assert "carol" not in entries(plane, waiting)


def test_what_was_not_shown_may_change_meanwhile(plane: Guarded, refit: Plugin, waiting: str) -> None:
    def while_asked() -> str:
        news = [condition("Ready", "False", "AwaitingApproval", "reminded")]
        plane.write_status(f"{REQUESTS}/{waiting}", asking(conditions=news))
        return "y"

    assert refit("carol", "approve", waiting, answer=while_asked).code == 0
    assert list(entries(plane, waiting)) == ["carol"]


def test_nobody_decides_twice(refit: Plugin, waiting: str) -> None:
    assert refit("carol", "approve", waiting, "-y").code == 0
    again = refit("carol", "reject", waiting, "--reason", "on second thoughts", "-y")
    assert again == Said(1, "", f"kubectl refit: you (carol) decided on {waiting} already, and a decision is final\n")


def test_what_does_not_wait_is_not_decided(plane: Guarded, refit: Plugin, waiting: str) -> None:
    plane.write_status(f"{REQUESTS}/{waiting}", {"status": {"phase": "Pending"}})
    said = refit("carol", "approve", waiting, "-y")
    look = f"kubectl refit explain {waiting}"
    assert said == Said(1, "", f"kubectl refit: {waiting} is Pending and waits for nobody; why: {look}\n")


def test_a_program_reads_json_alone(refit: Plugin, waiting: str) -> None:
    said = refit("carol", "approve", waiting, "-y", "-o", "yaml")
    assert said.err == SHOWN.format(name=waiting)
    found = yaml.safe_load(said.out)
    assert (found["metadata"]["name"], list(found["status"]["approvals"])) == (waiting, ["carol"])
    assert "managedFields" not in found["metadata"]


# Requests of one's own


@pytest.mark.parametrize(
    ("words", "action", "parameters", "note"),
    [
        pytest.param(["retrain", "heart", "--reason", "new data"], "Retrain", {}, "new data", id="retrain"),
        pytest.param(["rollback", "heart"], "Rollback", {"toVersion": 1}, "", id="back to the last good version"),
        pytest.param(["rollback", "heart", "--to", "1"], "Rollback", {"toVersion": 1}, "", id="back to a version by number"),
        pytest.param(["promote", "heart", "--to", "1"], "Promote", {"toVersion": 1}, "", id="promote"),
        pytest.param(["undo", "heart", "--reason", "worse"], "Rollback", {"toVersion": 1}, "worse; takes back heart-retrain-1b2c3d4e (Retrain), by undo", id="undo a retraining"),
    ],
)  # fmt: skip
def test_a_request_is_made_in_ones_own_name(
    plane: Guarded, refit: Plugin, words: list[str], action: str, parameters: dict[str, int], note: str
) -> None:
    said = refit("rita", *words, "-o", "json")
    assert said.err == ""
    name = yaml.safe_load(said.out)["metadata"]["name"]
    made = next(
        one for one in plane.admin.get(REQUESTS).accepted()["items"] if documented(one["metadata"]["name"]) == name
    )
    assert made["spec"] == {
        "targetRef": {"name": "heart", "uid": plane.admin.get(f"{MODELS}/heart").accepted()["metadata"]["uid"]},
        "action": action,
        "parameters": parameters,
        "trigger": {"type": "Human", "alerts": [], "features": []},
        "requestedBy": "rita",
        "note": note,
    }
    assert made["metadata"]["labels"] == {meta.LABEL_DEPLOYMENT: "heart"}
    plane.admin.delete(f"{REQUESTS}/{made['metadata']['name']}").accepted()


@pytest.mark.parametrize(
    ("user", "words", "err"),
    [
        pytest.param("rita", ["rollback", "heart", "--to", "2"], "version 2 of heart is Failed; versions that served before: 1", id="back to a version that failed"),
        pytest.param("rita", ["rollback", "heart", "--to", "3"], "version 3 of heart is Serving; versions that served before: 1", id="back to what serves"),
        pytest.param("rita", ["promote", "heart", "--to", "9"], "version 9 of heart is not in its history; versions that can be promoted: 1", id="a version that there is not"),
        pytest.param("rita", ["rollback", "lung"], "lung has no version that served before; see its history", id="a model without history"),
        pytest.param("rita", ["undo", "lung"], "nothing was changed on lung that could be taken back", id="nothing to undo"),
        pytest.param("rita", ["retrain", "hart"], "no ModelDeployment 'hart' in namespace team-a; there are: heart, liver, lung", id="a model that there is not"),
        pytest.param("rita", ["retrain", "heart", "--reason", "x" * 1025], "--reason has 1025 characters; the limit is 1024", id="a reason too long"),
        pytest.param("olga", ["retrain", "heart"], 'refused: remediationrequests.refit.dev is forbidden: User "olga" cannot create resource "remediationrequests" in API group "refit.dev" in the namespace "team-a"', id="who may only look asks for nothing"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_before_anything_is_sent(refit: Plugin, user: str, words: list[str], err: str) -> None:
    assert refit(user, *words) == Said(1, "", f"kubectl refit: {err}\n")


# The switch that stops the line


@pytest.mark.parametrize(
    ("words", "namespace", "what"),
    [
        pytest.param([], SYSTEM, "every namespace", id="everywhere"),
        pytest.param(["-n", TEAM], TEAM, f"namespace {TEAM}", id="in one namespace"),
    ],
)
def test_freeze_and_unfreeze(plane: Guarded, refit: Plugin, words: list[str], namespace: str, what: str) -> None:
    undo = " ".join(["kubectl refit unfreeze", *words])
    said = refit("root", "freeze", "--reason", "quarter\x1b[2Jend", *words)
    assert said == Said(0, f"{what} is frozen: nothing is carried out until {undo}; serving and measuring go on\n", "")
    found = plane.admin.get(f"/api/v1/namespaces/{namespace}/configmaps/{meta.FREEZE}").accepted()
    since = stamp(BEGAN.replace(microsecond=0))
    assert found["data"] == {"reason": "quarter\x1b[2Jend", "by": "root", "since": found["data"]["since"]}
    assert found["data"]["since"] > since
    again = refit("root", "freeze", "--reason", "again", *words)
    assert again.out == f"{what} is frozen already, by root since 2026-11-21T16:59:00Z: quarter\\x1b[2Jend\n"
    assert refit("root", "unfreeze", *words).out == f"{what} is no longer frozen\n"
    assert refit("root", "unfreeze", *words).out == f"{what} is not frozen\n"


def test_who_may_not_freeze_is_told(refit: Plugin) -> None:
    assert refit("olga", "freeze") == Said(
        1,
        "",
        'kubectl refit: refused: configmaps is forbidden: User "olga" cannot create resource "configmaps" in API group "" '
        'in the namespace "refit-system"\n',
    )


# What people wrote is shown, never obeyed


def test_control_characters_of_others_are_escaped(plane: Guarded, refit: Plugin, waiting: str) -> None:
    evil = "fine\x1b[2K\x1b[1A\r\u202edevorppa\u202c\nsecond line"
    entry = yes(DIGEST, reason=evil)
    plane.who("bob").merge(f"{REQUESTS}/{waiting}/status", approvals({"bob": entry})).accepted()
    for words in (["explain", waiting], ["status", "heart"], ["requests"]):
        out = refit("olga", *words).out
        assert re.findall(r"[\x00-\x09\x0b-\x1f\x7f\u202a-\u202e]", out) == []
    told = refit("olga", "explain", waiting).out
    assert "bob approved: fine\\x1b[2K\\x1b[1A\\r\\u202edevorppa\\u202c\\nsecond line.\n" in told


def test_colours_only_where_somebody_looks(refit: Plugin) -> None:
    coloured, never = (refit("olga", "status", *more, colours=True).out for more in ([], ["--color", "never"]))
    assert "\x1b[32mTrue\x1b[0m" in coloured
    assert never == refit("olga", "status").out == re.sub(r"\x1b\[\d+m", "", coloured)


# Errors


def test_a_server_that_is_not_there_is_one_line(plane: Guarded, refit: Plugin, tmp_path: Path) -> None:
    found = yaml.safe_load(kubeconfig(plane, "olga").read_text())
    found["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    path = tmp_path / "away.kubeconfig"
    path.write_text(yaml.safe_dump(found))
    said = refit("olga", "status", "--kubeconfig", str(path))
    assert (said.code, said.out) == (1, "")
    assert re.fullmatch(r"kubectl refit: no answer from https://127\.0\.0\.1:1: [^\n]+\n", said.err)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(None, id="there is none"),
        pytest.param("", id="it is empty"),
        pytest.param("kind: [", id="it is no YAML"),
        pytest.param("- 1\n", id="it is a list"),
        pytest.param("apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: []\n", id="its context is not there"),
    ],
)
def test_a_kubeconfig_that_can_not_be_used_is_one_line(refit: Plugin, tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)
    said = refit("olga", "status", "--kubeconfig", str(path))
    assert (said.code, said.out) == (1, "")
    assert re.fullmatch(r"kubectl refit: the kubeconfig can not be used: [^\n]+\n", said.err)


# Through kubectl itself


def installed(folder: Path, *scripts: str) -> None:
    """The console scripts of pyproject.toml, as an installation writes them."""
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    for name in scripts:
        module, _, function = declared[name].partition(":")
        path = folder / name
        path.write_text(f"#!{sys.executable}\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n")
        path.chmod(0o755)


def test_kubectl_finds_the_plugin_and_its_words(plane: Guarded, refit: Plugin, tmp_path: Path) -> None:
    del refit
    installed(tmp_path, "kubectl-refit", "kubectl_complete-refit")
    kubectl = golang.KUBERNETES.binary(plane.plane.places, "kubectl")
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "KUBECONFIG": str(kubeconfig(plane, "olga")),
    }

    def run(*words: str) -> Said:
        done = subprocess.run(
            [str(kubectl), *words], env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        return Said(done.returncode, done.stdout, done.stderr)

    status = run("refit", "status", "-o", "json")
    assert ([one["metadata"]["name"] for one in yaml.safe_load(status.out)], status.err) == (
        ["heart", "liver", "lung"],
        "",
    )
    assert run("refit", "explain", "hart") == Said(
        1, "", "kubectl refit: no ModelDeployment and no RemediationRequest 'hart' in namespace team-a\n"
    )
    assert run("refit", "approve", OPEN).code == 2
    assert run("__complete", "refit", "un").out.splitlines()[:-1] == ["undo", "unfreeze"]
    assert run("__complete", "refit", "status", "l").out.splitlines()[:-1] == ["liver", "lung"]


def test_the_world_is_the_one_of_the_documentation() -> None:
    assert documented(stamp(BEGAN)) == stamp(DOCUMENTED)
