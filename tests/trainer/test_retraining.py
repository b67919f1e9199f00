"""Retrainings: real models, a real collector and a real MLflow."""

from __future__ import annotations

from typing import Any

from clinics import Clinic
from drifting import WINDOW, order_of, patients, positives, served
from refit.api.outcome import Shadow
from refit.api.results import Registered, TrainingOutcome


def order(champion: Registered, rows: str = "Append", **changes: Any) -> dict[str, Any]:
    return {"champion": order_of(champion).wire(), "rows": rows, "window": WINDOW, "request": "repair-1", **changes}


def test_a_turned_world_is_learned_and_the_challenger_wins(clinic: Clinic) -> None:
    champion = clinic.first()
    turned = patients(1200, 2, turned=True)
    clinic.log.requests(served(champion), turned)
    clinic.log.labels(positives(turned))
    code, result, _ = clinic.train("again", order(champion))
    assert (code, result.outcome, result.rows) == (0, TrainingOutcome.REGISTERED, 1600)
    assert result.comparison is not None
    assert result.comparison.better
    assert float(result.comparison.champion) < 0.5 < float(result.comparison.challenger)
    assert float(result.comparison.low) > 0
    assert result.comparison.method == f"paired bootstrap on {result.comparison.rows} logged requests"
    assert 180 <= result.comparison.rows <= 300
    assert result.shadow is not None
    assert (result.shadow.requests, result.shadow.failed) == (1200, 0)
    assert result.shadow.differing > 300
    run = clinic.run(result)
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    assert (tags["refit.champion"], tags["refit.rows"], tags["refit.outcome"]) == ("1", "Append", "Registered")
    assert tags["refit.data_sha256"] == result.data_sha256
    metrics = {metric["key"]: metric["value"] for metric in run["metrics"]}
    assert metrics["comparison_rows"] == result.comparison.rows
    assert clinic.aliases() == [{"alias": "challenger", "version": "2"}]


def test_in_an_unchanged_world_the_champion_stays(clinic: Clinic) -> None:
    champion = clinic.first()
    same = patients(600, 3)
    clinic.log.requests(served(champion), same)
    clinic.log.labels(positives(same))
    code, result, _ = clinic.train("again", order(champion))
    assert (code, result.outcome, result.reason, result.registered) == (
        0,
        TrainingOutcome.CHAMPION_KEPT,
        "ChampionKept",
        None,
    )
    assert result.comparison is not None
    assert not result.comparison.better
    assert result.message.startswith("version 1 stays: f1 ")
    assert "learned from 400 rows of the source and 600 requests" in result.message
    card = clinic.artifact(result, "model_card.md")
    assert "**Not registered**: version 1 stays: f1 " in card
    assert "## Against version 1" in card
    assert clinic.aliases() == [{"alias": "challenger", "version": "1"}]
    assert clinic.train("again", order(champion))[1] == result, "the same key is answered again"


def test_the_same_order_is_divided_and_digested_alike(clinic: Clinic) -> None:
    champion = clinic.first()
    turned = patients(300, 4, turned=True)
    clinic.log.requests(served(champion), turned)
    clinic.log.labels(positives(turned))
    one, two = (clinic.train(key, order(champion))[1] for key in ("one", "two"))
    assert (one.data_sha256, one.comparison, one.metrics) == (two.data_sha256, two.comparison, two.metrics)
    splits = [
        {tag["key"]: tag["value"] for tag in clinic.run(found)["tags"]}["refit.split_digest"] for found in (one, two)
    ]
    assert splits[0] == splits[1]
    clinic.log.labels(["1"], name="r")  # another truth of one request
    assert clinic.train("three", order(champion))[1].data_sha256 != one.data_sha256


def test_the_source_is_divided_as_it_was_for_the_champion(clinic: Clinic) -> None:
    """With few requests the source's held-out rows count too, and these are just those that the champion held out."""
    champion = clinic.first()
    few = patients(100, 5, turned=True)
    clinic.log.requests(served(champion), few)
    clinic.log.labels(positives(few))
    _, result, _ = clinic.train("again", order(champion))
    assert result.comparison is not None
    assert result.comparison.method.endswith("logged requests and 80 rows of the source that both held out")


def test_recent_requests_alone(clinic: Clinic) -> None:
    champion = clinic.first()
    turned = patients(500, 6, turned=True)
    clinic.log.requests(served(champion), turned)
    clinic.log.labels(positives(turned))
    (clinic.folder / "data.csv").unlink()
    code, result, _ = clinic.train("again", order(champion, "RecentOnly"))
    assert (code, result.outcome, result.rows) == (0, TrainingOutcome.REGISTERED, 500)


