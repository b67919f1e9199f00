"""A request that waits for a person, as a card: what, why, what it would bring, what it risks, and who may decide."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from refit.api.metrics import LOWER_IS_BETTER
from refit.api.objects import Model, Request
from refit.api.proposal import ApprovalRule, PredictedImpact
from refit.api.remediationrequest import Action, Decision, DiagnosisClass, RequestPhase, TriggerType
from refit.api.summaries import expiry, needed, short, yes
from refit.api.times import age, until
from refit_ui.views.tones import BANDS, TONE_OF, Band, Chip, Tone, banded

DECIDED = {Decision.APPROVED: "approved", Decision.REJECTED: "rejected"}
TITLES = {
    Action.RETRAIN: "Retrain {name}",
    Action.ROLLBACK: "Roll {name} back to version {version}",
    Action.PROMOTE: "Promote version {version} of {name}",
    Action.SCALE: "Scale {name} to {replicas} replicas",
    Action.RESTART: "Restart {name}",
    Action.CHANGE_CONFIG: "Change the spec of {name}",
    Action.NOTIFY: "Tell people about {name}",
    Action.LOG: "Log something about {name}",
}
RISKS = {
    Action.LOG: Band.LOW,
    Action.NOTIFY: Band.LOW,
    Action.SCALE: Band.LOW,
    Action.RESTART: Band.LOW,
    Action.ROLLBACK: Band.LOW,
    Action.RETRAIN: Band.LOW,
    Action.PROMOTE: Band.MEDIUM,
    Action.CHANGE_CONFIG: Band.MEDIUM,
}
"""What an action risks by itself; a version that served before, or must first beat the one that serves, risks little."""
REASONS = {
    DiagnosisClass.DRIFT: "Requests no longer look like what the model learned from",
    DiagnosisClass.PERFORMANCE: "The model answers worse than it should",
    DiagnosisClass.DATA_QUALITY: "Requests are not what the model was made for",
    DiagnosisClass.SYSTEM_ERROR: "The service fails or is slow",
    DiagnosisClass.UNKNOWN: "Something is wrong, and it is not clear what",
}
MOVES_MODEL = (Action.ROLLBACK, Action.RETRAIN, Action.PROMOTE, Action.CHANGE_CONFIG)
MOST_DIGEST = 19
"""Of a digest as it is shown: sha256: and twelve digits; the whole of it stands in the details."""


@dataclass(frozen=True, kw_only=True)
class Impact:
    """A predicted metric with its interval; `gain` is signed so that more is better."""

    metric: str
    now: float
    predicted: float
    low: float
    high: float
    method: str
    gain: float
    surely_better: bool


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """One drifted column."""

    column: str
    effect: float
    chip: Chip
    p_value: str


@dataclass(frozen=True, kw_only=True)
class Card:
    """Everything a decision needs; `why_not` is empty for who may decide."""

    uid: str
    name: str
    namespace: str
    model: str
    title: str
    reason: str
    severity: Chip | None
    risk: Chip
    risk_why: str
    impact: Impact | None
    no_impact: str
    changes: tuple[tuple[str, str, str], ...]
    needs: str
    expires: str
    asked: str
    why_not: str
    evidence: tuple[Evidence, ...]
    ranking: tuple[tuple[str, str, str], ...]
    facts: tuple[tuple[str, str], ...]
    said: tuple[str, ...]


def card(
    request: Request, model: Model | None, *, me: str, groups: tuple[str, ...], granted: bool, now: datetime
) -> Card:
    """The card of a request that has a proposal."""
    proposal, diagnosis = request.status.proposal, request.status.diagnosis
    if proposal is None:
        raise ValueError(f"{request.name} proposes nothing")
    impact, evidence = _impact(proposal.predicted_impact), _evidence(request, model)
    risk, risk_why = _risk(request.spec.action, impact)
    estimate = request.status.estimate
    left = until(expiry(request), now)
    return Card(
        uid=request.uid,
        name=request.name,
        namespace=request.namespace,
        model=request.spec.target_ref.name,
        title=title(request),
        reason=_reason(request, evidence),
        severity=banded(float(diagnosis.severity), "Severity ") if diagnosis is not None else None,
        risk=Chip(TONE_OF[risk], f"Risk {risk}"),
        risk_why=risk_why,
        impact=impact,
        no_impact=(
            estimate.message if estimate is not None and estimate.message else "Nobody measured what it would bring."
        ),
        changes=tuple((one.what, one.before or "nothing", one.after or "nothing") for one in proposal.change),
        needs=needed(proposal.approval or ApprovalRule(), yes(request)),
        expires={"": "", "over": "The time to decide is over."}.get(left, f"Expires {left}."),
        asked=f"{_person(request.spec.requested_by)}, {age(request.created, now)} ago",
        why_not=_why_not(request, me, groups, granted=granted, over=left == "over"),
        evidence=evidence,
        ranking=tuple(
            (f"version {one.version}", short(one.value), f"{short(one.low)} to {short(one.high)}, {one.rows} rows")
            for one in proposal.ranking
        ),
        facts=_facts(request),
        said=tuple(
            f"{user} {DECIDED[entry.decision]}{f': {entry.reason}' if entry.reason else ''}"
            for user, entry in sorted((request.status.approvals or {}).items())
        ),
    )


def title(request: Request) -> str:
    given = request.spec.parameters
    return TITLES[request.spec.action].format(
        name=request.spec.target_ref.name, version=given.to_version, replicas=given.replicas
    )


def differences(then: Request, now: Request) -> tuple[tuple[str, str, str], ...]:
    """What of that which a decision covers is another thing than it was: name, then, now."""
    told = (_covered(then), _covered(now))
    names = dict.fromkeys([*told[0], *told[1]])
    return tuple(
        (name, told[0].get(name, "nothing"), told[1].get(name, "nothing"))
        for name in names
        if told[0].get(name) != told[1].get(name)
    )


def _covered(request: Request) -> dict[str, str]:
    found = {"Phase": str(request.phase)}
    proposal = request.status.proposal
    if proposal is not None:
        impact = _impact(proposal.predicted_impact)
        found |= {"Proposal": proposal.text}
        found |= {
            f"Change of {one.what}": f"{one.before or 'nothing'} → {one.after or 'nothing'}" for one in proposal.change
        }
        if impact is not None:
            found["Predicted"] = f"{impact.metric} {impact.predicted:.4g} [{impact.low:.4g}, {impact.high:.4g}]"
        found["Needed"] = needed(proposal.approval or ApprovalRule(), 0)
        found["Digest"] = proposal.digest[:MOST_DIGEST]
    for user, entry in sorted((request.status.approvals or {}).items()):
        found[f"Decision of {user}"] = DECIDED[entry.decision]
    return found


def _impact(found: PredictedImpact | None) -> Impact | None:
    if found is None:
        return None
    now, predicted, low, high = (float(each) for each in (found.now, found.predicted, found.low, found.high))
    falls = found.metric in LOWER_IS_BETTER
    return Impact(
        metric=found.metric,
        now=now,
        predicted=predicted,
        low=low,
        high=high,
        method=found.method,
        gain=now - predicted if falls else predicted - now,
        surely_better=high < now if falls else low > now,
    )


def _risk(action: Action, impact: Impact | None) -> tuple[Band, str]:
    """The action's own risk, a step up where it changes what serves and may make that worse, or nobody knows."""
    own = RISKS[action]
    if action not in MOVES_MODEL:
        return own, "it changes nothing of the model itself"
    if impact is None:
        return _step_up(own), "what it would bring is not known"
    if not impact.surely_better:
        return _step_up(own), "its interval reaches what there is now, or worse"
    return own, "even the worse end of its interval is better than now"


