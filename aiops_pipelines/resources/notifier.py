"""Where changes of incidents are announced: a log file, which needs no network, or a webhook.

Which changes there are is said in `incidents.lifecycle`. A webhook's address is a secret and is never shown.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import polars as pl

from aiops_pipelines.systems import Notification, System

Message = Mapping[str, Any]


class Notifier(Protocol):
    """Announces one change; returns None, or a sentence about why it could not."""

    def notify(self, message: Message) -> str | None:
        """Announce one change of an incident."""
        ...


@dataclass(frozen=True)
class LogNotifier:
    """Appends one JSON line for each change to a file."""

    file: Path

    def notify(self, message: Message) -> str | None:
        """Append the change to the file."""
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with self.file.open("a", encoding="utf-8") as log:
                log.write(_json(message) + "\n")
        except OSError as error:
            return f"{message['incident_id']} was not written to {self.file.name}: {error.strerror}."
        return None


@dataclass(frozen=True)
class WebhookNotifier:
    """Posts each change as JSON; `text` holds it in a line, which chat tools show."""

    url: str
    timeout_s: float = 10

    def notify(self, message: Message) -> str | None:
        """Post the change; a failure is a sentence, so that it never stops a pipeline."""
        if not self.url.startswith(("https://", "http://")):
            return (
                f"{message['incident_id']} was not posted: a webhook's url starts with https:// or http://."
            )
        try:
            body = _json(message).encode()
            request = Request(self.url, body, {"Content-Type": "application/json"}, method="POST")
            with urlopen(request, timeout=self.timeout_s):
                return None
        except HTTPError as error:
            error.close()
            return f"{message['incident_id']} was not posted: the webhook answered {error.code}."
        except Exception as error:
            reason = getattr(error, "reason", None) or type(error).__name__
            return f"{message['incident_id']} was not posted: the webhook cannot be reached ({reason})."


def notifier(notification: Notification, folder: Path, system: str) -> Notifier:
    """Return the notifier a system's file asks for; a log goes to `<folder>/<system>.jsonl`."""
    if notification.kind == "webhook":
        return WebhookNotifier(notification.url or "")
    return LogNotifier(folder / f"{system}.jsonl")


def announce(
    changes: pl.DataFrame, incidents: pl.DataFrame, system: System, folder: Path, now: datetime
) -> list[str]:
    """Announce the changes of one system's incidents everywhere it asks for; return what could not be.

    Args:
        changes: system, incident_id, change, as `incidents.lifecycle.changes` gives them.
        incidents: rows of `incidents.incidents`.
        system: whose incidents they are.
        folder: where logs of announcements are kept.
        now: when they are announced, UTC-aware.
    """
    rows = {row["incident_id"]: row for row in incidents.rows(named=True)}
    places = [notifier(notification, folder, system.name) for notification in system.notifications]
    failures = []
    for change in changes.filter(system=system.name).rows(named=True):
        message = _message(change["change"], rows[change["incident_id"]], system, now)
        failures += [failure for place in places if (failure := place.notify(message))]
    return failures


def _message(change: str, incident: Message, system: System, now: datetime) -> Message:
    shown = ("incident_id", "severity", "status", "cause", "title", "opened_at", "runbook", "evidence")
    due = ("acknowledge_due_at", "mitigate_due_at", "resolve_due_at")
    text = (
        f"{system.title}: {incident['incident_id']} ({incident['severity']}) {change}: {incident['title']}."
    )
    facts = {name: incident[name] for name in (*shown, *due)}
    return {"at": now, "system": system.name, "owner": system.owner, "change": change, "text": text} | facts


def _json(message: Message) -> str:
    return json.dumps(message, ensure_ascii=False, default=lambda value: value.isoformat())
