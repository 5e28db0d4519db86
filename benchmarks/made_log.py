"""Logs made for the benchmarks: the same bytes for the same count, as an application writes them."""

import json
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

ENDPOINTS = ("chat", "search", "draft-reply", "summarise", "classify")
MODELS = (("openai", "gpt-4.1", "gpt-4.1-2025-04-14"), ("openai", "gpt-4.1-mini", "gpt-4.1-mini-2025-04-14"))
WORDS = (
    "return",
    "label",
    "parcel",
    "refund",
    "order",
    "price",
    "delay",
    "invoice",
    "account",
    "password",
    "carrier",
)
WORDS += (
    "customs",
    "form",
    "country",
    "policy",
    "fair",
    "use",
    "exchange",
    "damaged",
    "missing",
    "late",
    "early",
    "week",
)
START = datetime(2026, 6, 1, tzinfo=UTC)


def canonical(path: Path, rows: int, seed: int = 7) -> Path:
    """Write calls in the project's own JSON lines: usage as the provider gave it, texts, chunks, parts.

    Two of a hundred texts hold something personal.
    """
    chance = random.Random(seed)
    texts = [" ".join(chance.choices(WORDS, k=chance.randint(4, 24))).capitalize() for _ in range(5_000)]
    chunks = [f"c{chance.getrandbits(80):020x}" for _ in range(400)]
    with path.open("w", encoding="utf-8") as stream:
        for number in range(rows):
            stream.write(json.dumps(_call(number, rows, chance, texts, chunks)) + "\n")
    return path


def repeated(log: Path, path: Path, times: int) -> Path:
    """Write the calls of a log so many times, each time with event ids of their own."""
    with path.open("wb") as stream:
        for copy in range(times):
            own = b'{"event_id": "%d' % copy
            with log.open("rb") as lines:
                stream.writelines(line.replace(b'{"event_id": "', own, 1) for line in lines)
    return path


def _call(
    number: int, rows: int, chance: random.Random, texts: list[str], chunks: list[str]
) -> dict[str, object]:
    provider, requested, served = chance.choice(MODELS)
    at = START + timedelta(seconds=number * 90 * 86_400 / max(rows, 1_000))
    context, user, history = chance.randrange(50, 900), chance.randrange(4, 60), chance.randrange(0, 300)
    given, made = 109 + context + user + history, chance.randrange(10, 300)
    query = f"{chance.choice(texts)} {number}"
    if chance.random() < 0.02:
        query += " write to jane.doe@example.com or call +49 30 901820"
    call: dict[str, object] = {
        "event_id": f"{chance.getrandbits(64):016x}",
        "occurred_at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "endpoint": chance.choice(ENDPOINTS),
        "provider": provider,
        "model_requested": requested,
        "model_served": served,
        "prompt_version": "v1",
        "index_version": "ix-530d29af156d",
        "status": "ok",
        "session_id": f"s{number // 4:08d}",
        "user_id": f"u{chance.randrange(20_000):05d}",
        "user_group": "starter",
        "query": query,
        "answer": f"{chance.choice(texts)}. {chance.choice(texts)}.",
        "retrieved": [
            {
                "chunk_id": chance.choice(chunks),
                "document": "returns/labels.md",
                "score": round(chance.random(), 4),
            }
            for _ in range(3)
        ],
        "usage": {
            "prompt_tokens": given,
            "completion_tokens": made,
            "total_tokens": given + made,
            "prompt_tokens_details": {"cached_tokens": chance.choice((0, 0, 109))},
        },
        "token_parts": {"system_prompt": 109, "context": context, "history": history, "user": user},
        "latency_ms": chance.randrange(200, 4_000),
        "time_to_first_token_ms": chance.randrange(50, 200),
    }
    if number % 50 == 0:
        call["rating"] = chance.choice((1, -1))
    return call
