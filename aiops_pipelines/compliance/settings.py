"""Which settings of a system's file its operation rests on, and the audit entry that says they changed.

Prices have entries of their own. Paths are left out: they move with the data folder and decide nothing. Of
what lies beside the file (the known queries that verdicts rest on, the attacks, the runbooks) the digest is
noted.
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
"""Entries of before say it in these words, and figures tell edits from decisions by them."""
NAMED = 5
NAMED_BY_USERS = (
    "limits.endpoint_budgets_usd.",
    "limits.adversarial_limits.",
    "baseline.guardrails_from.",
    "judge",
)
"""Every other setting is always there, by its default: one that comes or goes does so with a version."""


def settings(system: System, beside: Mapping[str, Any] = {}) -> dict[str, str]:
    """Return the settings by their place in the file, as text: {"retention.audit_days": "2192"}.

    Args:
        system: as its file is.
        beside: what lies beside the file, by name; its digest is returned.
    """
    content = system.model_dump(mode="json", include=SHOWN | HASHED)
    cosigning = {"quorum": system.witnesses.quorum, "places": [one.vkey for one in system.witnesses.places]}
    shown = dict(_flat({name: content[name] for name in sorted(SHOWN)} | {"witnesses": cosigning}))
    given = {name: content[name] for name in sorted(HASHED) if content[name] is not None}
    return (
        shown | _read_from(system) | {name: _digest(value) for name, value in (given | dict(beside)).items()}
    )


def _read_from(system: System) -> dict[str, str]:
    """Return how corpus and log are read and where the index goes; always the same places."""
    corpus, logs, publish = system.corpus, system.inference_log, system.publish
    found: dict[str, Any] = {
        "as_of": system.as_of and system.as_of.isoformat(),
        "corpus.kind": corpus and ("git" if corpus.git else "url" if corpus.url else "folder"),
        "corpus.revision": corpus and corpus.revision,
        "corpus.dated": corpus and corpus.dated,
        "corpus.quarantine": corpus and list(corpus.quarantine),
        "inference_log.format": logs.format,
        "inference_log.mapping": logs.mapping,
        "publish.store": publish and publish.store,
    }
    return {
        place: value if isinstance(value, str) else json.dumps(value, sort_keys=True)
        for place, value in found.items()
    }


def settings_entry(
    system: System, before: Mapping[str, str] | None, now: datetime, beside: Mapping[str, Any] = {}
) -> dict[str, Any] | None:
    """Return the entry that notes the settings the first time, or says what changed; None if nothing did.

    Settings that only one side knows came or went with a version of this software: no person edited them.

    Args:
        system: as its file is now.
        before: the settings of the last such entry, or None.
        now: when the change was seen, UTC.
        beside: what lies beside the file, by name.
    """
    found = settings(system, beside)
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
    summary = f"The settings were edited: {_first(edited)}."
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
