"""The approval guard: what the API server itself holds every decision to, as two ValidatingAdmissionPolicies.

`approval.refit.dev` says who may decide on a request, and on what. `requester.refit.dev` says in whose name a request
is made. They hold for everybody, whether the operator runs or not. What needs a clock or a hash (expiry, the
recomputed digest, the world as proposed) CEL can not say: the operator looks at that right before it acts.
"""

from __future__ import annotations

from typing import Any

from refit.api import meta
from refit.api.remediationrequest import Action, RequestPhase

Manifest = dict[str, Any]

APPROVAL = f"approval.{meta.GROUP}"
REQUESTER = f"requester.{meta.GROUP}"
POLICIES = (APPROVAL, REQUESTER)
"""The names of the policies; each has a binding of the same name."""
REGISTRATION = "admissionregistration.k8s.io/v1"
POLICY_KIND = "ValidatingAdmissionPolicy"
BINDING_KIND = "ValidatingAdmissionPolicyBinding"

APPROVE = "approve"
"""The verb that an approver needs on the subresource `subresource_of(action)` of the target. Nothing else knows it."""
RISKY = tuple(action for action in Action if action not in (Action.LOG, Action.NOTIFY))
"""Actions that change something; each has a ClusterRole refit-approver-... of its own."""

OPERATOR_MAY_NOT_DECIDE = "the operator may not decide"
COLLECTORS = (
    "system:serviceaccount:kube-system:generic-garbage-collector",
    "system:kube-controller-manager",
)
"""The names under which Kubernetes' garbage collector tidies owner references."""


def subresource_of(action: Action) -> str:
    """The subresource of modeldeployments that stands for an action where rights are given."""
    return action.lower()


def objects(identity: str) -> tuple[Manifest, ...]:
    """Both policies and their bindings, for an operator with that user name."""
    return (
        _policy(APPROVAL, _on(("UPDATE",), f"{meta.REQUESTS}/status"), _approval(identity)),
        _binding(APPROVAL),
        _policy(REQUESTER, _on(("CREATE", "UPDATE"), meta.REQUESTS), _requester(identity)),
        _binding(REQUESTER),
    )


def _approval(identity: str) -> Manifest:
    action, target = "oldObject.spec.action", "oldObject.spec.targetRef.name"
    rules = "oldObject.?status.?proposal.?approval"
    return {
        "variables": [
            _variable("me", "request.userInfo.username"),
            _variable("groups", "request.userInfo.?groups.orValue([])"),
            _variable("operator", f"variables.me == {_literal(identity)}"),
            _variable("old", "oldObject.?status.?approvals.orValue({})"),
            _variable("new", "object.?status.?approvals.orValue({})"),
            _variable("changed", "variables.new != variables.old"),
            _variable("needed", f"{rules}.?requiredGroup.orValue('')"),
            _variable("before", "has(oldObject.status) ? dyn(oldObject.status) : dyn({})"),
            _variable("after", "has(object.status) ? dyn(object.status) : dyn({})"),
            _variable("ownAllowed", f"{rules}.?requesterMayApprove.orValue(false)"),
        ],
        "validations": [
            # First, so that it is what the operator's own test of the guard meets, whatever else is wrong.
            {"expression": "!(variables.changed && variables.operator)", "message": OPERATOR_MAY_NOT_DECIDE},
            {
                "expression": "variables.old.all(k, k in variables.new && variables.new[k] == variables.old[k])",
                "message": "a decision is final",
            },
            {
                "expression": "variables.new.all(k, k in variables.old || k == variables.me)",
                "message": "you may decide only under your own user name (kubectl auth whoami)",
            },
            {
                "expression": (
                    f"!variables.changed || authorizer.group('{meta.GROUP}').resource('{meta.DEPLOYMENTS}')"
                    f".subresource({action}.lowerAscii()).namespace(request.namespace).name({target})"
                    f".check('{APPROVE}').allowed()"
                ),
                "messageExpression": f"variables.me + ' may not approve ' + {action} + ' of ' + {target}",
                "reason": "Forbidden",
            },
            {
                "expression": (
                    "!variables.changed || variables.ownAllowed || variables.me != oldObject.spec.requestedBy"
                ),
                "message": "requester and approver must differ",
            },
            {
                "expression": "!variables.changed || variables.needed == '' || variables.needed in variables.groups",
                "messageExpression": "'only members of ' + variables.needed + ' may decide on this proposal'",
                "reason": "Forbidden",
            },
            {
                "expression": (
                    "!variables.changed || (variables.me in variables.new && "
                    "variables.new[variables.me].?groups.orValue([]).all(g, g in variables.groups))"
                ),
                "message": "groups may name only groups that you are in (kubectl auth whoami)",
            },
            {
                "expression": (
                    f"!variables.changed || oldObject.?status.?phase.orValue('') == '{RequestPhase.AWAITING_APPROVAL}'"
                ),
                "messageExpression": (
                    "'not awaiting approval: the request is ' + oldObject.?status.?phase.orValue('not looked at yet')"
                ),
            },
            {
                "expression": (
                    "!variables.changed || (variables.me in variables.new && "
                    "variables.new[variables.me].proposalDigest == oldObject.?status.?proposal.?digest.orValue(''))"
                ),
                "message": "proposalDigest differs from the current proposal; review again",
            },
            {
                "expression": (
                    "variables.operator || (variables.after.all(k, k == 'approvals' ||"
                    " (k in variables.before && variables.after[k] == variables.before[k]))"
                    " && variables.before.all(k, k == 'approvals' || k in variables.after))"
                ),
                "message": "you may change only status.approvals",
            },
        ],
        "auditAnnotations": [
            {
                "key": "decision",
                "valueExpression": (
                    "variables.changed && variables.me in variables.new ? variables.me + ' ' "
                    "+ variables.new[variables.me].decision + ' ' + variables.new[variables.me].proposalDigest : ''"
                ),
            }
        ],
    }


