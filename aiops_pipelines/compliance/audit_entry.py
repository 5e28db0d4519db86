"""What one entry of the audit log says, and the columns that are projected from it.

An inference entry holds commitments where the record holds text, and a pseudonym where it holds a person.
Writing entries to the log is `audit_log`; their bytes are `leaf`.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import sha256
from math import isfinite
from typing import Any

import polars as pl

from aiops_pipelines.compliance import leaf
from aiops_pipelines.compliance.commitment import commit, pseudonym
from aiops_pipelines.inference_log.record import SCHEMA

LEAF_VERSION = 1
PROJECTED = (
    "system",
    "entry_id",
    "kind",
    "occurred_at",
    "event_id",
    "actor",
    "model_served",
    "prompt_version",
    "index_version",
    "latency_ms",
    "cost_micro_usd",
    "cost_status",
    "input_commitment",
    "output_commitment",
    "pii_counts",
    "summary",
)
_COPIED = (
    "event_id",
    "model_served",
    "model_requested",
    "prompt_version",
    "index_version",
    "endpoint",
    "status",
    "tokens_total",
)
_RECORD = {*_COPIED, "system", "occurred_at", "latency_ms", "cost_usd", "price_status", "query", "answer"}
_RECORD |= {"user_id", "pii_counts"}
_CHANGING = {"session_id", "texts_deleted_at", "ingested_at", "source_format", "source_file", "source_line"}
"""What an erasure, a term or reading the logs again changes rightly."""
FACTS = tuple(name for name in SCHEMA if name not in _RECORD | _CHANGING)
"""What else is known of a call, and figures are made of: one hash holds it."""
FACTS_HASH = "facts_sha256"


def inference_entry(record: Mapping[str, Any], subject_key: bytes) -> dict[str, Any]:
    """The entry of one canonical inference record, with no text and no person in it.

    `subject_key` is the secret (32 bytes or more) of the person the record is about. The exact cost stays as
    text in `cost_usd`; `cost_micro_usd` is rounded half to even, and latency to whole milliseconds. Raises
    ValueError for a missing key, a naive time, or a cost that is not Decimal.
    """
    if missing := ", ".join(sorted({*_RECORD, *FACTS} - record.keys())):
        raise ValueError(f"The inference record lacks {missing}: give None for what was not measured.")
    entry_id = f"inference:{leaf.well_formed(record['event_id'])}"
    cost_usd, user_id = _decimal(record["cost_usd"]), record["user_id"]

    def committed(field: str) -> str | None:
        if (text := record[field]) is None:
            return None
        return commit(subject_key, entry_id, field, leaf.well_formed(text).encode()).hex()

    return {
        **_head(record["system"], entry_id, "inference", record["occurred_at"]),
        **{key: record[key] for key in _COPIED},
        "actor": None if user_id is None else user_name(subject_key, user_id),
        "latency_ms": _whole(record["latency_ms"], "latency_ms"),
        "cost_usd": None if cost_usd is None else _exact(cost_usd),
        "cost_micro_usd": None if cost_usd is None else round(cost_usd * 1_000_000),
        "cost_status": record["price_status"],
        "input_commitment": committed("query"),
        "output_commitment": committed("answer"),
        "pii_counts": _counts(record["pii_counts"]),
        FACTS_HASH: facts_hash(record),
    }


def facts_hash(record: Mapping[str, Any]) -> str:
    """The SHA-256 of a record's FACTS in JSON with sorted keys, hex; what is null is left out.

    So a call keeps its hash when its table gets a column more. Fractions are written as Python writes them.
    """
    facts = {name: value for name in FACTS if (value := record[name]) is not None}
    for name in facts.keys() & _LISTS:
        facts[name] = [{key: part for key, part in one.items() if part is not None} for one in facts[name]]
    return sha256(leaf.well_formed(_JSON.encode(facts)).encode()).hexdigest()


def user_name(subject_key: bytes, user_id: str) -> str:
    """The name under which a person is the `actor` of inferences: "user:" and the pseudonym in hex."""
    return f"user:{pseudonym(subject_key, leaf.well_formed(user_id)).hex()}"


def decision_entry(
    system: str, what: str, occurred_at: datetime, actor: str, summary: str, details: Mapping[str, Any]
) -> dict[str, Any]:
    """The entry of a decision of kind `decision.<what>`; its id is the hash of its content.

    `details` holds what a leaf may hold: money and other fractions in integer micro-units or as text.
    """
    content = {
        **_head(system, "", f"decision.{what}", occurred_at),
        "actor": actor,
        "summary": summary,
        "details": dict(details),
    }
    return content | {"entry_id": f"decision:{sha256(leaf.encode(content)).hexdigest()}"}


def conflict_entry(refused: Mapping[str, Any], refused_hash: bytes, kept_hash: bytes) -> dict[str, Any]:
    """The entry that records a second version of an entry, which was not stored over the first."""
    return {
        "leaf_version": LEAF_VERSION,
        "system": refused["system"],
        "entry_id": conflict_id(refused_hash),
        "kind": "conflict",
        "occurred_at": refused["occurred_at"],
        "summary": f"Refused: {refused['entry_id']} once more, with other content. The first stands.",
        "details": {
            "entry_id": refused["entry_id"],
            "kept_leaf_hash": kept_hash.hex(),
            "refused_leaf_hash": refused_hash.hex(),
        },
    }


def conflict_id(refused_hash: bytes) -> str:
    """The id under which the refusal of this leaf is recorded, once however often it arrives."""
    return f"conflict:{refused_hash.hex()}"


def projection(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """The values of the PROJECTED columns of a decoded leaf, in their order, the time still as its text."""
    values = list(map(entry.get, PROJECTED))
    if isinstance(counts := values[_PII_COUNTS], dict):
        values[_PII_COUNTS] = leaf.canonical(counts) if counts else "{}"
    return tuple(values)


def _head(system: str, entry_id: str, kind: str, occurred_at: datetime) -> dict[str, Any]:
    if occurred_at.tzinfo is None:
        raise ValueError(f"{entry_id or kind} happened at {occurred_at}, in no time zone: give it in UTC.")
    utc = occurred_at.astimezone(UTC).replace(tzinfo=None)
    return {
        "leaf_version": LEAF_VERSION,
        "system": system,
        "entry_id": entry_id,
        "kind": kind,
        "occurred_at": utc.isoformat(timespec="microseconds") + "Z",
    }


def _whole(value: float | None, name: str) -> int | None:
    if value is not None and not isfinite(value):
        raise ValueError(f"{name} is {value}: give None for what was not measured.")
    return None if value is None else round(value)


def _decimal(cost_usd: Any) -> Decimal | None:
    if cost_usd is None or (isinstance(cost_usd, Decimal) and cost_usd.is_finite()):
        return cost_usd
    raise ValueError(f"cost_usd is {cost_usd!r}: give a finite Decimal, or None where the price is unknown.")


def _exact(amount: Decimal) -> str:
    # 0.20 and 0.200000000000 are one price: a re-delivered record must give the same bytes.
    text = f"{amount:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if amount == 0 else text


def _counts(pii_counts: Any) -> dict[str, int] | None:
    if pii_counts is None:
        return None
    if not isinstance(pii_counts, Mapping):
        raise ValueError(
            'pii_counts is no mapping: give {"EMAIL": 2}, {} for none found, None for not looked for.'
        )
    return dict(pii_counts)


_PII_COUNTS = PROJECTED.index("pii_counts")
_LISTS = {name for name in FACTS if isinstance(SCHEMA[name], pl.List)}
_JSON = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":"), default=_exact)
