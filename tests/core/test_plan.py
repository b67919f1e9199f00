from __future__ import annotations

import json
from typing import Any

import pytest

from refit.api import jobs
from refit.core.observed import Manifest, Observed
from refit.core.plan import plan
from worlds import CONFIG, NOW, deployment, spec


def declared(**data: Any) -> Observed:
    found = spec()
    return Observed(deployment=deployment(spec=found.model_copy(update={"data": found.data.model_copy(update=data)})))


def environment_of(job: Manifest) -> dict[str, str]:
    [container] = job["spec"]["template"]["spec"]["containers"]
    return {item["name"]: item.get("value", "") for item in container["env"]}


@pytest.mark.parametrize(
    "column",
    [
        pytest.param("$(KUBERNETES_SERVICE_HOST)", id="what the kubelet would replace"),
        pytest.param("a$$b", id="two dollars"),
        pytest.param("`touch /tmp/x`; $(touch /tmp/y)", id="what a shell would run"),
    ],
)
def test_text_of_a_spec_reaches_the_trainer_as_it_was_written(column: str) -> None:
    [job] = plan(declared(ignore=(column,)), NOW, CONFIG).create
    # The kubelet's rule: $$ becomes $, and $(NAME) is replaced only where its dollar is single.
    seen = environment_of(job)[jobs.DEPLOYMENT].replace("$$", "$")
    assert json.loads(seen)["spec"]["data"]["ignore"] == [column]
    single = environment_of(job)[jobs.DEPLOYMENT].replace("$$", "")
    assert "$" not in single


def test_a_spec_that_would_not_fit_a_pods_environment_is_refused_by_name() -> None:
    expectation = {"type": "expect_column_values_to_be_in_set", "kwargs": {"column": "x", "value_set": ["y" * 70000]}}
    found = spec().model_dump(mode="json", by_alias=True)
    found["data"]["expectations"] = [expectation]
    whole = type(spec()).model_validate(found)
    wanted = plan(Observed(deployment=deployment(spec=whole)), NOW, CONFIG)
    ready = next(condition for condition in wanted.status.conditions if condition.type == "Ready")
    assert (wanted.create, ready.reason) == ((), "InvalidSpec")
    assert "spec.data.expectations" in ready.message
