from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from refit.api.confusion import Confusion
from refit.api.profile import Profile
from refit.api.results import TrainingOutcome, TrainingResult
from refit.api.signature import Golden
from refit_trainer.exports import Served
from refit_trainer.local import run
from refit_trainer.sources import SAMPLES_DIR

EXAMPLES = Path(__file__).parents[2] / "examples"
PLOTS = {
    "Classification": {"confusion_matrix", "roc", "calibration", "feature_importance"},
    "Regression": {"residuals", "predicted_and_actual", "residual_histogram", "feature_importance"},
}


class Ran:
    """One run in a folder of its own: its exit code, what it said, and what it left."""

    def __init__(
        self, folder: Path, manifest: Any, data: bytes | None, environment: dict[str, str] | None = None
    ) -> None:
        spec, out, err = folder / "spec.yaml", io.StringIO(), io.StringIO()
        spec.write_text(manifest if isinstance(manifest, str) else yaml.safe_dump(manifest))
        arguments = ["run", "--spec", str(spec), "--out", str(folder / "out")]
        if data is not None:
            (folder / "data.csv").write_bytes(data)
            arguments += ["--data", str(folder / "data.csv")]
        self.code = run(arguments, environment or {}, since=0.0, out=out, err=err)
        self.out, self.err, self.folder = out.getvalue(), err.getvalue(), folder / "out"

    @property
    def result(self) -> TrainingResult:
        return TrainingResult.model_validate_json((self.folder / "result.json").read_text())

    def files(self) -> set[str]:
        return {str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def classified(made: Any, tmp_path_factory: pytest.TempPathFactory) -> Ran:
    candidates = [{"algorithm": "LogisticRegression", "grid": {"C": ["0.1", "1"]}},
                  {"algorithm": "RandomForest", "parameters": {"n_estimators": "5"}}]  # fmt: skip
    manifest = made.manifest(spec__training__candidates=candidates, spec__monitoring={"segmentColumn": "site"})
    return Ran(tmp_path_factory.mktemp("classified"), manifest, made.csv(made.patients()))


def test_a_run_leaves_all_that_is_told_of_a_model(classified: Ran) -> None:
    assert classified.files() == {
        "model.onnx", "golden.json", "profile.json", "signature.json", "candidates.json", "model_card.md", "result.json",
        "confusion.json", "lineage.json", "lineage.bin",
        *(f"plots/{name}.png" for name in PLOTS["Classification"]),
    }  # fmt: skip


def test_its_confusions_are_counts_of_its_held_out_rows(classified: Ran) -> None:
    found = Confusion.model_validate_json((classified.folder / "confusion.json").read_bytes())
    signature = json.loads((classified.folder / "signature.json").read_text())
    counts = np.array(found.counts)
    assert list(found.labels) == signature["classes"]
    assert counts.sum() == round(classified.result.rows * 0.2)
    assert counts.trace() / counts.sum() == pytest.approx(float(str(classified.result.metrics.accuracy)), abs=1e-6)


def test_its_table_and_result(classified: Ran) -> None:
    result = classified.result
    assert (classified.code, result.outcome, result.algorithm, result.rows) == (
        0,
        TrainingOutcome.REGISTERED,
        "LogisticRegression",
        200,
    )
    assert [candidate.algorithm for candidate in result.candidates] == ["LogisticRegression", "RandomForest"]
    assert "f1, mean" in classified.out
    assert all(word in classified.out for word in ("accuracy", "roc_auc", "Registered"))
    assert result.metrics.model_dump(exclude_none=True).keys() == {
        "accuracy", "balanced_accuracy", "precision", "recall", "f1", "roc_auc", "pr_auc", "log_loss",
    }  # fmt: skip
    assert [check.name for check in result.checks] == [
        "schema", "types", "ranges", "nulls", "duplicates", "categories", "target", "leak",
    ]  # fmt: skip


def test_the_model_answers_the_golden_request_as_promised(classified: Ran) -> None:
    golden = Golden.model_validate_json((classified.folder / "golden.json").read_text())
    served = Served((classified.folder / "model.onnx").read_bytes())
    rows = [
        {
            c.name: row[c.name] if row[c.name] is not None else ("" if c.type == "Category" else np.nan)
            for c in served.signature.inputs
        }
        for row in golden.rows
    ]
    np.testing.assert_allclose(served.answers(pd.DataFrame(rows)), golden.answers, atol=golden.tolerance)
    assert None in golden.rows[-1].values()


def test_the_profile_tells_of_columns_and_not_of_rows(classified: Ran) -> None:
    profile = Profile.model_validate_json((classified.folder / "profile.json").read_text())
    columns = {column.name: column for column in profile.columns}
    assert (profile.rows, list(columns), profile.equal_pairs) == (200, ["age", "dose", "site", "smoker"], 0)
    age, site = columns["age"].numbers, columns["site"].texts
    assert age is not None
    assert site is not None
    assert (age.count, age.distinct, age.whole, age.complete, age.upto[-1]) == (200, 50, True, True, 200)
    assert list(age.knots) == sorted(set(age.knots))
    assert sum(site.counts.values()) == 200
    answers = profile.answers
    assert answers.rows == 40
    assert answers.metrics["accuracy"] == pytest.approx(float(str(classified.result.metrics.accuracy)), abs=1e-5)
    assert answers.labels is not None
    assert answers.labels.counts.keys() == answers.probabilities.keys() == answers.confidence.keys() == {"0", "1"}
    assert sum(found.rows for found in answers.confidence["1"]) == 40


def test_the_profile_tells_the_columns_once_more_by_the_segments_that_the_spec_names(classified: Ran) -> None:
    profile = Profile.model_validate_json((classified.folder / "profile.json").read_text())
    segments = profile.segments
    sites = next(column.texts for column in profile.columns if column.name == "site")
    assert segments is not None
    assert sites is not None
    assert (segments.column, {each.value: each.rows for each in segments.segments}) == ("site", sites.counts)
    assert {(tuple(each.numbers), tuple(each.texts)) for each in segments.segments} == {(("age", "dose"), ("smoker",))}


def test_the_card_tells_a_person(classified: Ran) -> None:
    card = (classified.folder / "model_card.md").read_text()
    for line in (
        "# clinic/ward",
        "## Data",
        "| LogisticRegression(C=",
        "Passed its bound.",
        "## Limits",
        "| `site` | Category | yes | `east`",
    ):
        assert line in card


def test_a_regression(made: Any, tmp_path: Path) -> None:
    features = [{"name": "dose_per_age", "expression": "dose / age"}]
    ran = Ran(
        tmp_path, made.manifest(**made.regression | {"spec__data__features": features}), made.csv(made.patients())
    )
    assert (ran.code, ran.result.outcome) == (0, TrainingOutcome.REGISTERED)
    assert {name for name in ran.files() if name.startswith("plots/")} == {
        f"plots/{name}.png" for name in PLOTS["Regression"]
    }
    assert ran.result.metrics.model_dump(exclude_none=True).keys() == {"rmse", "mae", "r2", "mape"}


def test_three_classes(made: Any, tmp_path: Path) -> None:
    ran = Ran(tmp_path, made.manifest(**made.stages), made.csv(made.patients()))
    assert (ran.code, ran.result.outcome) == (0, TrainingOutcome.REGISTERED)
    assert json.loads((ran.folder / "signature.json").read_text())["classes"] == ["0", "1", "2"]


@pytest.mark.parametrize(
    ("selection", "said"),
    [
        pytest.param(
            {"metric": "f1", "minimum": "0.999"},
            "on held-out rows is below the minimum 0.999",
            id="too little of a good thing",
        ),
        pytest.param(
            {"metric": "log_loss", "maximum": "0.0001"},
            "on held-out rows is above the maximum 0.0001",
            id="too much of a bad one",
        ),
    ],
)
def test_a_model_that_misses_its_bound(made: Any, tmp_path: Path, selection: dict[str, str], said: str) -> None:
    ran = Ran(tmp_path, made.manifest(spec__training__selection=selection), made.csv(made.patients()))
    assert (ran.code, ran.result.outcome, ran.result.reason) == (0, TrainingOutcome.BELOW_BOUND, "BelowBound")
    assert said in ran.result.message
    assert "**Not registered**" in (ran.folder / "model_card.md").read_text()


def test_a_commands_characters_in_a_parameter_are_data(made: Any, tmp_path: Path) -> None:
    """Notes row 12: a value with a shell's or Python's syntax in it is a value."""
    canary = tmp_path / "canary"
    for value in (f"$(touch {canary})", f"; touch {canary}", f"`touch {canary}`", f"open('{canary}','w')"):
        manifest = made.manifest(
            spec__training__candidates=[{"algorithm": "LogisticRegression", "parameters": {"solver": value[:64]}}]
        )
        ran = Ran(tmp_path, manifest, made.csv(made.patients()))
        assert (ran.code, ran.result.reason) == (3, "FitFailed")
    assert not canary.exists()


@pytest.mark.parametrize(
    ("manifest", "data", "code", "said"),
    [
        pytest.param("a: [", None, 3, "refused: SpecInvalid: ", id="half a YAML"),
        pytest.param("", None, 3, "the file holds no ModelDeployment", id="an empty file"),
        pytest.param({"spec__thresold": "1"}, None, 3, "spec.thresold: unknown field", id="an unknown field"),
        pytest.param({}, b"", 3, "DatasetTooSmall: the data is empty: 0 bytes", id="empty data"),
        pytest.param({}, b"age,dose,site,smoker,ill,stage,cost\n", 3, "schema: 0 rows, need at least 20", id="a header alone"),
        pytest.param({}, b"age;dose\n1;2\n", 3, "DataUnreadable: the header is separated by ';'", id="semicolons"),
        pytest.param({"spec__data__source": {"uri": "http://127.0.0.1/x"}}, None, 3, "SourceForbidden", id="a forbidden address"),
        pytest.param({"spec__data__source": {"uri": "ftp://host/x"}}, None, 3, "known are https, http, s3, pvc, configmap, sample", id="an unknown scheme"),
    ],
)  # fmt: skip
def test_what_is_refused_is_told_in_one_line(
    made: Any, tmp_path: Path, manifest: Any, data: bytes | None, code: int, said: str
) -> None:
    ran = Ran(tmp_path, made.manifest(**manifest) if isinstance(manifest, dict) else manifest, data)
    assert (ran.code, ran.result.outcome, said in ran.err) == (code, TrainingOutcome.REFUSED, True), ran.err
    assert len(ran.err.strip().splitlines()) == 1


@pytest.mark.parametrize("example", ["heart.yaml", "houses.yaml"])
def test_the_examples_pass_their_own_bound(samples: Path, tmp_path: Path, example: str) -> None:
    manifest = yaml.safe_load((EXAMPLES / example).read_text())
    manifest["spec"]["training"]["folds"] = 2  # the choice among candidates is not the point here
    ran = Ran(tmp_path, manifest, None, {SAMPLES_DIR: str(samples)})
    assert (ran.code, ran.result.outcome, ran.result.message) == (0, TrainingOutcome.REGISTERED, ran.result.message)
