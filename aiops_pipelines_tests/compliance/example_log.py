"""A small log, signed at two sizes and tiled, that the tests tamper with."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from aiops_pipelines.compliance import audit_log, checkpoint, signed_note, tiles
from aiops_pipelines.compliance.audit_entry import FACTS
from aiops_pipelines.compliance.merkle import root_hash

SYSTEM, ORIGIN, SIZE, SIGNED = "support", "example.com/support", 300, (120, 280)
SUBJECT_KEY = bytes(range(32))
KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
VKEY = signed_note.vkey(ORIGIN, KEY.public_key())
START = datetime(2026, 6, 1, 8, tzinfo=UTC)


def record(number: int, **changes: Any) -> dict[str, Any]:
    return (
        dict.fromkeys(FACTS)
        | {
            "system": SYSTEM,
            "event_id": f"call-{number}",
            "occurred_at": START + timedelta(seconds=number),
            "model_served": "model-2026-05",
            "model_requested": "model",
            "prompt_version": "v3",
            "index_version": None,
            "endpoint": "/chat",
            "latency_ms": 800 + number,
            "status": "ok",
            "tokens_total": 500,
            "cost_usd": Decimal("0.001250000000"),
            "price_status": "priced",
            "query": f"How do I return order {number}?",
            "answer": "Within 30 days.",
            "user_id": f"user-{number % 7}",
            "pii_counts": {"PHONE": 1, "EMAIL": 2} if number % 3 == 0 else {},
        }
        | changes
    )


def entries(size: int) -> list[dict[str, Any]]:
    made = [audit_log.inference_entry(record(number), SUBJECT_KEY) for number in range(size)]
    made[10] = audit_log.decision_entry(
        SYSTEM, "baseline.frozen", START, "ann", "The baseline of May stands.", {"samples": 400}
    )
    made[20] = audit_log.inference_entry(
        record(
            20,
            cost_usd=None,
            price_status="unknown",
            latency_ms=None,
            user_id=None,
            answer=None,
            pii_counts=None,
        ),
        SUBJECT_KEY,
    )
    return made


def sign(log: pl.DataFrame, size: int) -> str:
    return checkpoint.sign(ORIGIN, size, root_hash(log["leaf_hash"].to_list()[:size]), KEY)


LOG = audit_log.append({}, 0, entries(SIZE)).rows
NOTES = [sign(LOG, size) for size in SIGNED]
TILES = tiles.tiles(LOG["leaf_hash"].to_list(), 0, SIGNED[1])
BUNDLES = tiles.grow_entries({}, 0, LOG["leaf"][: SIGNED[1]])