def test_too_few_recent_requests_are_refused_with_the_number(clinic: Clinic) -> None:
    champion = clinic.first()
    few = patients(30, 7)
    clinic.log.requests(served(champion), few)
    clinic.log.labels(positives(few)[:12])
    code, result, _ = clinic.train("again", order(champion, "RecentOnly"))
    assert (code, result.reason) == (3, "DatasetTooSmall")
    assert result.message == (
        "the window holds 12 labelled requests, rows: RecentOnly needs at least 20; "
        "send labels, take a longer window, or set spec.remediation.retraining.rows: Append"
    )


def test_a_refreshed_source_is_judged_on_requests_that_nobody_learned_from(clinic: Clinic) -> None:
    champion = clinic.first()
    turned = patients(200, 8, turned=True)
    clinic.log.requests(served(champion), turned)
    clinic.log.labels(positives(turned))
    clinic.source(patients(500, 9, turned=True))
    code, result, _ = clinic.train("again", order(champion, "SourceRefreshed"))
    assert (code, result.outcome, result.rows) == (0, TrainingOutcome.REGISTERED, 500)
    assert result.comparison is not None
    assert result.comparison.method == "paired bootstrap on 200 logged requests"


def test_a_refreshed_source_without_requests_is_judged_on_rows_that_are_new_to_the_champion(clinic: Clinic) -> None:
    champion = clinic.first()
    old, new = patients(400, 1), patients(600, 10, turned=True)
    clinic.source({name: old[name] + new[name] for name in old})
    code, result, _ = clinic.train("again", order(champion, "SourceRefreshed", window=None))
    assert (code, result.outcome) == (0, TrainingOutcome.REGISTERED)
    assert result.comparison is not None
    assert result.comparison.method.endswith("rows of the source that are new to the champion")
    assert 110 <= result.comparison.rows < 200, "of 200 held out those that the champion was fitted on are not asked"


def test_a_pinned_source_can_not_be_refreshed(clinic: Clinic) -> None:
    champion = clinic.first()
    source = {"uri": "pvc://claim/data.csv", "sha256": "0" * 64}
    code, result, _ = clinic.train("again", order(champion, "SourceRefreshed"), spec__data__source=source)
    assert (code, result.reason) == (3, "SourcePinned")


def test_a_masked_column_can_not_be_learned_from(clinic: Clinic) -> None:
    champion = clinic.first()
    some = patients(50, 11)
    clinic.log.requests(served(champion), some)
    clinic.log.labels(positives(some))
    serving = {"requestLog": {"mode": "All", "mask": ["dose"]}}
    code, result, _ = clinic.train("again", order(champion), spec__serving=serving)
    assert (code, result.reason) == (3, "ColumnMasked")
    assert result.message.startswith("spec.serving.requestLog.mask hides 'dose' from the log")


def test_labels_of_no_class_and_repeated_rows_are_counted(clinic: Clinic) -> None:
    champion = clinic.first()
    again = patients(400, 1)  # the very rows of the source
    clinic.log.requests(served(champion), again)
    clinic.log.labels(["perhaps", *positives(again)[1:]])
    _, result, _ = clinic.train("again", order(champion))
    assert "399 requests, 399 of them repeat rows of the source, 1 labels of no class" in result.message


def test_a_regression_is_compared_too(clinic: Clinic, made: Any) -> None:
    changes = made.regression | {"spec__data__ignore": ["ill"]}
    champion = clinic.first(**changes)
    turned = patients(600, 12, turned=True)
    clinic.log.requests(served(champion), turned)
    clinic.log.labels(turned["cost"])
    code, result, _ = clinic.train("again", order(champion), **changes)
    assert (code, result.outcome) == (0, TrainingOutcome.REGISTERED)
    assert result.comparison is not None
    assert float(result.comparison.high) < 0, "less is better"
    assert result.shadow is not None
    assert (result.shadow.requests, result.shadow.failed) == (600, 0)


def test_another_file_than_the_registered_champion_is_refused(clinic: Clinic) -> None:
    champion = clinic.first()
    wrong = order(champion)
    wrong["champion"]["artifactSha256"] = "0" * 64
    code, result, _ = clinic.train("again", wrong)
    assert (code, result.reason) == (3, "DigestMismatch")


def test_a_shadow_is_a_count(clinic: Clinic) -> None:
    champion = clinic.first()
    some = patients(40, 13)
    clinic.log.requests(served(champion), some, version=7, name="other")
    _, result, _ = clinic.train("again", order(champion))
    assert result.shadow is None, "no request that the champion answered"
    assert Shadow(requests=1, differing=0, failed=0) != result.shadow
