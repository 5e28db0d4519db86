"""Where changes of incidents are announced: a log file, which needs no network, or a tool of the team's.

What is announced, and in which words, is said in `incidents.announcements`. An announcement is stored with
the change itself and marked when it is sent, so that neither a place that is down nor a killed run loses one.
What a place got is not sent to it again; only a run that is killed between sending and marking sends twice,
with the same id. Addresses and keys are secrets and are never shown.
"""

import json
import os
import smtplib
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from email.message import EmailMessage
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPRedirectHandler, Request, build_opener

import polars as pl

from aiops_pipelines.incidents.announcements import (
    ANNOUNCEMENTS,
    for_email,
    for_pagerduty,
    for_slack,
    written,
)
from aiops_pipelines.incidents.settings import Notification
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System
from aiops_pipelines.wording import listed, some

TABLE = "incidents.announcements"
Message = Mapping[str, Any]
Send = Callable[[Message], None]
PAGERDUTY = "https://events.pagerduty.com/v2/enqueue"
TIMEOUT_S = 10
PAUSES_S = (1.0, 3.0)
"""Between the attempts of one run, which are made only where the place may answer soon."""
GIVEN_UP_AFTER = timedelta(days=3)
SUBMISSION = 587


class NotSentError(Exception):
    """An announcement did not get there; the message says why, without an address."""

    def __init__(self, why: str, again: bool = False):
        super().__init__(why)
        self.again = again
        """It may get there in a moment."""


def deliver(
    warehouse: Warehouse, system: System, folder: Path, now: datetime, pauses_s: tuple[float, ...] = PAUSES_S
) -> list[str]:
    """Send what waits, oldest first, and mark what was sent; return a sentence for each place that failed.

    A place that fails is left for the next run, so that it hears of an incident's changes in their order.

    Args:
        warehouse: holds `incidents.announcements`.
        system: whose announcements are sent, to the places its file names now.
        folder: where logs of announcements are kept.
        now: when they are sent, UTC-aware; what waits for more than three days is given up.
        pauses_s: seconds between the attempts of this run.
    """
    places = {place.key: place for place in system.notifications}
    stored = warehouse.rows(TABLE, system=system.name).sort("queued_at", "position")
    waiting = stored.filter(pl.col("sent_at").is_null(), pl.col("queued_at") > now - GIVEN_UP_AFTER)
    failures = []
    for key, place in places.items():
        rows = waiting.filter(place=key).rows(named=True)
        send = _sender(place, folder, system.name)
        for at, row in enumerate(rows):
            failure = _attempts(send, json.loads(row["message"]), pauses_s)
            _mark(warehouse, row, failure, now)
            if failure:
                failures.append(_sentence(place.kind, failure, rows[at:]))
                break
    return failures


def _mark(warehouse: Warehouse, row: Message, failure: str | None, now: datetime) -> None:
    became = {"attempts": row["attempts"] + 1, "sent_at": None if failure else now, "failure": failure}
    key = {name: row[name] for name in ("system", "announcement_id")}
    warehouse.replace(TABLE, pl.DataFrame([{**row, **became}], schema=ANNOUNCEMENTS), **key)


def _sentence(kind: str, why: str, rows: Sequence[Message]) -> str:
    incidents = listed(sorted({row["incident_id"] for row in rows}))
    what = f"{some(len(rows), 'announcement')} for {kind} ({incidents}) could not be sent: {why}."
    return f"{what} Each run tries again, for three days."


def _attempts(send: Send, content: Message, pauses_s: tuple[float, ...]) -> str | None:
    """Send a message, trying again while that may help; return None, or why it was not sent."""
    try:
        send(content)
    except NotSentError as error:
        if not error.again or not pauses_s:
            return str(error)
        time.sleep(pauses_s[0])
        return _attempts(send, content, pauses_s[1:])
    return None


def _sender(place: Notification, folder: Path, system: str) -> Send:
    """Return what sends to a place."""
    senders: dict[str, Send] = {
        "log": lambda content: _to_log(folder / f"{system}.jsonl", content),
        "webhook": lambda content: _post(_secret(place, "url"), content),
        "slack": lambda content: _post(_secret(place, "url"), for_slack(content)),
        "pagerduty": lambda content: _post(
            _secret(place, "url") or PAGERDUTY, for_pagerduty(content, _secret(place, "routing_key"))
        ),
        "email": lambda content: _mail(place, content),
    }
    return senders[place.kind]


def _secret(place: Notification, name: str) -> str:
    """Return a setting that may stand in the environment."""
    variable = place.secrets.get(name)
    if variable is None:
        return str(getattr(place, name, None) or "")
    if not os.environ.get(variable):
        raise NotSentError(f"the environment variable {variable} is not set")
    return os.environ[variable]


def _to_log(file: Path, content: Message) -> None:
    """Append a message to a file, as one JSON line."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as log:
            log.write(written(content) + "\n")
    except OSError as error:
        raise NotSentError(f"{file.name} cannot be written ({error.strerror})") from error


class _Stay(HTTPRedirectHandler):
    """A redirection is no delivery: what follows is a GET without the message, to a login page say."""

    def redirect_request(self, *args: Any) -> None:
        return None


def _post(url: str, body: Message) -> None:
    """Post JSON."""
    if not url.startswith(("https://", "http://")):
        raise NotSentError("its url does not start with https:// or http://")
    try:
        request = Request(url, written(body).encode(), {"Content-Type": "application/json"}, method="POST")
        build_opener(_Stay).open(request, timeout=TIMEOUT_S).close()
    except HTTPError as error:
        error.close()
        raise NotSentError(f"it answered {error.code}", error.code == 429 or error.code >= 500) from None
    except (URLError, OSError, HTTPException, ValueError) as error:
        raise NotSentError(f"it cannot be reached ({_why(error)})", isinstance(error, OSError)) from None


def _mail(place: Notification, content: Message) -> None:
    """Send a letter; its Message-ID is that of the announcement."""
    host, _, port = (place.server or "").partition(":")
    password = _secret(place, "password")
    opened = smtplib.SMTP_SSL if place.encryption == "tls" else smtplib.SMTP
    try:
        letter = _letter(place, content)
        with opened(host, int(port or SUBMISSION), timeout=TIMEOUT_S) as server:
            if place.encryption == "starttls":
                server.starttls()
            if place.user:
                server.login(place.user, password)
            server.send_message(letter)
    except smtplib.SMTPResponseException as error:
        raise NotSentError(f"the server answered {error.smtp_code}", 400 <= error.smtp_code < 500) from None
    except smtplib.SMTPRecipientsRefused:
        raise NotSentError("the server refuses its receivers") from None
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise NotSentError(
            f"the server cannot be reached ({_why(error)})", isinstance(error, OSError)
        ) from None


def _letter(place: Notification, content: Message) -> EmailMessage:
    letter = EmailMessage()
    letter["Subject"], text = for_email(content)
    letter["From"], letter["To"] = place.sender, ", ".join(place.to)
    letter["Message-ID"] = f"<{content['id']}@{content['system']}.aiops-pipelines>"
    letter.set_content(text)
    return letter


def _why(error: Exception) -> str:
    """Return the reason of a failure; only that of the system or of a library, which holds no address."""
    reason = getattr(error, "reason", None) or error
    return getattr(reason, "strerror", None) or type(reason).__name__
