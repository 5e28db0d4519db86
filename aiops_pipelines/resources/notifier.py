"""Where changes of incidents are announced: a log file, which needs no network, or a tool of the team's.

What is announced, and in which words, is said in `incidents.announcements`. An announcement is stored with
the change itself and marked when it is sent, so that neither a place that is down nor a killed run loses one.
What a place got is not sent to it again; only a run that is killed between sending and marking sends twice,
with the same id. Addresses and keys are secrets and are never shown.
"""

import errno
import json
import os
import smtplib
import ssl
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


class PartlySentError(Exception):
    """An announcement reached some of its receivers only; sent again, it would reach those twice."""


def deliver(
    warehouse: Warehouse, system: System, folder: Path, now: datetime, pauses_s: tuple[float, ...] = PAUSES_S
) -> list[str]:
    """Send what waits, oldest first, and mark what was sent; return sentences on what did not get there.

    A place that fails is left for the next run, so that it hears of an incident's changes in their order.
    What waits for a place that the system's file names no more, for its address was corrected say, goes to
    the first place of the same kind that wants it and was not told the same.

    Args:
        warehouse: holds `incidents.announcements`.
        system: whose announcements are sent, to the places its file names now.
        folder: where logs of announcements are kept.
        now: when they are sent, UTC-aware; what waits for more than three days is given up.
        pauses_s: seconds between the attempts of this run.
    """
    places = {place.key: place for place in system.notifications}
    stored = warehouse.rows(TABLE, system=system.name).sort("queued_at", "position")
    placed = _placed(stored, places)
    late = pl.col("queued_at") <= now - GIVEN_UP_AFTER
    unresolved = warehouse.rows("incidents.incidents", system=system.name).filter(
        pl.col("status") != "resolved"
    )
    failures = _given_up(placed.filter(late), unresolved)
    waiting = placed.filter(~late)
    failures += _without_place(waiting.filter(~pl.col("place").is_in(list(places))))
    for key, place in places.items():
        rows = waiting.filter(place=key).rows(named=True)
        send = _sender(place, folder, system.name)
        for at, row in enumerate(rows):
            sent, failure = _attempts(send, json.loads(row["message"]), pauses_s)
            _mark(warehouse, row, failure, now if sent else None)
            if failure and not sent:
                failures.append(_sentence(place.kind, failure, rows[at:]))
                break
    told = warehouse.rows(TABLE, system=system.name).filter(pl.col("sent_at").is_not_null())
    return failures + _partly_sent(told.filter(pl.col("failure").is_not_null()), unresolved)


def _placed(stored: pl.DataFrame, places: Mapping[str, Notification]) -> pl.DataFrame:
    """Return what was not sent, with the place that is to hear it now, or its old one if there is none.

    A row that is left over because every place of its kind is told the same is left out.
    """
    told = {_same(row, row["place"]) for row in stored.rows(named=True) if row["place"] in places}
    rows = []
    for row in stored.filter(pl.col("sent_at").is_null()).rows(named=True):
        if row["place"] in places:
            rows.append(row)
            continue
        severity = json.loads(row["message"])["severity"]
        alike = [key for key, place in places.items() if place.kind == _kind(row)]
        wanting = [key for key in alike if places[key].wants(row["change"], severity)]
        free = next((key for key in wanting if _same(row, key) not in told), None)
        if free:
            told.add(_same(row, free))
        if free or not wanting:
            rows.append({**row, "place": free or row["place"]})
    return pl.DataFrame(rows, schema=stored.schema)


def _same(row: Message, place: str) -> tuple[object, ...]:
    """What a place is told once: a change of an incident, as one look found it."""
    return place, row["incident_id"], row["change"], row["queued_at"]


def _kind(row: Message) -> str:
    return str(row["place"]).rpartition("-")[0]


def _without_place(rows: pl.DataFrame) -> list[str]:
    """Say what waits for a place that is gone and has no successor."""
    return [
        f"{_what(kind, some_rows)} cannot be sent: the system's file names their place no more, and no other "
        "of its kind that wants them. Name one within three days, or tell people yourself."
        for kind, some_rows in _by_kind(rows)
    ]


def _given_up(rows: pl.DataFrame, unresolved: pl.DataFrame) -> list[str]:
    """Say what was given up of incidents that are not resolved."""
    return [
        f"{_what(kind, some_rows)} could not be sent for three days and will not be: "
        f"{some_rows[-1]['failure'] or 'it was not tried'}. Tell people yourself; this stands until the "
        "incident is resolved."
        for kind, some_rows in _by_kind(rows.join(unresolved, on="incident_id", how="semi"))
    ]


