"""Repairs in a simulated cluster: a model that may be repaired, requests about it, and those who decide."""

from __future__ import annotations

from typing import Any

from life import KEY, Life
from refit.api.measured import LastMeasurement, ModelQuality, QualityVerdict
from refit.api.metrics import Metric, Metrics
from refit.api.outcome import Comparison, Shadow
from refit.api.proposal import PredictedImpact
from refit.api.remediationrequest import Action
from refit.api.results import ImpactResult
from refit.api.times import stamp
from refit.kube.cluster import MODEL_DEPLOYMENT, REMEDIATION_REQUEST, Manifest
from simulated import NAMESPACE, end_job, roll_out
from worlds import WATCHED, measured, minutes

ACTING = {"mode": "Act"}
IMPACT = PredictedImpact(
    metric="f1", now="0.61", predicted="0.8", low="0.74", high="0.85", method="trial on 300 labelled requests"
)
COMPARISON = Comparison(
    metric="f1",
    champion="0.61",
    challenger="0.8",
    low="0.1",
    high="0.26",
    rows=300,
    better=True,
    method="paired bootstrap",
)


async def acting(**remediation: Any) -> Life:
    """A model that serves its second version and may be repaired."""
    life = Life()
    life.declare(**WATCHED | {"remediation": ACTING | remediation})
    await life.look()
    await life.serve(1)
    life.cluster.objects[MODEL_DEPLOYMENT, *KEY]["metadata"]["annotations"] = {"refit.dev/train-requested-at": "again"}
    life.now += minutes(1)
    await life.look()
    await life.serve(2)
    assert life.served() == "2"
    life.cluster.rights = {right(user, action) for user in ("alice", "carol", "dave") for action in Action}
    life.cluster.journal.clear()
    return life


def right(user: str, action: str) -> tuple[str, str, str, str, str, str]:
    """To approve that action of the model."""
    return (user, "approve", "refit.dev", f"modeldeployments/{action.lower()}", NAMESPACE, "heart")


def ask(life: Life, action: str, name: str = "wish", **spec: Any) -> None:
    """A person makes a request."""
    life.cluster.now = stamp(life.now)
    life.cluster.put(
        {
            "apiVersion": "refit.dev/v1alpha1",
            "kind": "RemediationRequest",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {
                "targetRef": {"name": "heart"},
                "action": action,
                "parameters": {},
                "trigger": {"type": "Human"},
                "requestedBy": "bob",
                **spec,
            },
        }
    )
    life.noticed.add(KEY)


def the(life: Life, name: str = "wish") -> Manifest:
    status: Manifest = life.cluster.objects[REMEDIATION_REQUEST, NAMESPACE, name]["status"]
    return status


def stand(life: Life, name: str = "wish") -> tuple[str, str]:
    """Phase and reason."""
    status = the(life, name)
    [ready] = [found for found in status["conditions"] if found["type"] == "Ready"]
    return status["phase"], ready["reason"]


def words(life: Life, name: str = "wish") -> str:
    [ready] = [found for found in the(life, name)["conditions"] if found["type"] == "Ready"]
    return str(ready["message"])


async def estimated(life: Life, name: str = "wish", answer: ImpactResult | None = None) -> None:
    """The impact Job answers."""
    await life.look()
    job = the(life, name)["estimate"]["job"]
    end_job(life.cluster, job, answer or ImpactResult(key="k", predicted=IMPACT))
    await life.look(2)


def decide(life: Life, user: str = "alice", name: str = "wish", decision: str = "Approved", **more: Any) -> None:
    """`kubectl patch --subresource=status`, as admission would let it through."""
    found = life.cluster.objects[REMEDIATION_REQUEST, NAMESPACE, name]
    digest = found["status"]["proposal"]["digest"]
    found["status"].setdefault("approvals", {})[user] = {"decision": decision, "proposalDigest": digest, **more}
    found["metadata"]["resourceVersion"] += "+"


async def approved_rollback(life: Life) -> None:
    ask(life, "Rollback", parameters={"toVersion": 1})
    await estimated(life)
    decide(life)
    await life.look(2)


async def ledger(life: Life) -> list[tuple[int, str]]:
    return [(row.sequence, row.kind.value) for row in await life.ledger.all()]


async def retrained(life: Life, **answer: Any) -> None:
    ask(life, "Retrain")
    await estimated(life)
    decide(life)
    await life.look(2)
    life.trained(3, comparison=COMPARISON, shadow=Shadow(requests=300, differing=12, failed=0), **answer)
    await life.look(2)


async def baking(**bake: Any) -> Life:
    life = await acting(bake={"seconds": 600, **bake})
    await approved_rollback(life)
    roll_out(life.cluster)
    await life.look(3)
    assert stand(life) == ("Executing", "Baking")
    return life


def low(key: str) -> LastMeasurement:
    return measured(
        key,
        version=1,
        quality=ModelQuality(
            verdict=QualityVerdict.LOW,
            labelled=300,
            metrics=Metrics(f1="0.4"),
            missed=(Metric.F1,),
            message="f1 is 0.4",
        ),
    )
