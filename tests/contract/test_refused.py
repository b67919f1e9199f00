"""Bad specs, and the field each refusal names: a valid sample with just what the row says changed."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Final

import pytest

from refit.api import meta
from refit.api.modeldeployment import SPEC_LIMIT, size, spec_of
from refit_cluster.client import Answer, Client

pytestmark = pytest.mark.contract

Samples = Mapping[str, Mapping[str, Any]]

GONE: Final = object()
"""In place of a value: the field is left out."""

URI = "spec.data.source.uri"
COLUMNS = "spec.data.columns"
CANDIDATE = "spec.training.candidates.0"
LIMITS = "spec.serving.resources.limits"
SELECTION = "spec.training.selection"
THRESHOLD = "spec.monitoring.drift.threshold"
SCHEDULE = "spec.training.schedule"
PARAMETERS = "spec.parameters"
REGRESSION = {"spec.task": "Regression", SELECTION: {"metric": "rmse"}}
TWO_COLUMNS = {"name": "num"}, {"name": "age"}
NUMBERS_ONLY = "should match '^-?[0-9]"
A_SHARE = "should match '^(0"
INWARD = "must not point at the machine itself or at a metadata service"
ONE_OF_THREE = "must name what to read: s3://bucket/key, pvc://claim/path or configmap://name/key"
LOWER_CASE = "the name of a bucket, claim or config map holds a-z, 0-9, '-' and '.' only"


def changed(sample: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The sample with values set at dotted paths; a number in a path is a place in a list."""
    whole = copy.deepcopy(dict(sample))
    for path, value in changes.items():
        *way, last = path.split(".")
        at: Any = whole
        for step in way:
            at = at[int(step)] if isinstance(at, list) else at.setdefault(step, {})
        if value is GONE:
            del at[last]
        else:
            at[last] = value
    return whole


def tried(admin: Client, manifest: Mapping[str, Any]) -> Answer:
    plural = meta.DEPLOYMENTS if manifest["kind"] == meta.DEPLOYMENT_KIND else meta.REQUESTS
    return admin.create(f"/apis/{meta.API_VERSION}/namespaces/default/{plural}", manifest, dryRun="All")


def refused(id: str, changes: Mapping[str, Any], field: str, says: str) -> Any:  # noqa: A002  # pytest's word
    return pytest.param(changes, field, says, id=id)


SHAPE = [
    refused("a spec is required", {"spec": GONE}, "spec", "Required value"),
    refused("data is required", {"spec.data": GONE}, "spec.data", "Required value"),
    refused("a source is required", {"spec.data.source": GONE}, "spec.data.source", "Required value"),
    refused("an address is required", {URI: GONE}, URI, "Required value"),
    refused("a target is required", {"spec.data.target": GONE}, "spec.data.target", "Required value"),
    refused("training is required", {"spec.training": GONE}, "spec.training", "Required value"),
    refused("a candidate is required", {"spec.training.candidates": []}, "spec.training.candidates", "at least 1 item"),
    refused("a secret reference names the secret", {"spec.data.source.secretRef": {}}, "spec.data.source.secretRef.name", "Required value"),
    refused("a task is written as the list has it", {"spec.task": "classification"}, "spec.task", 'supported values: "Classification", "Regression"'),
    refused("an algorithm is one of the list", {f"{CANDIDATE}.algorithm": "SVM"}, "spec.training.candidates[0].algorithm", '"LightGBM"'),
    refused("a mode is written as the list has it", {"spec.remediation.mode": "act"}, "spec.remediation.mode", 'supported values: "Observe", "Act"'),
    refused("a policy is one of the presets", {"spec.remediation.policy": "seed"}, "spec.remediation.policy", '"seed-visual"'),
    refused("a count is no string", {"spec.training.folds": "5"}, "spec.training.folds", 'must be of type integer: "string"'),
    refused("a duration is a count of hours", {"spec.monitoring.window.hours": "24h"}, "spec.monitoring.window.hours", "must be of type integer"),
    refused("arguments of an expectation are no list", {"spec.data.expectations": [{"type": "expect_x", "kwargs": [1]}]}, "spec.data.expectations[0].kwargs", "must be of type object"),
    refused("a name has forty characters at most", {"metadata.name": "a" * 41}, "metadata.name", "at most 40 characters"),
    refused("a name has no upper case", {"metadata.name": "Heart"}, "metadata.name", "lowercase RFC 1123"),
    refused("a name does not start with a digit", {"metadata.name": "1heart"}, "metadata.name", "starts with a letter"),
    refused("a name has no dot", {"metadata.name": "a.b"}, "metadata.name", "at most 40 characters of a-z, 0-9 and '-'"),
]  # fmt: skip

