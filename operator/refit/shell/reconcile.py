"""Reconcile: observe, plan, carry out. The imperative part is short enough to be obviously right."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from refit.api import meta, traces
from refit.api.notices import Notice
from refit.api.reasons import Reason
from refit.audit.ledger import Ledger
from refit.core import tracing
from refit.core.notices import notices
from refit.core.observed import Config, Deployment, Manifest, Observed
from refit.core.plan import Champion, Plan, plan, refused
from refit.core.requests import orphaned
from refit.kube import cluster as kinds
from refit.kube.cluster import Cluster, ConflictError, NotFoundError, RefusedError
from refit.shell.echoes import Echoes
from refit.shell.jobs_seen import owned_by
from refit.shell.metrics import Metrics
from refit.shell.observe import Sources, UnreadableError, observe
from refit.shell.recorder import Subject, record
from refit.shell.requests import Key, Keys, requests_about, write_answer
from refit.shell.statuses import status_manifest, unreadable_status
from refit.shell.tracing import Tracer

log = logging.getLogger(__name__)


class Aliases(Protocol):
    """The model registry, as far as a pass needs it."""

    async def set_champion(self, champion: Champion) -> None:
        """Points the alias at the version."""


class Teller(Protocol):
    """Whoever tells people what they should know."""

    def tell(self, notices: Iterable[Notice]) -> None:
        """Takes in what it has not been given before."""


AT_ONCE = timedelta(milliseconds=50)


class StaleError(Exception):
    """The ModelDeployment changed while the pass looked at it: what was decided may be wrong, so look again."""


@dataclass(frozen=True, kw_only=True)
class Reconciler:
    """One pass over one ModelDeployment, with all that a pass needs."""

    sources: Sources
    ledger: Ledger
    registry: Aliases
    teller: Teller
    tracer: Tracer
    config: Config
    metrics: Metrics
    clock: Callable[[], datetime]
    echoes: Echoes
    known: Keys
    noticed: Keys

    @property
    def cluster(self) -> Cluster:
        """The API server."""
        return self.sources.cluster

    async def __call__(self, key: Key) -> timedelta | None:
        """Looks, decides, acts; returns after how long to look again."""
        with self.metrics.passes.time() as outcome:
            try:
                again = await self._pass(key)
            except UnreadableError as error:
                outcome.result = "unreadable"
                log.error("modeldeployment %s/%s cannot be read: %s", *key, error)  # noqa: TRY400  # no traceback for a user's mistake
                return await self._say_unreadable(key, error)
            except StaleError:
                outcome.result = "stale"
                return AT_ONCE
            except Exception as error:
                outcome.result = "error"
                log.warning("pass over %s/%s failed: %s", *key, error, exc_info=not _is_weather(error))
                raise
            outcome.result = "gone" if again is None else "done"
            return again

    async def _pass(self, key: Key) -> timedelta | None:
        now = self.clock()
        requested = key in self.noticed
        observed = await observe(self.sources, key, now, requested=requested)
        if observed is None:  # deleted; owner references collect its children
            if requested:
                for answer in orphaned(await requests_about(self.cluster, key), key[1], now):
                    await write_answer(self.cluster, self.ledger, key[0], answer, now)
                self.noticed.forget(key)
            self.metrics.forget(key)
            self.echoes.forget(key)
            self.known.forget(key)
            return None
        wanted = plan(observed, now, self.config)
        try:
            await self._carry_out(observed, wanted)
        except RefusedError as error:
            wanted = refused(observed, Reason.API_REFUSED, str(error), now, self.config)
        await self._write_status(observed.deployment, wanted, now)
        self.tracer.emit(tracing.spans(observed.deployment, wanted.status, observed.requests, now))
        for answer in wanted.answers:
            written = await write_answer(self.cluster, self.ledger, key[0], answer, now)
            if written is not None:
                self.metrics.models.ended(answer.request, written, now)
                self.tracer.emit(tracing.request_spans(answer.request, written, now))
        # Of what stands now, and not of what was planned: what is told must be found by who looks.
        self.teller.tell(notices(observed.deployment, wanted.status, observed.requests, now))
        self.metrics.saw(key, wanted.status)
        self.metrics.models.saw(observed.deployment, observed.requests)
        return wanted.again_after

    async def _carry_out(self, observed: Observed, wanted: Plan) -> None:
        for job in wanted.delete:
            log.info("deleting job %s/%s", job.namespace, job.name)
            await self.cluster.delete(kinds.JOB, job.namespace, job.name)
        gone = wanted.delete_canary
        if gone is not None:
            log.info("deleting inferenceservice %s/%s", gone.namespace, gone.name)
            await self.cluster.delete(kinds.INFERENCE_SERVICE, gone.namespace, gone.name)
        for manifest in wanted.create:
            await self._create_once(manifest, observed.deployment)
        for manifest in wanted.apply:
            log.info(
                "applying %s %s/%s", manifest["kind"], manifest["metadata"]["namespace"], manifest["metadata"]["name"]
            )
            await self.cluster.apply(manifest)
        if wanted.champion is not None:
            await self.registry.set_champion(wanted.champion)
        if wanted.spec_patch is not None:
            await self._change_spec(observed.deployment, wanted.spec_patch)
        if wanted.report is not None:
            try:
                await self._create_once(wanted.report, observed.deployment)
            except RefusedError as error:
                log.warning("no report of %s/%s: %s", observed.deployment.namespace, observed.deployment.name, error)

    async def _change_spec(self, deployment: Deployment, patch: Manifest) -> None:
        """Changes the spec as it was read, and no other; what follows from it is the next pass's."""
        whole = {"metadata": {"resourceVersion": deployment.resource_version}, "spec": patch}
        log.info("changing the spec of %s/%s: %s", deployment.namespace, deployment.name, patch)
        try:
            await self.cluster.patch(kinds.MODEL_DEPLOYMENT, deployment.namespace, deployment.name, whole)
        except ConflictError as error:
            raise StaleError from error
        raise StaleError

    async def _create_once(self, manifest: Manifest, deployment: Deployment) -> None:
        """Creates a child whose name says what it is for: if it is there and ours, it was created before."""
        name = manifest["metadata"]["name"]
        try:
            await self.cluster.create(manifest)
            trace = (manifest["metadata"].get("annotations") or {}).get(traces.ANNOTATION, "")
            log.info("created %s %s/%s", manifest["kind"], deployment.namespace, name, extra={"trace_id": trace})
            self.metrics.created(manifest)
        except ConflictError:
            there = await self.cluster.get(kinds.kind_of(manifest), deployment.namespace, name)
            if there is not None and not owned_by(there, deployment.uid):
                if manifest["kind"] == meta.REQUEST_KIND:
                    # Anybody may make a request of any name; that must not stop the model's other work.
                    log.warning("remediationrequest %s/%s is somebody else's: not proposed", deployment.namespace, name)
                    return
                raise RefusedError(
                    f"{manifest['kind']} {name} exists and is not ours; delete it: kubectl delete "
                    f"{manifest['kind'].lower()} {name} -n {deployment.namespace}"
                ) from None

    async def _write_status(self, deployment: Deployment, wanted: Plan, now: datetime) -> None:
        if wanted.status == deployment.status:
            return
        key = (deployment.namespace, deployment.name)
        if not await self._apply_status(key, deployment.resource_version, wanted.status.wire()):
            return
        note = wanted.note
        if note is not None:
            level = logging.WARNING if note.warning else logging.INFO
            log.log(level, "modeldeployment %s/%s: %s: %s", *key, note.reason, note.message)
            subject = Subject(kind=meta.DEPLOYMENT_KIND, namespace=key[0], name=key[1], uid=deployment.uid)
            await record(self.cluster, subject, note, now)

    async def _say_unreadable(self, key: Key, error: UnreadableError) -> timedelta:
        status = unreadable_status(error.manifest, str(error), self.clock())
        if status != error.manifest.get("status"):
            try:
                await self._apply_status(key, error.manifest["metadata"]["resourceVersion"], status)
            except StaleError:
                return AT_ONCE
        return self.config.resync

    async def _apply_status(self, key: Key, version: str, status: Manifest) -> bool:
        """Writes onto that version only; False if there is nothing any more to write onto."""
        try:
            written = await self.cluster.apply_status(status_manifest(kinds.MODEL_DEPLOYMENT, *key, version, status))
        except NotFoundError:
            return False
        except ConflictError as error:
            raise StaleError from error
        self.echoes.expect(key, written["metadata"]["resourceVersion"])
        return True


def _is_weather(error: Exception) -> bool:
    return isinstance(error, kinds.ClusterError)
