"""Secrets that systems' files name, taken out of what is about to be logged or stored.

A library that fails likes to say with which address, header or argument; its words and tracebacks go into
Dagster's storage and the table of problems, where many read.
"""

import os
from collections.abc import Iterable
from urllib.parse import quote, unquote, urlsplit

from aiops_pipelines.systems import System

SHORTEST = 6
"""Characters; shorter parts stand in many texts that tell nothing."""


def secrets_of(systems: Iterable[System]) -> dict[str, str]:
    """Return the secrets of systems, whole and in the parts that errors show, to what stands for each."""
    found: dict[str, str] = {}
    for system in systems:
        for holder in (system.publish, system.judge, *system.notifications):
            for variable in (holder.secrets if holder else {}).values():
                for part in _parts(os.environ.get(variable, "")):
                    found.setdefault(part, f"[{variable}]")
        for place in system.notifications:  # an address of a webhook is a key to it
            for part in _parts(place.url or ""):
                found.setdefault(part, "[url of a notification]")
    return dict(sorted(found.items(), key=lambda one: -len(one[0])))


def redacted(text: str, secrets: dict[str, str]) -> str:
    """Return a text without these secrets."""
    for part, name in secrets.items():
        text = text.replace(part, name)
    return text


def _parts(secret: str) -> set[str]:
    try:
        address = urlsplit(secret)
        password = address.password or ""  # as it is written there, and as it is sent
        inner = [address.path, address.query, password, unquote(password), f"{address.path}?{address.query}"]
    except ValueError:
        inner = []
    whole = {secret, repr(secret)[1:-1], quote(secret), quote(secret, safe="")}
    return {part for part in (*whole, *inner) if len(part) >= SHORTEST}
