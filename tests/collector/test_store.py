"""The store itself, in this process: rolling and its crashes, windows, retention, labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from opened_store import ALL, HOUR, NOON, NOW, at_noon, opened
from refit_collector import coverage, labels, records, snapshots, windows
from refit_collector.labels import Label
from refit_collector.segments import Roller
from refit_collector.snapshots import Asked


class Crash(BaseException):
    """Stands for a process that ends here."""


@pytest.mark.parametrize("step", ["written", "renamed", "recorded", "cleared"])
def test_a_crash_while_rolling_loses_and_doubles_nothing(tmp_path: Path, step: str) -> None:
    def crash(done: str) -> None:
        if done == step:
            raise Crash

    with opened(tmp_path) as store:
        store.take(at_noon("a"), at_noon("b"))
        store.take(at_noon("c"))
        roller = Roller(tmp_path, store.store.writer, store.store._room, store.ask, roll_bytes=10**9, at=crash)
        with pytest.raises(Crash):
            roller.roll(NOW + HOUR)
        assert store.ids() == ["a", "b", "c"]
    with opened(tmp_path) as store:
        assert store.ids() == ["a", "b", "c"]
        assert store.take(at_noon("b"), at_noon("d")) == records.Stored(1, 1)
        store.roll()
        assert sorted(store.ids()) == ["a", "b", "c", "d"]
        files = {str(path.relative_to(tmp_path)) for path in (tmp_path / "segments").rglob("*") if path.is_file()}
    with snapshots.snapshot(tmp_path, store.store.readers) as connection:
        assert {row[0] for row in connection.execute("SELECT path FROM segments")} == files
        assert connection.execute("SELECT count(*) FROM hot").fetchone() == (0,)


def test_a_window_is_the_same_before_and_after_rolling(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.take(
            at_noon(
                "two",
                rows=2,
                inputs={"age": [1, None], "sex": [None, "m"]},
                labels=["no", "yes"],
                probabilities=[[0.9, 0.1], [0.2, 0.8]],
            ),
            at_noon("more", inputs={"age": [True], "weight": [1.5]}, version=2),
            at_noon("other", classes=["no", "maybe"]),
        )
        store.label(Label(1, "two", 1, "yes", None))
        before = store.window()
        assert store.roll() == 2
        assert sorted(store.window(), key=str) == sorted(before, key=str)
    assert before[1] == {
        "id": "two",
        "row": 1,
        "version": 1,
        "time": pa.scalar(NOON, pa.timestamp("us", "UTC")).as_py(),
        "latency": 1.5,
        "input.age": None,
        "input.sex": "m",
        "input.weight": None,
        "label": "yes",
        "probability.no": 0.2,
        "probability.yes": 0.8,
        "probability.maybe": None,
        "truth": "yes",
        "truth_time": pa.scalar(NOW, pa.timestamp("us", "UTC")).as_py(),
    }
    assert [row["input.age"] for row in before] == [1.0, None, 63.0, 1.0]


def test_numbers_become_text_where_a_column_turned_out_to_hold_text(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.take(at_noon("number", inputs={"cp": [1.0]}), at_noon("fraction", inputs={"cp": [1.5]}))
        store.roll()
        store.take(at_noon("text", inputs={"cp": ["typical"]}), at_noon("whole", inputs={"cp": [2]}))
        assert [row["input.cp"] for row in store.window()] == ["1", "1.5", "typical", "2"]


def test_a_regression_has_predictions_and_no_labels(tmp_path: Path) -> None:
    found = {
        name: value for name, value in at_noon("house").items() if name not in {"labels", "probabilities", "classes"}
    }
    with opened(tmp_path) as store:
        store.take(found | {"predictions": [250_000.5]})
        (row,) = store.window()
    assert (row["prediction"], "label" in row) == (250_000.5, False)


@pytest.mark.parametrize("rolled", [False, True], ids=["while hot", "from segments"])
@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        pytest.param(ALL, ["early", "noon", "late"], id="everything"),
        pytest.param(ALL._replace(since=NOON), ["noon", "late"], id="since is within"),
        pytest.param(ALL._replace(until=NOON), ["early"], id="until is not"),
        pytest.param(ALL._replace(since=NOON, until=NOON + 1), ["noon"], id="a microsecond"),
        pytest.param(ALL._replace(version=2), ["late"], id="one version"),
        pytest.param(ALL._replace(version=3), [], id="a version that nobody served"),
        pytest.param(ALL._replace(limit=2), ["early", "noon"], id="at most two rows"),
        pytest.param(ALL._replace(model="lung"), [], id="a model that nobody knows"),
        pytest.param(ALL._replace(namespace="bank"), [], id="the same model elsewhere"),
    ],
)
def test_windows(tmp_path: Path, asked: Asked, expected: list[str], rolled: bool) -> None:
    with opened(tmp_path) as store:
        store.take(
            at_noon("early", time="2026-01-31T11:59:59.999999Z"),
            at_noon("noon", time="2026-01-31T13:00:00+01:00"),
            at_noon("late", time="2026-01-31T12:30:00Z", version=2),
        )
        if rolled:
            store.roll()
        assert [row["id"] for row in store.window(asked)] == expected


def test_a_limit_tears_no_event_apart(tmp_path: Path) -> None:
    wide = {"rows": 3, "inputs": {"age": [1, 2, 3]}, "labels": ["no"] * 3, "probabilities": [[0.5, 0.5]] * 3}
    with opened(tmp_path) as store:
        store.take(at_noon("a", **wide), at_noon("b", **wide))
        assert [len(store.window(ALL._replace(limit=limit))) for limit in (1, 2, 3, 5, 6)] == [0, 0, 3, 3, 6]


def test_a_reader_sees_one_state_whatever_happens_meanwhile(tmp_path: Path) -> None:
    with opened(tmp_path, retention_hours=1) as store:
        store.take(at_noon("old"))
        store.roll()
        store.take(at_noon("hot"))
        with snapshots.snapshot(tmp_path, store.store.readers) as connection:
            store.take(at_noon("new"))
            store.label(Label(1, "old", 0, "yes", None))
            store.roll()
            store.store.retention.keep(NOW + 10 * HOUR)
            schema = pa.schema([("id", pa.string()), ("truth", pa.string()), ("truth_time", pa.timestamp("us", "UTC"))])
            found = [batch.to_pylist() for batch in windows.batches(connection, tmp_path, ALL, schema)]
        assert [(row["id"], row["truth"]) for rows in found for row in rows] == [("old", None), ("hot", None)]
        assert store.ids() == []
        assert list((tmp_path / "segments").rglob("*.parquet"))
        store.store.retention.keep(NOW + 10 * HOUR)
        assert not list((tmp_path / "segments").rglob("*.parquet"))


def test_what_is_older_than_retention_goes_and_is_counted(tmp_path: Path) -> None:
    with opened(tmp_path, retention_hours=24) as store:
        store.take(at_noon("old", time="2026-01-30T12:00:00Z"))
        store.label(Label(1, "old", 0, "yes", None), now=NOW - 25 * HOUR)
        store.roll()
        store.take(at_noon("young"))
        store.roll()
        store.store.retention.keep(NOW)
        with snapshots.snapshot(tmp_path, store.store.readers) as connection:
            kept = [
                connection.execute(statement).fetchone()[0]
                for statement in (
                    "SELECT count(*) FROM ids",
                    "SELECT count(*) FROM labels",
                    "SELECT count(*) FROM segments",
                )
            ]
        assert (store.ids(), kept) == (["young"], [1, 0, 1])
        assert store.metrics.registry.get_sample_value("refit_collector_expired_rows_total") == 1


def test_the_oldest_goes_when_all_is_too_much(tmp_path: Path) -> None:
    with opened(tmp_path, max_bytes=1024 * 1024) as store:
        for number in range(3):
            wide = {f"f{at}": [hash((number, at)) / 7] for at in range(400)}
            store.take(
                *(at_noon(f"{number}-{at}", inputs=wide, time=f"2026-01-31T1{number}:00:00Z") for at in range(9))
            )
            store.roll()
        (store.store.directory / "segments" / "ballast.parquet").write_bytes(b"x" * (1024 * 1024 - 500_000))
        store.store.retention.keep(NOW)
        left = {name.partition("-")[0] for name in store.ids()}
        assert left < {"0", "1", "2"}
        assert "0" not in left


def test_an_id_counts_once_whenever_it_comes_again(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        assert store.take(at_noon("a"), at_noon("a")) == records.Stored(1, 1)
        assert store.take(at_noon("a", version=2)) == records.Stored(0, 1)
        store.roll()
        assert store.take(at_noon("a")) == records.Stored(0, 1)
    with opened(tmp_path) as store:
        assert store.take(at_noon("a"), at_noon("b")) == records.Stored(1, 1)
        found = snapshots.prediction(tmp_path, store.store.readers, "shop", "a")
    assert found == ("heart", 1, NOON, 1, 1.5)


def test_labels_wait_for_their_prediction_and_the_last_word_counts(tmp_path: Path) -> None:
    late, later = NOON + HOUR, NOON + 2 * HOUR
    with opened(tmp_path) as store:
        assert store.label(Label(1, "a", 0, "no", None), now=late) == records.Labelled(1, 0, 1)
        store.take(at_noon("a"), at_noon("b"))
        told = store.label(
            Label(1, "a", 0, "no", None), Label(2, "b", 1, "no", None), Label(3, "a", 0, "yes", None), now=later
        )
        (first, second) = store.window()
        found = coverage.report(tmp_path, store.store.readers, ALL)
    assert told._replace(refused=()) == records.Labelled(1, 1, 0)
    assert [line.problem for line in told.refused] == ["row: the request had 1 rows, 0 to 0"]
    moment = pa.scalar(later, pa.timestamp("us", "UTC")).as_py()
    assert (first["truth"], first["truth_time"], second["truth"]) == ("yes", moment, None)
    assert found == {
        "rows": 2,
        "labelled": 1,
        "coverage": 0.5,
        "delaySeconds": {"median": 7200.0, "maximum": 7200.0},
        "labelsWithoutPrediction": 0,
        "orphans": {},
    }


def test_coverage_of_nothing_is_no_number(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        found = coverage.report(tmp_path, store.store.readers, ALL)
    assert (found["rows"], found["coverage"], found["delaySeconds"]) == (0, None, None)


@pytest.mark.parametrize(
    ("item", "label"),
    [
        pytest.param('{"id":"a","label":1}', "1", id="a class that is a number"),
        pytest.param('{"id":"a","label":1.5}', "1.5", id="a fraction"),
        pytest.param('{"id":"a","label":true}', "true", id="true"),
        pytest.param('{"id":"a","label":"yes"}', "yes", id="a word"),
    ],
)
def test_labels_are_text(item: str, label: str) -> None:
    assert [found.label for found in labels.read(f"[{item}]".encode(), labels.JSON, NOW).accepted] == [label]


def test_what_fails_is_its_own_and_the_rest_of_the_group_is_stored(tmp_path: Path) -> None:
    def fails(_: object) -> None:
        raise KeyError("a mistake")

    with opened(tmp_path) as store:
        works: list[Callable[..., Any]] = [
            fails,
            lambda connection: connection.execute("INSERT INTO namespaces (name) VALUES ('x')"),
        ]
        futures = [store.store.writer.submit(work) for work in works]
        with pytest.raises(KeyError):
            futures[0].result()
        futures[1].result()
        store.take(at_noon("a"))
        assert store.ids() == ["a"]


@pytest.mark.parametrize("rounds", [0, 1], ids=["before it was erased", "after"])
def test_nothing_is_left_of_a_removed_model_though_the_process_ended(tmp_path: Path, rounds: int) -> None:
    """Neither in rows nor in files; what came under its name since is another model's, and stays."""
    with opened(tmp_path) as store:
        store.take(at_noon("in-a-segment"), at_noon("again"))
        store.roll()
        store.take(at_noon("hot"))
        store.label(Label(1, "hot", 0, "yes", None))
        assert store.remove()
        assert store.ids() == []
        store.take(at_noon("new"))
        for _ in range(rounds):
            assert store.store.round() == []
    with opened(tmp_path) as store:
        for _ in range(3):
            assert store.store.round() == []
        assert store.ids() == ["new"]
        assert store.take(at_noon("again"), at_noon("hot")) == records.Stored(2, 0)
        assert store.metrics.registry.get_sample_value("refit_collector_expired_rows_total") == 0
        with snapshots.snapshot(tmp_path, store.store.readers) as connection:
            counts = {
                table: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608  # our own names
                for table in ("models", "versions", "ids", "labels", "segments")
            }
            (path,) = connection.execute("SELECT path FROM segments").fetchone() or ("",)
    assert counts == {"models": 1, "versions": 1, "ids": 3, "labels": 0, "segments": bool(path)}
    assert [str(each.relative_to(tmp_path)) for each in (tmp_path / "segments").rglob("*.parquet")] == [path] * bool(
        path
    )
