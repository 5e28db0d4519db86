"""Chats of one model at one endpoint in June 2026, as levers get them: users and days in turn, priced by hand."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import polars as pl

from aiops_pipelines.costs.counterfactual import Pricing
from aiops_pipelines.costs.lever import Group, Lever
from aiops_pipelines.costs.opportunities import savings_proposals
from aiops_pipelines.costs.prices import APART, TOKENS, Rates, UnitPrices, call_costs
from aiops_pipelines.inference_log.record import PART_COLUMNS
from aiops_pipelines.systems import Limits

JUNE = date(2026, 6, 1)
START = datetime(2026, 6, 1, tzinfo=UTC)
DOLLAR, DIME, WRITTEN, DEAR = map(Decimal, ("1", "0.1", "1.25", "4"))
TEXTS = (
    "system",
    "event_id",
    "provider",
    "model_served",
    "model_requested",
    "service_tier",
    "prompt_version",
)
CALLS = pl.Schema(
    {
        **dict.fromkeys((*TEXTS, "index_version", "status", "token_convention"), pl.String()),
        **dict.fromkeys(("endpoint", "model", "session_id", "user", "day"), pl.String()),
        "occurred_at": pl.Datetime("us", "UTC"),
        **dict.fromkeys((*TOKENS, *APART, "tokens_total", *PART_COLUMNS), pl.Int64()),
        **dict.fromkeys(("turn", "history_first", "last_10", "last_6", "last_4", "last_2"), pl.Int64()),
        **dict.fromkeys(("draw", "question"), pl.UInt64()),
        "answered": pl.Boolean(),
        "chunk_chars": pl.List(pl.Int64),
    }
)
BLANK: dict[str, Any] = {
    "system": "s", "provider": "openai", "model_served": "m", "status": "ok", "endpoint": "chat", "model": "m",
    "token_convention": "inclusive", "turn": 1, "answered": True, "input_uncached": 0, "output_visible": 0,
}  # fmt: skip


def price_of(provider: str | None, model: str, at: datetime, tier: str | None = None) -> UnitPrices | None:
    """A dollar a million read, a dime from a cache, 1.25 to write to it, 4 for output; `small` a tenth of it."""
    tenth = Decimal("0.1") if model == "small" else Decimal(1)
    rates = Rates(*(price * tenth for price in (DOLLAR, DIME, WRITTEN, DEAR)))
    return None if model == "unpriced" else UnitPrices((rates,), "by hand")


PRICING = Pricing(price_of)


def calls(number: int, users: int = 20, every: timedelta = timedelta(hours=1), **more: Any) -> pl.DataFrame:
    """Calls by each user in turn, one every so often; a function among the values is asked for each number."""
    rows = []
    for n in range(number):
        at = START + n * every
        values = {key: value(n) if callable(value) else value for key, value in more.items()}
        row = {**BLANK, "event_id": f"e{n}", "user": f"u{n % users}", "occurred_at": at, "draw": n, **values}
        rows.append({**row, "day": row["occurred_at"].date().isoformat()})
    frame = pl.DataFrame([{name: row.get(name) for name in CALLS} for row in rows], schema=CALLS)
    costs = call_costs(frame, price_of).select("cost_usd")
    return pl.concat([frame, costs], how="horizontal")


def group(frame: pl.DataFrame, samples: Mapping[str, pl.DataFrame] | None = None, **limits: Any) -> Group:
    return Group("s", "chat", str(frame["model"][0]), frame, Limits(**limits), dict(samples or {}))


def found(
    frame: pl.DataFrame, *levers: Lever, samples: Mapping[str, pl.DataFrame] | None = None, **limits: Any
) -> list[dict[str, Any]]:
    """Return the rows of savings_proposals of one group."""
    rows = savings_proposals("s", JUNE, [group(frame, samples, **limits)], levers, PRICING)
    return rows.to_dicts()