def _partly_sent(rows: pl.DataFrame, unresolved: pl.DataFrame) -> list[str]:
    """Say what only some receivers got of incidents that are not resolved."""
    return [
        f"{_what(kind, some_rows)} did not reach everybody: {some_rows[-1]['failure']}. Tell them yourself "
        "and correct the place; this stands until the incident is resolved."
        for kind, some_rows in _by_kind(rows.join(unresolved, on="incident_id", how="semi"))
    ]


def _by_kind(rows: pl.DataFrame) -> list[tuple[str, list[Message]]]:
    kinds = sorted({_kind(row) for row in rows.rows(named=True)})
    return [(kind, [row for row in rows.rows(named=True) if _kind(row) == kind]) for kind in kinds]


def _what(kind: str, rows: Sequence[Message]) -> str:
    incidents = listed(sorted({row["incident_id"] for row in rows}))
    return f"{some(len(rows), 'announcement')} for {kind} ({incidents})"


def _mark(warehouse: Warehouse, row: Message, failure: str | None, sent_at: datetime | None) -> None:
    became = {"attempts": row["attempts"] + 1, "sent_at": sent_at, "failure": failure}
    key = {name: row[name] for name in ("system", "announcement_id")}
    warehouse.replace(TABLE, pl.DataFrame([{**row, **became}], schema=ANNOUNCEMENTS), **key)


def _sentence(kind: str, why: str, rows: Sequence[Message]) -> str:
    return f"{_what(kind, rows)} could not be sent: {why}. Each run tries again, for three days."


def _attempts(send: Send, content: Message, pauses_s: tuple[float, ...]) -> tuple[bool, str | None]:
    """Send a message, trying again while that may help; return whether it was sent, and what failed."""
    try:
        send(content)
    except NotSentError as error:
        if not error.again or not pauses_s:
            return False, str(error)
        time.sleep(pauses_s[0])
        return _attempts(send, content, pauses_s[1:])
    except PartlySentError as error:
        return True, str(error)
    return True, None


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
    """Append a message to a file, as one JSON line; of one that does not fit nothing stays."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab", buffering=0) as log:
            end, line = log.seek(0, os.SEEK_END), f"{written(content)}\n".encode()
            if log.write(line) < len(line):  # the rest of the disk
                log.truncate(end)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise NotSentError(f"{file.name} cannot be written ({error.strerror})") from error


class Stay(HTTPRedirectHandler):
    """A redirection is no delivery: what follows is a GET without the message, to a login page say."""

    def redirect_request(self, *args: Any) -> None:
        """Follow none."""
        return None


def _post(url: str, body: Message) -> None:
    """Post JSON."""
    if not url.startswith(("https://", "http://")):
        raise NotSentError("its url does not start with https:// or http://")
    try:
        request = Request(url, written(body).encode(), {"Content-Type": "application/json"}, method="POST")
        build_opener(Stay).open(request, timeout=TIMEOUT_S).close()
    except HTTPError as error:
        error.close()
        raise NotSentError(f"it answered {error.code}", error.code == 429 or error.code >= 500) from None
    except (URLError, OSError, HTTPException, ValueError) as error:
        raise NotSentError(f"it cannot be reached ({_why(error)})", isinstance(error, OSError)) from None


def _mail(place: Notification, content: Message) -> None:
    """Send a letter; its Message-ID is that of the announcement."""
    host, _, port = (place.server or "").partition(":")
    password = _secret(place, "password")
    at = (host, int(port or SUBMISSION))
    trust = ssl.create_default_context()  # what smtplib takes by itself does not look at certificates
    try:
        letter = _letter(place, content)
        with (
            smtplib.SMTP_SSL(*at, timeout=TIMEOUT_S, context=trust)
            if place.encryption == "tls"
            else smtplib.SMTP(*at, timeout=TIMEOUT_S)
        ) as server:
            if place.encryption == "starttls":
                server.starttls(context=trust)
            if place.user:
                server.login(place.user, password)
            refused = server.send_message(letter)
        if refused:
            raise PartlySentError(f"the server refused {len(refused)} of {len(place.to)} receivers")
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
    reason = error.reason if isinstance(error, URLError) else error
    if isinstance(reason, ssl.SSLError):  # its text may hold the host's name, its code does not
        return str(reason.reason or "TLS failed").replace("_", " ").lower()
    return getattr(reason, "strerror", None) or type(reason).__name__
