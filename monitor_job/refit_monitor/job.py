"""The monitor Job: order in, measurement kept, short answer out.

It answers even when it could not measure: the verdict is Error then, with what to do. Another exit code than 0 means
that this program itself is broken.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TextIO

import pyarrow as pa

from refit.api import jobs
from refit.api.metrics import Metric
from refit.api.monitoring import Monitoring
from refit.api.orders import MeasurementOrder
from refit.api.results import encode
from refit_monitor import profiles, reporting, trend
from refit_monitor.doors import Artifacts, Collector, Door
from refit_monitor.errors import BadInputError, UnreachableError
from refit_monitor.measurement import Asked, Measurement, error, measure
from refit_monitor.orders import Job, from_environment
from refit_monitor.prometheus import Prometheus
from refit_monitor.windows import from_collector

EARLIER = 8
"""Measurements that are looked back on: what a trend needs is carried along in each."""


def run_job(
    environment: Mapping[str, str],
    now: Callable[[], datetime],
    *,
    door: Door | None = None,
    draw: reporting.Draw = reporting.in_a_process,
    out: TextIO = sys.stdout,
) -> int:
    """The exit code of a Job; its answer stands in the termination log."""
    log = Path(environment.get(jobs.TERMINATION_LOG, jobs.TERMINATION_LOG_PATH))
    time = _stamp(now())
    try:
        job = from_environment(environment)
    except BadInputError as problem:
        found = error(Asked(key="", time=time, namespace="", model=""), str(problem))
        _answer(found, log, out)
        return 0
    for found in _measurements(job, door or Door(), environment, time, draw):
        # Written before the report is drawn, and again after: that is the one step that may cost the process its life.
        log.write_text(encode(found.short()))
    _answer(found, log, out)
    return 0


def _measurements(
    job: Job, door: Door, environment: Mapping[str, str], time: str, draw: reporting.Draw
) -> Iterator[Measurement]:
    """The measurement, kept; and again with the report, if one is due."""
    order = job.order
    asked = Asked(
        key=order.key,
        time=time,
        namespace=job.namespace,
        model=job.model,
        version=order.version,
        since=order.since,
        until=order.until,
        interval_seconds=order.interval_seconds,
    )
    collector = Collector(door, job.collector_url, job.token_file, job.namespace, job.model)
    artifacts = Artifacts(door, job.tracking_uri, environment)
    spec = job.spec.monitoring or Monitoring()
    try:
        earlier = collector.measurements(EARLIER)
        profile = profiles.read(artifacts.download(order.profile_uri), order.profile_sha256)
        content, cut = collector.window(order.since, order.until, order.version)
        table = _table(content)
        prometheus = Prometheus(door, job.prometheus_url)
        coverage = prometheus.coverage(job.namespace, job.model, order.version, _seconds(order), order.until)
        window = from_collector(table)
        found = measure(profile, window, spec, asked, coverage=coverage, cut=cut)
        metric = job.spec.training.selection.metric
        found = replace(
            found,
            trend=trend.trend(earlier, order.version, order.key, _point(found, metric), metric),
            queries=prometheus.results(spec.queries, time),
        )
    except (BadInputError, UnreachableError) as problem:
        yield _kept(collector, error(asked, str(problem)))
        return
    wanted = reporting.wanted(found, earlier)
    if wanted.known is not None:
        found = replace(found, report=wanted.known, report_of=found.trouble, report_time=wanted.drawn)
    found = _kept(collector, found)
    yield found
    if wanted.due:
        address = f"{order.profile_uri.rsplit('/', 1)[0]}/monitoring/{order.key}.html"
        try:
            artifacts.upload(address, draw(profile, window, order.key))
        except (BadInputError, UnreachableError) as problem:
            yield replace(found, message=f"{found.message}; no report: {problem}"[:1024])
            return
        yield _kept(collector, replace(found, report=address, report_of=found.trouble, report_time=time))


def _kept(collector: Collector, found: Measurement) -> Measurement:
    """The measurement, once the collector has it; or with word that it has not."""
    try:
        collector.keep(found.asked.key, found.record())
    except UnreachableError as problem:
        if str(problem) in found.message:
            return found
        return replace(found, message=f"{found.message}; not kept: {problem}"[:1024])
    return found


def _table(content: bytes) -> pa.Table:
    try:
        with pa.ipc.open_stream(content) as stream:
            return stream.read_all()
    except (pa.ArrowException, OSError) as problem:
        raise UnreachableError("the collector's window is not an Arrow stream") from problem


def _point(found: Measurement, metric: Metric) -> trend.Point:
    values: dict[str, float] = {}
    if found.quality is not None:
        values |= trend.sources(metric, found.quality.metrics, found.quality.estimated)
    if found.columns and found.decided:
        values[trend.DRIFT_EFFECT] = max(column.effect for column in found.columns)
    return trend.Point(found.asked.since or "", found.asked.until or "", values if found.decided else {})


def _seconds(order: MeasurementOrder) -> int:
    since, until = (datetime.fromisoformat(moment) for moment in (order.since, order.until))
    return max(1, int((until - since).total_seconds()))


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _answer(found: Measurement, log: Path, out: TextIO) -> None:
    log.write_text(encode(found.short()))
    print(f"{found.verdict}: {found.message}", file=out)
