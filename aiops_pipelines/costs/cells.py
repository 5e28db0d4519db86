"""Cells of spend: what each part of the calls to one model at one endpoint used and cost in a period.

A cell is what `growth` compares between periods. Calls without a known price are in no cell:
costs.daily_pricing counts them.
"""

import polars as pl

from aiops_pipelines.inference_log.record import CHAT

INPUT_PARTS = ["system_prompt", "tools", "context", "history", "user", "input"]
"""Parts of the input; `input` is what the log does not split, the whole of it where no texts were logged."""
FRONT = ["system_prompt", "tools"]
"""What a prompt begins with. A provider's cache holds beginnings of prompts, so it serves these first."""
OUTPUT_PARTS = {"completion": "output_visible", "reasoning": "reasoning"}
"""What is read of the output, and what is billed beside it without being read."""
MODEL = ["system", "endpoint", "operation", "model"]
CELL = [*MODEL, "part"]
KINDS = {"cache_read": "cache_read_usd", "cache_write": "cache_write_usd"}
AMOUNTS = ["tokens", "cost_usd", *KINDS, *KINDS.values()]
"""What a cell adds up: its tokens and their cost, and of these the tokens and cost of cached input."""
NEEDED = [
    *("system", "event_id", "occurred_at", "endpoint", "operation"),
    *("model_served", "model_requested", "service_tier"),
    *(f"{part}_tokens" for part in INPUT_PARTS[:-1]),
    *("input_uncached", "cache_read", "cache_write", "output_visible", "reasoning"),
]
"""Columns of inference_log.inferences that cells are made from."""

_NAME, _TIER = pl.coalesce("model_served", "model_requested").fill_null("unknown"), pl.col("service_tier")
MODEL_NAME = pl.when(_TIER.is_null()).then(_NAME).otherwise(pl.format("{} ({})", _NAME, _TIER))
"""A model in a service tier is a model of its own, for it has prices of its own."""


def spend_cells(inferences: pl.DataFrame, costs: pl.DataFrame, every: str = "1w") -> pl.DataFrame:
    """Sum the priced calls by system, period, endpoint, operation, model and part.

    Each part of the input bears the cost of its tokens, of which a cache serves those of FRONT first; what it
    holds beyond them is shared by tokens, as the cost of the output is. A model in a service tier is a model
    of its own, for it has prices of its own. A call that used no token is none: failures would make the
    others look shorter.

    Returns system, period (its first day, of `every`: a week or a day), endpoint, operation, model, part,
    calls_of_model (the calls of that model at that endpoint, in every part's row) and AMOUNTS, as floats.
    """
    usd = [pl.col(name).cast(pl.Float64) for name in ("output_usd", *KINDS.values())]
    paid_input = (pl.col("cost_usd") - pl.col("output_usd")).cast(pl.Float64)
    priced = costs.filter(pl.col("cost_usd").is_not_null()).select(
        "system", "event_id", *usd, input_usd=paid_input
    )
    calls = (
        inferences.join(priced, on=["system", "event_id"])
        .select(
            "system",
            pl.col("occurred_at").dt.truncate(every).dt.date().alias("period"),
            pl.col("endpoint").fill_null("unknown"),
            pl.col("operation").fill_null(CHAT),
            MODEL_NAME.alias("model"),
            *_parts(),
            *(pl.col(kind).fill_null(0).cast(pl.Float64) for kind in KINDS),
            *(pl.col(cost).fill_null(0) for cost in KINDS.values()),
            "input_usd",
            "output_usd",
        )
        .filter(pl.sum_horizontal(*INPUT_PARTS, *OUTPUT_PARTS) > 0)
    )
    count = pl.len().cast(pl.Float64).over("period", *MODEL).alias("calls_of_model")
    calls = calls.with_columns(count).with_columns(_uncached()).with_columns(in_front())
    by_part = [_input_part(calls, part) for part in INPUT_PARTS]
    by_part += [_output_part(calls, part) for part in OUTPUT_PARTS]
    summed = (
        pl.concat(by_part)
        .group_by("system", "period", *CELL[1:])
        .agg(pl.col("calls_of_model").first(), pl.col(AMOUNTS).sum())
    )
    return summed.filter(pl.col("tokens") > 0).sort("period", *CELL)


def _parts() -> list[pl.Expr]:
    named = [pl.col(f"{part}_tokens").fill_null(0).cast(pl.Float64).alias(part) for part in INPUT_PARTS[:-1]]
    total = pl.sum_horizontal("input_uncached", "cache_read", "cache_write").cast(pl.Float64)
    rest = (total - pl.sum_horizontal(named)).clip(lower_bound=0).alias("input")
    output = [pl.col(count).fill_null(0).cast(pl.Float64).alias(part) for part, count in OUTPUT_PARTS.items()]
    return [*named, rest, *output]


def _uncached() -> list[pl.Expr]:
    tokens = pl.sum_horizontal(INPUT_PARTS) - pl.sum_horizontal(*KINDS)
    return [
        tokens.clip(lower_bound=0).alias("uncached"),
        (pl.col("input_usd") - pl.sum_horizontal(*KINDS.values())).alias("uncached_usd"),
    ]


def in_front() -> list[pl.Expr]:
    """Say how many tokens of each price are in FRONT: read from a cache, then written to it, then others.

    It adds cache_read_front, cache_write_front and uncached_front to calls with the columns of FRONT,
    cache_read, cache_write and uncached.
    """
    left, held = pl.sum_horizontal(FRONT), []
    for name in (*KINDS, "uncached"):
        held.append(pl.min_horizontal(name, left).alias(f"{name}_front"))
        left = (left - pl.col(name)).clip(lower_bound=0)
    return held


def _input_part(calls: pl.DataFrame, part: str) -> pl.DataFrame:
    fronted = part in FRONT
    beside = FRONT if fronted else [name for name in INPUT_PARTS if name not in FRONT]
    share = pl.col(part) / pl.sum_horizontal(beside)
    kinds = KINDS | {"uncached": "uncached_usd"}
    tokens = {
        k: (pl.col(f"{k}_front") if fronted else pl.col(k) - pl.col(f"{k}_front")) * share for k in kinds
    }
    usd = {
        c: pl.when(pl.col(k) > 0).then(pl.col(c) * tokens[k] / pl.col(k)).otherwise(0.0)
        for k, c in kinds.items()
    }
    return calls.filter(pl.col(part) > 0).select(
        "period",
        *MODEL,
        "calls_of_model",
        part=pl.lit(part),
        tokens=pl.col(part),
        cost_usd=pl.sum_horizontal(usd.values()),
        **{k: tokens[k] for k in KINDS},
        **{c: usd[c] for c in KINDS.values()},
    )


def _output_part(calls: pl.DataFrame, part: str) -> pl.DataFrame:
    share = pl.col(part) / pl.sum_horizontal(*OUTPUT_PARTS)
    return calls.filter(pl.col(part) > 0).select(
        "period",
        *MODEL,
        "calls_of_model",
        part=pl.lit(part),
        tokens=pl.col(part),
        cost_usd=pl.col("output_usd") * share,
        **{name: pl.lit(0.0) for name in (*KINDS, *KINDS.values())},
    )


def summed(cells: pl.DataFrame) -> pl.DataFrame:
    """Add up the cells of several periods: one row a cell."""
    calls = cells.unique(["period", *MODEL]).group_by(MODEL).agg(pl.col("calls_of_model").sum())
    amounts = cells.group_by(CELL).agg(pl.col(AMOUNTS).sum())
    return amounts.join(calls, on=MODEL)
