"""`kubectl refit audit` and `verify`, on a live API server: who may, what is shown, and what is found."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from audited import Intruder
from guarded import SYSTEM, Guarded
from plugin import Plugin
from refit.audit import checkpoints
from refit.cli.bundle import inert

pytestmark = pytest.mark.contract


@pytest.fixture
def checkpoint(audit_checkpoint: str, tmp_path: Path) -> Path:
    found = tmp_path / "checkpoint.json"
    found.write_text(audit_checkpoint)
    return found


def test_an_auditor_reads_the_rows(audit: Path, refit: Plugin) -> None:
    said = refit("olga", "audit", "list", "-o", "json")
    assert audit.exists()
    rows = json.loads(said.out)
    assert [(row["sequence"], row["kind"], row["content"]["approvers"]) for row in rows] == [
        (1, "Intent", ["alice"]),
        (2, "Outcome", ["alice"]),
    ]
    assert refit("olga", "audit", "list", "--kind", "Intent").out.count("\n") == 2
    assert refit("olga", "audit", "list", "--model", "lung").out == "no row of the audit in namespace team-a fits\n"


@pytest.mark.usefixtures("audit")
@pytest.mark.parametrize("user", ["bob", "mallory", "rita"])
def test_nobody_else_does(refit: Plugin, user: str) -> None:
    said = refit(user, "audit", "list")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("kubectl refit: no token for the audit: serviceaccounts")
    assert said.err.endswith("it takes ClusterRole refit-auditor, bound in refit-system, or --token-file\n")


@pytest.mark.usefixtures("audit")
def test_a_token_for_something_else_opens_nothing(plane: Guarded, refit: Plugin, tmp_path: Path) -> None:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    path = f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/refit-auditor/token"
    token = plane.admin.create(path, body).accepted()["status"]["token"]
    (tmp_path / "token").write_text(token)
    said = refit("olga", "audit", "list", "--token-file", str(tmp_path / "token"))
    assert (said.code, said.err) == (
        1,
        "kubectl refit: the operator answered 401: this is no token for the audience refit-audit, or it is no longer good\n",
    )


@pytest.mark.usefixtures("audit")
def test_a_token_for_the_audit_of_somebody_without_the_right_opens_nothing(
    plane: Guarded, refit: Plugin, tmp_path: Path
) -> None:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": ["refit-audit"]}}
    path = f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/refit-operator/token"
    (tmp_path / "token").write_text(plane.admin.create(path, body).accepted()["status"]["token"])
    said = refit("olga", "audit", "list", "--token-file", str(tmp_path / "token"))
    assert said.code == 1
    assert said.err == (
        "kubectl refit: the operator answered 403: system:serviceaccount:refit-system:refit-operator may not get "
        "audits.refit.dev in refit-system: docs/audit.md\n"
    )


def test_what_was_exported_is_verified_without_a_cluster(refit: Plugin, checkpoint: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "audit.tar"
    assert refit("olga", "audit", "export", "--file", str(bundle)).code == 0
    command = [sys.executable, "-m", "refit.cli", "verify", str(bundle), "--checkpoint", str(checkpoint)]
    environment = {"PATH": "/nowhere", "KUBECONFIG": "/nowhere", "HOME": "/nowhere"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "2 rows, 1 to 2: the chain holds; a checkpoint confirms all up to row 2; no key was given, so macs were not checked\n"
    )
    again = refit("olga", "audit", "export", "--file", str(bundle))
    assert (again.code, "was not written" in again.err) == (1, True)


def test_a_table_for_a_spreadsheet_is_inert(refit: Plugin, checkpoint: Path, tmp_path: Path) -> None:
    assert checkpoint.exists()
    table = tmp_path / "audit.csv"
    assert refit("olga", "audit", "export", "--file", str(table)).code == 0
    with table.open(newline="") as file:
        rows = list(csv.reader(file))
    assert (len(rows), rows[1][:3]) == (3, ["1", rows[1][1], "Intent"])


@pytest.mark.parametrize(
    "cell", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\ufeff=1", "=cmd|' /C calc'!A0", "|x", "%0A=1"]
)
def test_what_a_spreadsheet_would_compute_is_shown(cell: str) -> None:
    assert inert(cell) == f"'{cell}"
    assert inert("alice") == "alice"


def test_offline_says_what_it_needs(refit: Plugin, tmp_path: Path) -> None:
    said = refit("olga", "verify", str(tmp_path / "none.tar"))
    assert (said.code, said.err.startswith("kubectl refit: verify needs --checkpoint")) == (2, True)
    (tmp_path / "c.json").write_text("{}")
    said = refit("olga", "verify", str(tmp_path / "none.tar"), "--checkpoint", str(tmp_path / "c.json"))
    assert (said.code, "no checkpoint of the audit is in it" in said.err) == (1, True)


def test_each_checkpoint_is_a_file_of_its_own_too(audit: Path) -> None:
    (copy,) = audit.parent.glob("*.json")
    assert copy.name.startswith("000000000002-")
    assert [one.sequence for one in checkpoints.found_in(copy.read_text())] == [2]


def test_the_plugin_loads_no_database() -> None:
    """What only the operator has installed."""
    code = (
        "import sys; from refit.cli.arguments import parser; parser();"
        " print([name for name in ('sqlalchemy', 'alembic', 'psycopg', 'kopf') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_what_somebody_did_to_the_database_is_found_online(audit: Path, refit: Plugin) -> None:
    good = refit("olga", "audit", "verify")
    assert (good.code, good.out.splitlines()[1]) == (0, "the operator: every mac was made with its key")
    assert good.out.startswith("here: 2 rows, 1 to 2: the chain holds; a checkpoint confirms all up to row 2")
    intruder = Intruder(audit)
    ((before,),) = intruder.connection.execute("SELECT actor FROM audit WHERE sequence = 1").fetchall()
    intruder.does("UPDATE audit SET actor = 'mallory' WHERE sequence = 1")
    bad = refit("olga", "audit", "verify")
    assert bad.code == 1
    assert "row 1: it is not what was hashed" in bad.out + bad.err
    intruder.does("UPDATE audit SET actor = ? WHERE sequence = 1", before)
    intruder.leaves()
    assert refit("olga", "audit", "verify").code == 0
