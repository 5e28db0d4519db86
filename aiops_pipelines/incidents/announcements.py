"""What is announced of an incident, and how it is written for each kind of place.

Which changes there are is said in `lifecycle`; how they get there, and how often it is tried, in
`resources.notifier`.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import polars as pl

from aiops_pipelines.incidents.lifecycle import due_at, waits_for
from aiops_pipelines.systems import System
from aiops_pipelines.wording import inert, moment

ANNOUNCEMENTS = pl.Schema(
    {
        **dict.fromkeys(("system", "announcement_id", "incident_id", "change", "place"), pl.String()),
        "queued_at": pl.Datetime("us", "UTC"),
        "position": pl.Int64(),
        "message": pl.String(),
        "attempts": pl.Int64(),
        "sent_at": pl.Datetime("us", "UTC"),
        "failure": pl.String(),
    }
)
SHOWN = ("incident_id", "severity", "status", "cause", "title", "opened_at", "runbook", "evidence")
DUE = ("acknowledge_due_at", "mitigate_due_at", "resolve_due_at")
PAGER_SEVERITY = {"P1": "critical", "P2": "error", "P3": "warning"}
PAGER_ACTION = {"acknowledged": "acknowledge", "mitigated": "acknowledge", "resolved": "resolve"}
"""Every other change triggers; the incident's number keeps them one alert there."""
PAGER_SUMMARY = 1024
Message = Mapping[str, Any]


def announcements(
    changes: pl.DataFrame, incidents: pl.DataFrame, system: System, now: datetime
) -> pl.DataFrame:
    """Return what is to be sent: one row for each change and each place that wants it, none of it sent yet.

    Args:
        changes: system, incident_id, change, as `lifecycle.changes` gives them; or with due, what is expected
            by when, as `legal_clocks.legal_changes` does.
        incidents: rows of `incidents.incidents`.
        system: whose incidents they are.
        now: when they are announced, UTC-aware.
    """
    by_number = {row["incident_id"]: row for row in incidents.rows(named=True)}
    rows: list[tuple[object, ...]] = []
    for change in changes.filter(system=system.name).rows(named=True):
        incident, told = by_number[change["incident_id"]], change["change"]
        wanted = (place for place in system.notifications if place.wants(told, incident["severity"]))
        for place in dict.fromkeys(place.key for place in wanted):
            number = _number(system.name, incident["incident_id"], told, place, now)
            content = {"id": number, **message(told, incident, system, now, change.get("due"))}
            row = (
                system.name,
                number,
                incident["incident_id"],
                told,
                place,
                now,
                len(rows),
                written(content),
            )
            rows.append((*row, 0, None, None))
    return pl.DataFrame(rows, schema=ANNOUNCEMENTS, orient="row")


def message(change: str, incident: Message, system: System, now: datetime, due: str | None = None) -> Message:
    """Return an announcement's content; `text` is the change in a line and `due` what is expected by when."""
    text = (
        f"{system.title}: {incident['incident_id']} ({incident['severity']}) {change}: {incident['title']}."
    )
    facts = {name: incident[name] for name in (*SHOWN, *DUE)}
    head = {"at": now, "system": system.name, "owner": system.owner, "change": change, "text": text}
    return head | {"due": due or _due(incident, now)} | facts


def written(content: Message) -> str:
    """Return a message as JSON."""
    return json.dumps(content, ensure_ascii=False, default=lambda value: value.isoformat())


def for_slack(content: Message) -> Message:
    """Return the body of an incoming webhook of Slack; nothing in it pings anybody or loads a preview.

    &, < and > are escaped: https://docs.slack.dev/messaging/formatting-message-text
    """
    lines = _lines(content)
    first, *others = (line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for line in lines)
    return {"text": "\n".join([f"*{first}*", *others]), "unfurl_links": False, "unfurl_media": False}


def for_pagerduty(content: Message, routing_key: str) -> Message:
    """Return an event of PagerDuty's Events API v2; the incident's number is what its events are joined by.

    https://developer.pagerduty.com/docs/events-api-v2-overview
    """
    number = f"{content['system']}/{content['incident_id']}"
    action = PAGER_ACTION.get(content["change"], "trigger")
    event = {"routing_key": routing_key, "event_action": action, "dedup_key": number}
    if action != "trigger":
        return event
    details = {name: content[name] for name in ("evidence", "runbook", "due", "owner", "status", *DUE)}
    return event | {
        "client": "aiops_pipelines",
        "payload": {
            "summary": inert(content["text"])[:PAGER_SUMMARY],
            "source": content["system"],
            "severity": PAGER_SEVERITY[content["severity"]],
            "timestamp": content["at"],
            "class": content["cause"],
            "custom_details": details,
        },
    }


def for_email(content: Message) -> tuple[str, str]:
    """Return subject and text of a letter."""
    first, *others = _lines(content)
    return " ".join(first.split()), "\n\n".join([first, *others]) + "\n"


def _lines(content: Message) -> list[str]:
    runbook = f"Runbook: {content['runbook']}." if content["runbook"] else ""
    shown = f"aiops incident show {content['incident_id']} --system {content['system']}"
    lines = (content["text"], content["due"], content["evidence"], f"{runbook} {shown}".strip())
    return [inert(line) for line in lines if line]


def _due(incident: Message, now: datetime) -> str:
    due = None if incident["status"] == "resolved" else due_at(incident)
    if due is None:
        return ""
    return f"{waits_for(incident).capitalize()} {'overdue since' if due <= now else 'by'} {moment(due)}."


def _number(*parts: object) -> str:
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()[:16]