NUMBERS = [
    refused("a threshold above 1", {THRESHOLD: "1.7"}, THRESHOLD, A_SHARE),
    refused("a threshold below 0", {THRESHOLD: "-0.1"}, THRESHOLD, A_SHARE),
    refused("a threshold that is no number", {THRESHOLD: "NaN"}, THRESHOLD, A_SHARE),
    refused("an empty threshold", {THRESHOLD: ""}, THRESHOLD, A_SHARE),
    refused("a threshold with a newline", {THRESHOLD: "0.1\n"}, THRESHOLD, A_SHARE),
    refused("a decimal without quotes", {THRESHOLD: 0.3}, THRESHOLD, 'must be of type string: "number"'),
    refused("a feature's threshold above 1", {"spec.monitoring.drift.features": [{"column": "a", "threshold": "2"}]}, "spec.monitoring.drift.features[0].threshold", A_SHARE),
    refused("an alpha of 0", {"spec.monitoring.drift.alpha": "0.00"}, "spec.monitoring.drift.alpha", "must be greater than 0, or nothing ever drifts"),
    refused("a bound with a space", {COLUMNS: [{"name": "num", "min": " 1"}, {"name": "age"}]}, "spec.data.columns[0].min", NUMBERS_ONLY),
    refused("a bound in hexadecimal", {COLUMNS: [{"name": "num", "max": "0x10"}, {"name": "age"}]}, "spec.data.columns[0].max", NUMBERS_ONLY),
    refused("no replica", {"spec.serving.minReplicas": 0}, "spec.serving.minReplicas", "greater than or equal to 1"),
    refused("too many replicas", {"spec.serving.maxReplicas": 65}, "spec.serving.maxReplicas", "less than or equal to 64"),
    refused("most of the requests for a canary", {"spec.serving.canary": {"percent": 51}}, "spec.serving.canary.percent", "less than or equal to 50"),
    refused("a canary of a moment", {"spec.serving.canary": {"seconds": 29}}, "spec.serving.canary.seconds", "greater than or equal to 30"),
    refused("a canary that no request judges", {"spec.serving.canary": {"minRequests": 0}}, "spec.serving.canary.minRequests", "greater than or equal to 1"),
    refused("more replicas at least than at most", {"spec.serving": {"minReplicas": 5, "maxReplicas": 2}}, "spec.serving.minReplicas", "minReplicas must not be greater than maxReplicas"),
    refused("memory in Gb", {f"{LIMITS}.memory": "10Gb"}, f"{LIMITS}.memory", "(Ki|Mi|Gi|Ti|k|M|G|T)"),
    refused("memory as a float", {f"{LIMITS}.memory": 1e30}, f"{LIMITS}.memory", "must be of type integer,string"),
    refused("memory with an exponent", {f"{LIMITS}.memory": "1e30"}, f"{LIMITS}.memory", "must be from 16Mi to 16Ti"),
    refused("memory whose unit was forgotten", {f"{LIMITS}.memory": 512}, f"{LIMITS}.memory", "a number without a unit counts bytes"),
    refused("memory below zero", {f"{LIMITS}.memory": -1}, f"{LIMITS}.memory", "must be from 16Mi to 16Ti"),
    refused("memory that no machine has", {f"{LIMITS}.memory": "9999999999999Ti"}, f"{LIMITS}.memory", "must be from 16Mi to 16Ti"),
    refused("a negative processor", {f"{LIMITS}.cpu": "-1"}, f"{LIMITS}.cpu", "must be from 1m to 512"),
    refused("a negative processor without quotes", {f"{LIMITS}.cpu": -1}, f"{LIMITS}.cpu", "must be from 1m to 512"),
    refused("no processor", {f"{LIMITS}.cpu": 0}, f"{LIMITS}.cpu", "must be from 1m to 512"),
    refused("half a processor without quotes", {f"{LIMITS}.cpu": 0.5}, f"{LIMITS}.cpu", "must be of type integer,string"),
    refused("a request above its limit", {"spec.serving.resources": {"requests": {"cpu": "4"}, "limits": {"cpu": "1500m"}}}, "spec.serving.resources.requests.cpu", "a request must not exceed the limit of cpu"),
    refused("memory requested above its limit", {"spec.training.resources": {"requests": {"memory": "1Gi"}, "limits": {"memory": "1G"}}}, "spec.training.resources.requests.memory", "a request must not exceed the limit of memory"),
    refused("scaling by use of a processor that nobody requests", {"spec.serving": {"maxReplicas": 3, "resources": {"requests": {"memory": "1Gi"}}}}, "spec.serving.resources", "needs a request or a limit of cpu"),
    refused("one fold", {"spec.training.folds": 1}, "spec.training.folds", "greater than or equal to 2"),
    refused("eleven folds", {"spec.training.folds": 11}, "spec.training.folds", "less than or equal to 10"),
    refused("nothing held out", {"spec.data.split.testPercent": 0}, "spec.data.split.testPercent", "greater than or equal to 5"),
    refused("most held out", {"spec.data.split.testPercent": 60}, "spec.data.split.testPercent", "less than or equal to 50"),
    refused("an interval of ten seconds", {"spec.monitoring.intervalSeconds": 10}, "spec.monitoring.intervalSeconds", "greater than or equal to 60"),
    refused("a window of no length", {"spec.monitoring.window.hours": 0}, "spec.monitoring.window.hours", "greater than or equal to 1"),
    refused("nobody to approve", {"spec.remediation.approval.approvals": 0}, "spec.remediation.approval.approvals", "greater than or equal to 1"),
    refused("seventeen to approve", {"spec.remediation.approval.approvals": 17}, "spec.remediation.approval.approvals", "less than or equal to 16"),
]  # fmt: skip

