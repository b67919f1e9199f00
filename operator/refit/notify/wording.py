"""Wording: one message for what is told together, as mail, as Slack's blocks, and as JSON. Whatever a person or a
model's data brought along stays text: each form has its own escape."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from refit.api import meta
from refit.api.notices import Notice, Severity

MOST = 20
"""Notices told one by one in a message; of more the number is told."""
LONGEST = 500
"""Characters of one field; a chat cuts a long message anywhere."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """What one receiver is told at once; the most severe first. `number` is the same when it is sent again."""

    number: str
    cluster: str
    page: str
    notices: tuple[Notice, ...]

    @property
    def subject(self) -> str:
        """One line."""
        first, more = self.notices[0], len(self.notices) - 1
        rest = f" and {more} more" if more else ""
        return (
            line(f"[{self.cluster or 'refit'}] {first.severity}: {first.namespace}/{first.model}: {first.what}", 160)
            + rest
        )

    @property
    def attachments(self) -> tuple[str, ...]:
        """URIs of reports, each once."""
        return tuple(dict.fromkeys(uri for notice in self.notices for uri in notice.attachments))


def message(notices: Sequence[Notice], page: str | None, cluster: str) -> Message:
    """What these come to; `notices` is not empty, `page` is the approval page's address."""
    order = {severity: -number for number, severity in enumerate(Severity)}
    return Message(
        number=meta.sha256(sorted(notice.key for notice in notices))[:32],
        cluster=cluster,
        page=(page or "").rstrip("/"),
        notices=tuple(sorted(notices, key=lambda notice: (order[notice.severity], notice.at))),
    )


def line(text: str, longest: int = LONGEST) -> str:
    """The text on one line, without control characters, cut where it is too long."""
    flat = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return flat if len(flat) <= longest else f"{flat[: longest - 1]}…"


def link(told: Message, notice: Notice) -> str:
    """The approval page, opened where this notice leads; empty where there is no page."""
    if not told.page:
        return ""
    query = {"namespace": notice.namespace, "model": notice.model, "request": notice.request}
    return f"{told.page}/?{urlencode({name: value for name, value in query.items() if value})}"


def facts(told: Message, notice: Notice) -> tuple[tuple[str, str], ...]:
    """A notice as names and values, without those that say nothing."""
    found = (
        ("Cluster", told.cluster),
        ("Namespace", notice.namespace),
        ("Model", notice.model),
        ("Severity", notice.severity),
        ("Request", notice.request),
        ("What", notice.what),
        ("Why", notice.why),
        ("Impact", notice.impact),
        ("Contact", notice.contact),
        ("Since", notice.at),
        ("Trace", notice.trace),
        ("Decide", link(told, notice)),
        *(("Command", command) for command in notice.commands),
        *(("Report", uri) for uri in notice.attachments),
    )
    return tuple((name, line(value)) for name, value in found if value)


def text(told: Message) -> str:
    """Plain text."""
    parts = []
    for notice in told.notices[:MOST]:
        width = 11
        parts.append("\n".join(f"{name + ':':<{width}} {value}" for name, value in facts(told, notice)))
    return "\n\n".join([*parts, *_rest(told)]) + "\n"


def page(told: Message) -> str:
    """HTML, for mail programs: a table for each notice, no picture, no address but the page's."""
    tables = []
    for notice in told.notices[:MOST]:
        rows = "".join(
            f'<tr><th scope="row" align="left" valign="top" style="padding:2px 16px 2px 0;color:#555;font-weight:normal">'
            f"{html.escape(name)}</th><td>{_cell(name, value)}</td></tr>"
            for name, value in facts(told, notice)
            if name != "What"
        )
        tables.append(
            f'<h2 style="font-size:16px;margin:20px 0 6px">{html.escape(line(notice.what))}</h2>'
            f'<table role="presentation" cellspacing="0">{rows}</table>'
        )
    rest = "".join(f"<p>{html.escape(part)}</p>" for part in _rest(told))
    body = f'<body style="font-family:sans-serif;font-size:14px;color:#222">{"".join(tables)}{rest}</body>'
    return f'<!doctype html><html lang="en"><head><title>{html.escape(told.subject)}</title></head>{body}</html>'


def _cell(name: str, value: str) -> str:
    escaped = html.escape(value)
    if name == "Decide":
        return f'<a href="{escaped}">{escaped}</a>'
    return f"<code>{escaped}</code>" if name in ("Command", "Trace", "Report") else escaped


def slack(told: Message) -> dict[str, Any]:
    """Slack's incoming webhook. Its `<`, `>` and `&` would begin a link or a mention: <!channel> wakes everybody."""
    blocks: list[dict[str, Any]] = []
    for notice in told.notices[:MOST]:
        lines = [f"*{_slack(line(notice.what))}*"]
        for name, value in facts(told, notice):
            if name == "What":
                continue
            shown = f"<{value}>" if name == "Decide" else f"`{_slack(value)}`" if name == "Command" else _slack(value)
            lines.append(f"{name}: {shown}")
        blocks.append({"type": "section", "text": {"type": "mrkdwn", "text": "\n".join(lines)[:2900]}})
    blocks += [{"type": "section", "text": {"type": "plain_text", "text": part}} for part in _rest(told)]
    return {"text": _slack(told.subject), "blocks": blocks}


def _slack(value: str) -> str:
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def data(told: Message) -> dict[str, Any]:
    """JSON for programs: every notice, whole."""
    return {
        "version": 1,
        "id": told.number,
        "cluster": told.cluster,
        "notices": [notice.content() | {"link": link(told, notice)} for notice in told.notices],
    }


def _rest(told: Message) -> list[str]:
    more = len(told.notices) - MOST
    return [f"{more} more are not listed here."] if more > 0 else []
