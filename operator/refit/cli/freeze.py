"""`freeze` and `unfreeze`: the switch that stops the line. It is a ConfigMap, so that whoever may write one may stop it."""

from __future__ import annotations

from argparse import Namespace

from refit.api import meta
from refit.api.times import stamp
from refit.cli.session import Result, Session
from refit.cli.terminal import printable
from refit.kube.answers import CONFLICT, RefusalError
from refit.kube.cluster import Kind

CONFIG_MAP = Kind("", "v1", "configmaps", "ConfigMap")


async def freeze(session: Session, given: Namespace) -> Result:
    """Who froze first stays named: a second freeze changes nothing."""
    place = session.named or session.system
    me = await session.person.me()
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": meta.FREEZE,
            "namespace": place,
            "labels": {meta.LABEL_MANAGED_BY: "kubectl-refit"},
        },
        "data": {"reason": given.reason, "by": me.name, "since": stamp(session.now)},
    }
    try:
        made = await session.person.create(CONFIG_MAP.path(place), manifest)
    except RefusalError as error:
        if error.code != CONFLICT:
            raise
        there = await session.person.get(CONFIG_MAP, place, meta.FREEZE) or {}
        data = there.get("data") or {}
        said = f"by {data.get('by', 'nobody named')} since {data.get('since', 'an unknown time')}"
        return Result(
            text=f"{_what(session)} is frozen already, {printable(said)}: {printable(data.get('reason') or 'no reason')}",
            data=there,
        )
    return Result(
        text=f"{_what(session)} is frozen: nothing is carried out until {_undo(session)}; serving and measuring go on",
        data=made,
    )


async def unfreeze(session: Session, _: Namespace) -> Result:
    place = session.named or session.system
    was = await session.person.delete(CONFIG_MAP.path(place, meta.FREEZE))
    return Result(
        text=f"{_what(session)} is {'no longer frozen' if was else 'not frozen'}", data={"namespace": place, "was": was}
    )


def _what(session: Session) -> str:
    return f"namespace {session.named}" if session.named else "every namespace"


def _undo(session: Session) -> str:
    return f"kubectl refit unfreeze{f' -n {session.named}' if session.named else ''}"