SCHEDULES = [
    refused("six fields", {SCHEDULE: "0 * * * * *"}, SCHEDULE, "should match"),
    refused("four fields", {SCHEDULE: "* * * *"}, SCHEDULE, "should match"),
    refused("a nickname", {SCHEDULE: "@every 1ms"}, SCHEDULE, "should match"),
    refused("a character that cron does not know", {SCHEDULE: "* * * * ;"}, SCHEDULE, "should match"),
    refused("minute 61", {SCHEDULE: "61 * * * *"}, SCHEDULE, "the minute field takes 0-59"),
    refused("a step of 0", {SCHEDULE: "*/0 * * * *"}, SCHEDULE, "the minute field takes 0-59"),
    refused("a range without an end", {SCHEDULE: "1- * * * *"}, SCHEDULE, "the minute field takes 0-59"),
    refused("hour 24", {SCHEDULE: "0 24 * * *"}, SCHEDULE, "the hour field takes 0-23"),
    refused("day 0", {SCHEDULE: "0 0 0 * *"}, SCHEDULE, "the day field takes 1-31, L or LW"),
    refused("month 13", {SCHEDULE: "0 0 1 13 *"}, SCHEDULE, "the month field takes 1-12 or JAN-DEC"),
    refused("weekday 8", {SCHEDULE: "0 0 * * 8"}, SCHEDULE, "the weekday field takes 0-7 or SUN-SAT"),
    refused("words", {SCHEDULE: "foo * * * *"}, SCHEDULE, "the minute field takes 0-59"),
]  # fmt: skip