def _step_up(own: Band) -> Band:
    return BANDS[min(BANDS.index(own) + 1, len(BANDS) - 1)]


def _reason(request: Request, evidence: tuple[Evidence, ...]) -> str:
    diagnosis, trigger, proposal = request.status.diagnosis, request.spec.trigger, request.status.proposal
    if diagnosis is not None and trigger.type != TriggerType.HUMAN:
        named = ", ".join(f"{one.column} {one.chip.word}" for one in evidence[:4]) or ", ".join(trigger.features[:4])
        return f"{REASONS[diagnosis.class_]}{f': {named}' if named else ''}."
    return request.spec.note or (proposal.text if proposal is not None else "")


def _person(name: str) -> str:
    """A service account without the words before its name."""
    account = name.removeprefix("system:serviceaccount:")
    return f"the service account {account.partition(':')[2]}" if account != name else name


def _why_not(request: Request, me: str, groups: tuple[str, ...], *, granted: bool, over: bool) -> str:
    """Why this person may not decide. The API server judges again; this is so that nobody clicks in vain."""
    proposal = request.status.proposal
    rule = (proposal.approval if proposal is not None else None) or ApprovalRule()
    entry = (request.status.approvals or {}).get(me)
    if entry is not None:
        return f"You {DECIDED[entry.decision]} this; a decision is final."
    if request.phase != RequestPhase.AWAITING_APPROVAL:
        return f"It waits for nobody: it is {request.phase}."
    if not granted:
        return f"You may read this, not decide on it: that needs the right to approve {request.spec.action} of {request.spec.target_ref.name}."
    if me == request.spec.requested_by and not rule.requester_may_approve:
        return "You asked for this, so somebody else must decide."
    if rule.required_group and rule.required_group not in groups:
        return f"Only members of {rule.required_group} may decide on this."
    return "The time to decide is over; the operator will mark it as expired." if over else ""


def _evidence(request: Request, model: Model | None) -> tuple[Evidence, ...]:
    """The columns of the measurement that the request names, as far as the model still remembers it."""
    last = model.status.last_measurement if model is not None else None
    if last is None or (request.spec.trigger.measurement and request.spec.trigger.measurement != last.key):
        return ()
    return tuple(
        Evidence(
            column=one.column, effect=float(one.effect), chip=banded(float(one.effect)), p_value=short(one.p_value)
        )
        for one in last.features
    )


def _facts(request: Request) -> tuple[tuple[str, str], ...]:
    proposal, diagnosis, trigger = request.status.proposal, request.status.diagnosis, request.spec.trigger
    window = proposal.window if proposal is not None else None
    found = (
        ("Request", f"{request.namespace}/{request.name}"),
        ("Proposal", proposal.text if proposal is not None else ""),
        ("Trigger", str(trigger.type)),
        ("Alerts", ", ".join(dict.fromkeys(one.name for one in trigger.alerts))),
        ("Diagnosis", f"{diagnosis.class_}: {diagnosis.reasoning}" if diagnosis is not None else ""),
        ("Rules", ", ".join(diagnosis.rules) if diagnosis is not None else ""),
        ("Note", request.spec.note),
        ("Evidence window", f"{window.since} to {window.until}" if window is not None else ""),
        ("Digest", proposal.digest if proposal is not None else ""),
    )
    return tuple((name, value) for name, value in found if value)


def tone_of(impact: Impact) -> Tone:
    if impact.surely_better:
        return Tone.GOOD
    return Tone.DOUBT if impact.gain > 0 else Tone.BAD
