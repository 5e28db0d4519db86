"""Which settings of a system's file its operation rests on, and the audit entry that says they changed.

Prices have entries of their own. Paths are left out: they move with the data folder and decide nothing.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any

from aiops_pipelines.compliance.audit_entry import decision_entry
from aiops_pipelines.systems import System
from aiops_pipelines.wording import some

SHOWN = {"profile", "owner", "baseline", "limits", "retention", "business_hours", "regimes"}
HASHED = {"index", "notifications", "judge"}
"""These may hold addresses and keys: that they changed is said, not what they are."""
NOTED, CHANGED = "settings_noted", "settings_changed"
WHOEVER = "unknown: whoever edits the system file"
NAMED = 5
NAMED_BY_USERS = ("limits.endpoint_budgets_usd.", "judge")
"""Every other setting is always there, by its default: one that comes or goes does so with a version."""


def settings(system: System) -> dict[str, str]:
    """Return the settings by their place in the file, as text: {"retention.audit_days": "2190"}."""
    content = system.model_dump(mode="json", include=SHOWN | HASHED)
    shown = dict(_flat({name: content[name] for name in sorted(SHOWN)}))
    given = sorted(name for name in HASHED if content[name] is not None)
    return shown | {name: _digest(content[name]) for name in given}


def settings_entry(system: System, before: Mapping[str, str] | None, now: datetime) -> dict[str, Any] | None:
    """Return the entry that notes the settings the first time, or says what changed; None if nothing did.

    Settings that only one side knows came or went with a version of this software: no person edited them.

    Args:
        system: as its file is now.
        before: the settings of the last such entry, or None.
        now: when the change was seen, UTC.
    """
    found = settings(system)
    if before == found:
        return None
    if before is None:
        summary = f"The settings in force were noted; profile {system.profile}."
        return decision_entry(system.name, NOTED, now, "aiops_pipelines", summary, {"settings": found})
    changed = {
        place: f"{place}: {before.get(place, 'not set')} -> {found.get(place, 'not set')}"
        for place in sorted(before.keys() | found.keys())
        if before.get(place) != found.get(place)
    }
    both = before.keys() & found.keys()
    edited = [said for place, said in changed.items() if place in both or place.startswith(NAMED_BY_USERS)]
    if not edited:
        summary = f"Settings that came or went with a version were noted: {_first(list(changed.values()))}."
        return decision_entry(system.name, NOTED, now, "aiops_pipelines", summary, {"settings": found})
    summary = f"The system file was edited: {_first(edited)}."
    return decision_entry(system.name, CHANGED, now, WHOEVER, summary, {"settings": found, "changed": edited})


def _first(changed: Sequence[str]) -> str:
    more = f" and {some(len(changed) - NAMED, 'other setting')}" if len(changed) > NAMED else ""
    return f"{'; '.join(changed[:NAMED])}{more}"


def _flat(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _flat(part, f"{place}.{name}" if place else name)
    else:
        yield place, value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _digest(value: Any) -> str:
    return f"sha256:{sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]}"