ADDRESSES = [
    refused("a file of the pod", {URI: "file:///etc/passwd"}, URI, "must start with https://, http://, s3://"),
    refused("an unknown scheme", {URI: "ftp://data.example/x"}, URI, "must start with https://, http://, s3://"),
    refused("no address", {URI: ""}, URI, "at least 1 chars long"),
    refused("the metadata service", {URI: "http://169.254.169.254/latest/meta-data"}, URI, INWARD),
    refused("the metadata service by name", {URI: "http://metadata.google.internal/x"}, URI, INWARD),
    refused("localhost", {URI: "http://localhost:8080/x"}, URI, INWARD),
    refused("localhost in upper case", {URI: "http://LOCALHOST/x"}, URI, INWARD),
    refused("localhost with a final dot", {URI: "http://localhost./x"}, URI, INWARD),
    refused("a name below localhost", {URI: "http://a.localhost/x"}, URI, INWARD),
    refused("a loopback address", {URI: "https://127.1/x"}, URI, INWARD),
    refused("a loopback address as one number", {URI: "http://2130706433/x"}, URI, INWARD),
    refused("a loopback address in hexadecimal", {URI: "http://0x7f000001/x"}, URI, INWARD),
    refused("a loopback address in octal", {URI: "http://0177.0.0.1/x"}, URI, INWARD),
    refused("every address", {URI: "http://0.0.0.0/x"}, URI, INWARD),
    refused("an IPv6 address", {URI: "http://[::1]/x"}, URI, INWARD),
    refused("a way up", {URI: "pvc://claim/a/../../etc"}, URI, "must not contain '..'"),
    refused("a way up at the end", {URI: "pvc://claim/.."}, URI, "must not contain '..'"),
    refused("a way up, encoded", {URI: "https://data.example/%2E%2e/x"}, URI, "must not contain '..'"),
    refused("a NUL", {URI: "https://data.example/\0x"}, URI, "without spaces or control characters"),
    refused("a newline", {URI: "https://data.example/x\nHost: y"}, URI, "without spaces or control characters"),
    refused("a space", {URI: "https://data.example/a b"}, URI, "without spaces or control characters"),
    refused("ten kilobytes", {URI: "https://data.example/" + "x" * 10240}, URI, "may not be more than 1024 bytes"),
    refused("a password", {URI: "https://user:pass@data.example/x"}, URI, "must not hold a user name or password"),
    refused("a user name", {URI: "https://user@data.example/x"}, URI, "must not hold a user name or password"),
    refused("a scheme alone", {URI: "s3://"}, URI, "must be scheme://host/path"),
    refused("a bucket without a key", {URI: "s3://bucket/"}, URI, ONE_OF_THREE),
    refused("a claim without a path", {URI: "pvc://claim"}, URI, ONE_OF_THREE),
    refused("a claim in upper case", {URI: "pvc://CLAIM/x"}, URI, LOWER_CASE),
    refused("a claim with a port", {URI: "pvc://claim:80/x"}, URI, LOWER_CASE),
    refused("a config map's key with a slash", {URI: "configmap://name/a/b"}, URI, "the key of a config map"),
    refused("an unknown sample", {URI: "sample://iris"}, URI, "sample://heart-disease and sample://ames-housing"),
    refused("a digest in upper case", {"spec.data.source.sha256": "A" * 64}, "spec.data.source.sha256", "should match '^[0-9a-f]{64}$'"),
    refused("a digest cut short", {"spec.data.source.sha256": "a" * 63}, "spec.data.source.sha256", "should match '^[0-9a-f]{64}$'"),
    refused("a secret's name with a slash", {"spec.data.source.secretRef.name": "a/b"}, "spec.data.source.secretRef.name", "should match"),
]  # fmt: skip