def _requester(identity: str) -> Manifest:
    collectors = ", ".join(_literal(name) for name in COLLECTORS)
    return {
        "variables": [
            _variable("me", "request.userInfo.username"),
            _variable("operator", f"variables.me == {_literal(identity)}"),
            _variable("collector", f"variables.me in [{collectors}]"),
            _variable("created", "request.operation == 'CREATE'"),
            _variable("oldManager", f"variables.created ? '' : {_label('oldObject')}"),
            _variable("oldOwners", f"variables.created ? [] : {_owners('oldObject')}"),
        ],
        "validations": [
            {
                "expression": "!variables.created || object.spec.requestedBy == variables.me",
                "message": "spec.requestedBy must be your own user name (kubectl auth whoami)",
            },
            {
                "expression": (
                    f"variables.operator || ({_label('object')} == '{meta.MANAGED_BY}') == "
                    f"(variables.oldManager == '{meta.MANAGED_BY}')"
                ),
                "message": f"the label {meta.LABEL_MANAGED_BY}={meta.MANAGED_BY} is the operator's to give and to take",
            },
            {
                "expression": (
                    f"variables.operator || variables.collector || {_owners('object')} == variables.oldOwners"
                ),
                "message": "an owner reference to a ModelDeployment is the operator's to give and to take",
            },
        ],
    }


def _label(of: str) -> str:
    return f"{of}.metadata.?labels[?{_literal(meta.LABEL_MANAGED_BY)}].orValue('')"


def _owners(of: str) -> str:
    """The owner references of ours, as a CEL list."""
    return f"{of}.metadata.?ownerReferences.orValue([]).filter(o, o.apiVersion.startsWith('{meta.GROUP}/'))"


def _literal(text: str) -> str:
    """Text in CEL's single quotes: a user name may hold anything."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _variable(name: str, expression: str) -> dict[str, str]:
    return {"name": name, "expression": expression}


def _on(operations: tuple[str, ...], resource: str) -> Manifest:
    """Which requests a policy is asked about.

    What the API server would fill in is written out, so that what is read back is what was sent, and a test of the
    guard can compare all of it. Equivalent covers versions to come; a wildcard would too, but the API server checks
    no types where there is one.
    """
    return {
        "matchPolicy": "Equivalent",
        "namespaceSelector": {},
        "objectSelector": {},
        "resourceRules": [
            {
                "apiGroups": [meta.GROUP],
                "apiVersions": [meta.VERSION],
                "operations": list(operations),
                "resources": [resource],
                "scope": "*",
            }
        ],
    }


def _policy(name: str, matched: Manifest, rules: Manifest) -> Manifest:
    return {
        "apiVersion": REGISTRATION,
        "kind": POLICY_KIND,
        "metadata": {"name": name, "labels": _labels()},
        "spec": {"failurePolicy": "Fail", "matchConstraints": matched, **rules},
    }


def _binding(name: str) -> Manifest:
    return {
        "apiVersion": REGISTRATION,
        "kind": BINDING_KIND,
        "metadata": {"name": name, "labels": _labels()},
        "spec": {"policyName": name, "validationActions": ["Deny", "Audit"]},
    }


def _labels() -> dict[str, str]:
    return {"app.kubernetes.io/name": "refit-guard", "app.kubernetes.io/part-of": "refit"}
