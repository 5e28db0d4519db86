"""What a system's file says about incidents: where they are announced, and when people work.

How a place is reached is known by `resources.notifier`; how hours become due times, by `clocks`.
"""

import hashlib
import re
from datetime import date, time
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from aiops_pipelines.incidents.clocks import BusinessCalendar
from aiops_pipelines.part import Part

Severity = Literal["P1", "P2", "P3"]
Regime = Literal["ai_act", "gdpr", "dora"]
"""Law that asks for notices of incidents; by when is said in `compliance.deadlines`."""
Change = Literal["opened", "acknowledged", "mitigated", "resolved", "reopened", "raised", "escalate"]
Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEK: tuple[Weekday, ...] = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
NEEDED: dict[str, tuple[str, ...]] = {
    "log": (),
    "webhook": ("url",),
    "slack": ("url",),
    "pagerduty": ("routing_key",),
    "email": ("server", "sender", "to"),
}
"""Kind of place to what it cannot do without; a url may be a secret, a routing key has to be."""
SECRETS = ("url", "routing_key", "password")


class Notification(Part):
    """A place where changes of incidents are announced; a log file is the offline default."""

    kind: Literal["log", "webhook", "slack", "pagerduty", "email"] = "log"
    severities: tuple[Severity, ...] = ()
    """Only incidents of these; all of them if there is none."""
    changes: tuple[Change, ...] = ()
    """Only these changes; all of them if there is none. [escalate] is who is told next."""
    url: str | None = None
    """Of a webhook, of Slack, or of another entrance to PagerDuty."""
    server: str | None = Field(default=None, pattern=r"^[^\s:/]+(:\d{1,5})?$")
    """Mail server, with its port if that is not 587."""
    encryption: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    sender: str | None = None
    to: tuple[str, ...] = ()
    secrets: dict[str, str] = Field(default_factory=dict)
    """url, routing_key or password to the environment variable that holds it."""

    @field_validator("secrets")
    @classmethod
    def _named(cls, secrets: dict[str, str]) -> dict[str, str]:
        if unknown := sorted(secrets.keys() - set(SECRETS)):
            raise ValueError(f"{unknown[0]} is no secret of a place; there are {', '.join(SECRETS)}")
        if wrong := sorted(k for k, name in secrets.items() if not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name)):
            raise ValueError(f"secrets names the environment variable of {', '.join(wrong)}, in capitals")
        return secrets

    @property
    def missing(self) -> list[str]:
        """What this kind of place needs and is not given."""
        return [n for n in NEEDED[self.kind] if n not in self.secrets and not getattr(self, n, None)]

    @property
    def key(self) -> str:
        """Name of the place, the same as long as its address is; an address is not told by it."""
        place = (self.kind, self.url, self.server, self.to, sorted(self.secrets.items()))
        return f"{self.kind}-{hashlib.sha256(repr(place).encode()).hexdigest()[:8]}"

    def wants(self, change: str, severity: str) -> bool:
        """Say whether a change of an incident is announced here; `raised to P1` is a `raised`.

        A legal deadline, `escalate (GDPR notification overdue)`, is announced whatever the severity.
        """
        word, _, legal = change.partition(" (")
        return (not self.changes or word.split()[0] in self.changes) and bool(
            legal or not self.severities or severity in self.severities
        )


class BusinessHours(Part):
    """When people work; the clocks of P2 and P3 run then, those of P1 day and night."""

    time_zone: str = "UTC"
    opens: time = time(9)
    closes: time = time(17)
    days: tuple[Weekday, ...] = WEEK[:5]
    holidays: tuple[date, ...] = ()

    @field_validator("opens", "closes", mode="before")
    @classmethod
    def _as_written(cls, value: Any) -> Any:
        """Read 9:30 and 17:00, which YAML takes for numbers to the base of 60, and 9 for nine o'clock."""
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 24 * 60:
            if 24 <= value < 60:
                raise ValueError(f"{value} is no hour; write a time as 09:00")
            return time(value) if value < 24 else time(*divmod(value, 60))
        return f"0{value}" if isinstance(value, str) and re.match(r"\d:", value) else value

    @model_validator(mode="after")
    def _runs(self) -> Self:
        if not self.days:
            raise ValueError("days names the working days, one at least")
        if self.closes <= self.opens:
            raise ValueError("closes lies after opens, on the same day")
        self.calendar.zone  # noqa: B018 - it says which zone there is not
        return self

    @property
    def calendar(self) -> BusinessCalendar:
        """The hours as the clocks take them."""
        weekdays = frozenset(WEEK.index(day) for day in self.days)
        return BusinessCalendar(self.time_zone, self.opens, self.closes, frozenset(self.holidays), weekdays)