DATA = [
    refused("a column twice", {COLUMNS: [*TWO_COLUMNS, {"name": "num"}]}, "spec.data.columns[2]", "Duplicate value"),
    refused("a column's minimum above its maximum", {COLUMNS: [{"name": "num", "min": "10", "max": "9"}, {"name": "age"}]}, "spec.data.columns[0].min", "min must not be greater than max"),
    refused("categories of a number", {COLUMNS: [{"name": "num", "categories": ["1"]}, {"name": "age"}]}, "spec.data.columns[0].type", "categories are for columns of type Category"),
    refused("bounds of a category", {COLUMNS: [{"name": "num", "type": "Category", "max": "1"}, {"name": "age"}]}, "spec.data.columns[0].type", "min and max are for columns of type Number"),
    refused("a target that is no column", {COLUMNS: [{"name": "age"}, {"name": "sex"}]}, "spec.data.target.column", "must be one of data.columns"),
    refused("a target and no feature", {COLUMNS: [{"name": "num"}]}, COLUMNS, "columns must hold the target and at least one feature"),
    refused("a target that is ignored", {"spec.data.ignore": ["num"]}, "spec.data.ignore", "must not hold the target"),
    refused("a column that is ignored", {COLUMNS: [*TWO_COLUMNS], "spec.data.ignore": ["age"]}, "spec.data.ignore", "either in columns or ignored"),
    refused("a column ignored twice", {"spec.data.ignore": ["a", "a"]}, "spec.data.ignore[1]", "Duplicate value"),
    refused("a column without a name", {"spec.data.target.column": ""}, "spec.data.target.column", "at least 1 chars long"),
    refused("a column with a newline", {"spec.data.target.column": "a\nb"}, "spec.data.target.column", "should match"),
    refused("a column with a name of 129 characters", {"spec.data.target.column": "a" * 129}, "spec.data.target.column", "may not be more than 128 bytes"),
    refused("more than 256 columns", {COLUMNS: [{"name": f"c{n}"} for n in range(257)]}, COLUMNS, "must have at most 256 items"),
    refused("positiveWhen that compares nothing", {"spec.data.target.positiveWhen": "import os"}, "spec.data.target.positiveWhen", "should match"),
    refused("positiveWhen that orders words", {"spec.data.target.positiveWhen": "> yes"}, "spec.data.target.positiveWhen", "less and more compare with a number"),
    refused("positiveWhen of a regression", {**REGRESSION, "spec.data.target.positiveWhen": "> 0"}, "spec.data.target.positiveWhen", "positiveWhen is for Classification"),
    refused("an expectation that is none", {"spec.data.expectations": [{"type": "os.system"}]}, "spec.data.expectations[0].type", "should match '^expect_"),
    refused("seventeen arguments of an expectation", {"spec.data.expectations": [{"type": "expect_x", "kwargs": {str(n): n for n in range(17)}}]}, "spec.data.expectations[0].kwargs", "must have at most 16 items"),
    refused("a feature whose name is no word", {"spec.data.features": [{"name": "a b", "expression": "x"}]}, "spec.data.features[0].name", "should match"),
    refused("a feature that is a program", {"spec.data.features": [{"name": "a", "expression": "__import__('os')"}]}, "spec.data.features[0].expression", "only + - * / ( ), numbers, column names"),
    refused("a feature named as a column", {COLUMNS: [*TWO_COLUMNS], "spec.data.features": [{"name": "age", "expression": "num"}]}, "spec.data.features", "a name that no column has"),
    refused("a feature named as the target", {"spec.data.features": [{"name": "num", "expression": "age"}]}, "spec.data.features", "a name that no column has"),
    refused("a mask of no column", {COLUMNS: [*TWO_COLUMNS], "spec.serving.requestLog.mask": ["aeg"]}, "spec.serving.requestLog.mask", "must name columns of data.columns"),
]  # fmt: skip

TRAINING = [
    refused("a metric of the other task", {SELECTION: {"metric": "rmse"}}, f"{SELECTION}.metric", "this metric does not belong to the task"),
    refused("a regression with the default metric", {"spec.task": "Regression"}, f"{SELECTION}.metric", "this metric does not belong to the task"),
    refused("a minimum for rmse", {"spec.task": "Regression", SELECTION: {"metric": "rmse", "minimum": "1"}}, f"{SELECTION}.minimum", "less is better for this metric: use maximum"),
    refused("a maximum for f1", {SELECTION: {"metric": "f1", "maximum": "1"}}, f"{SELECTION}.maximum", "more is better for this metric: use minimum"),
    refused("a minimum of 1.5", {SELECTION: {"metric": "f1", "minimum": "1.5"}}, f"{SELECTION}.minimum", "must be a number from 0 to 1"),
    refused("a minimum below 0", {SELECTION: {"metric": "f1", "minimum": "-0.1"}}, f"{SELECTION}.minimum", "must be a number from 0 to 1"),
    refused("a maximum of 0", {SELECTION: {"metric": "log_loss", "maximum": "0"}}, f"{SELECTION}.maximum", "must be greater than 0"),
    refused("LogisticRegression for a regression", {**REGRESSION, f"{CANDIDATE}.algorithm": "LogisticRegression"}, "spec.training.candidates", "LogisticRegression is for Classification"),
    refused("LinearRegression for a classification", {f"{CANDIDATE}.algorithm": "LinearRegression"}, "spec.training.candidates", "LinearRegression for Regression"),
    refused("a parameter both fixed and varied", {f"{CANDIDATE}.parameters": {"eta": "1"}, f"{CANDIDATE}.grid": {"eta": ["1", "2"]}}, "spec.training.candidates[0].grid", "either fixed in parameters or varied in grid"),
    refused("a parameter named $(HOME)", {f"{CANDIDATE}.parameters": {"$(HOME)": "1"}}, "spec.training.candidates[0].parameters", "letters, digits and underscores"),
    refused("a varied parameter named with a space", {f"{CANDIDATE}.grid": {"a b": ["1"]}}, "spec.training.candidates[0].grid", "letters, digits and underscores"),
    refused("a parameter that is a number", {f"{CANDIDATE}.parameters": {"eta": 0.1}}, "spec.training.candidates[0].parameters.eta", 'must be of type string: "number"'),
    refused("a parameter varied over nothing", {f"{CANDIDATE}.grid": {"eta": []}}, "spec.training.candidates[0].grid.eta", "at least 1 item"),
    refused("65 combinations and more", {f"{CANDIDATE}.grid": {"a": list("12345"), "b": list("1234567"), "c": list("12")}}, "spec.training.candidates[0].grid", "a grid has at most 64 combinations"),
    refused("seventeen candidates", {"spec.training.candidates": [{"algorithm": "XGBoost"}] * 17}, "spec.training.candidates", "must have at most 16 items"),
    refused("quality by a metric of the other task", {"spec.monitoring.quality": [{"metric": "rmse", "maximum": "3"}]}, "spec.monitoring.quality", "a metric does not belong to the task"),
    refused("quality without a bound", {"spec.monitoring.quality": [{"metric": "f1"}]}, "spec.monitoring.quality[0]", "a bound is missing: minimum or maximum"),
    refused("quality bounded on the wrong side", {"spec.monitoring.quality": [{"metric": "f1", "maximum": "1"}]}, "spec.monitoring.quality[0].maximum", "more is better for this metric: use minimum"),
    refused("a query without a bound", {"spec.monitoring.queries": [{"name": "a", "promql": "up"}]}, "spec.monitoring.queries[0]", "a bound is missing: min or max"),
    refused("a query's minimum above its maximum", {"spec.monitoring.queries": [{"name": "a", "promql": "up", "min": "2", "max": "1"}]}, "spec.monitoring.queries[0].min", "min must not be greater than max"),
    refused("columns of 32 KiB and more", {COLUMNS: [{"name": "num"}, *({"name": f"c{n}", "type": "Category", "categories": ["x" * 60] * 8} for n in range(80))]}, "spec", "together at most 32768 characters"),
    refused("parameters of 32 KiB and more", {"spec.training.candidates": [{"algorithm": "XGBoost", "parameters": {f"k{n:060}": "v" * 64 for n in range(32)}}] * 10}, "spec", "together at most 32768 characters"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "field", "says"), [*SHAPE, *NUMBERS, *SCHEDULES, *ADDRESSES, *DATA, *TRAINING])
def test_a_deployment_is_refused(
    admin: Client, sample: Samples, changes: dict[str, Any], field: str, says: str
) -> None:
    answer = tried(admin, changed(sample["minimal"], changes))
    assert (answer.code, answer.fields, says in answer.message) == (422, (field,), True), answer.message


REQUESTS = [
    refused("an action that is not offered", {"spec.action": "Delete"}, "spec.action", '"Rollback", "ChangeConfig"'),
    refused("an action in lower case", {"spec.action": "retrain"}, "spec.action", "supported values"),
    refused("a target is required", {"spec.targetRef": GONE}, "spec.targetRef", "Required value"),
    refused("a target in upper case", {"spec.targetRef.name": "Heart"}, "spec.targetRef.name", "should match"),
    refused("a requester is required", {"spec.requestedBy": GONE}, "spec.requestedBy", "Required value"),
    refused("an empty requester", {"spec.requestedBy": ""}, "spec.requestedBy", "at least 1 chars long"),
    refused("a trigger is required", {"spec.trigger": GONE}, "spec.trigger", "Required value"),
    refused("a trigger in lower case", {"spec.trigger.type": "human"}, "spec.trigger.type", '"Alert", "Drift"'),
    refused("a rollback to nowhere", {"spec.action": "Rollback"}, PARAMETERS, "toVersion is needed by Rollback"),
    refused("a promotion of nothing", {"spec.action": "Promote"}, PARAMETERS, "toVersion is needed by Rollback"),
    refused("version 0", {"spec.action": "Rollback", f"{PARAMETERS}.toVersion": 0}, f"{PARAMETERS}.toVersion", "greater than or equal to 1"),
    refused("a scaling to no number", {"spec.action": "Scale"}, PARAMETERS, "replicas is needed by Scale"),
    refused("a scaling to zero", {"spec.action": "Scale", f"{PARAMETERS}.replicas": 0}, f"{PARAMETERS}.replicas", "greater than or equal to 1"),
    refused("a change of nothing", {"spec.action": "ChangeConfig", f"{PARAMETERS}.config": {}}, PARAMETERS, "config is needed by ChangeConfig"),
    refused("a version for a retraining", {f"{PARAMETERS}.toVersion": 3}, PARAMETERS, "and only by them"),
    refused("replicas for a retraining", {f"{PARAMETERS}.replicas": 3}, PARAMETERS, "and only by it"),
    refused("a change with a key of five kilobytes", {"spec.action": "ChangeConfig", f"{PARAMETERS}.config": {"k" * 5000: "1"}}, f"{PARAMETERS}.config", "at most 128 letters"),
    refused("an end without a zone", {"spec.expiresAt": "2027-01-01T00:00:00"}, "spec.expiresAt", "must be of type date-time"),
    refused("an end in words", {"spec.expiresAt": "tomorrow"}, "spec.expiresAt", "must be of type date-time"),
    refused("a note of more than a kilobyte", {"spec.note": "x" * 1025}, "spec.note", "may not be more than 1024 bytes"),
    refused("33 alerts", {"spec.trigger.alerts": [{"name": "a", "fingerprint": "b"}] * 33}, "spec.trigger.alerts", "must have at most 32 items"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "field", "says"), REQUESTS)
def test_a_request_is_refused(admin: Client, sample: Samples, changes: dict[str, Any], field: str, says: str) -> None:
    answer = tried(admin, changed(sample["request-minimal"], changes))
    assert (answer.code, answer.fields, says in answer.message) == (422, (field,), True), answer.message


@pytest.mark.parametrize(
    ("name", "path"),
    [
        pytest.param("minimal", "spec.thresold", id="at the top of a spec"),
        pytest.param("minimal", "spec.data.source.url", id="deep in a spec"),
        pytest.param("request-minimal", "spec.paramters", id="in a request"),
    ],
)
def test_an_unknown_field_is_refused_by_name(admin: Client, sample: Samples, name: str, path: str) -> None:
    answer = tried(admin, changed(sample[name], {path: "x"}))
    assert (answer.code, answer.message.rpartition(": ")[2]) == (400, f'unknown field "{path}"')


def test_the_task_never_changes(admin: Client, sample: Samples) -> None:
    path = f"/apis/{meta.API_VERSION}/namespaces/default/{meta.DEPLOYMENTS}"
    admin.create(path, changed(sample["minimal"], {"metadata.name": "fixed"})).accepted()
    try:
        answer = admin.merge(
            f"{path}/fixed", {"spec": {"task": "Regression", "training": {"selection": {"metric": "r2"}}}}
        )
        assert (answer.code, answer.fields) == (422, ("spec.task",))
        assert "the task of a model is immutable; create a new ModelDeployment" in answer.message
    finally:
        admin.delete(f"{path}/fixed").accepted()


def test_what_no_schema_can_bound_is_counted_by_the_types(admin: Client, sample: Samples) -> None:
    """Arguments of expectations are free, so their length is the operator's to refuse (InvalidSpec)."""
    arguments = {"column": "age", "value_set": ["x" * 1000] * 70}
    spec = changed(sample["minimal"], {"spec.data.expectations": [{"type": "expect_x", "kwargs": arguments}]})
    assert size(spec_of(tried(admin, spec).accepted())) > SPEC_LIMIT
