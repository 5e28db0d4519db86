"""What each call cost, at the price of its date.

Where prices come from is `resources.prices`; here they are multiplied, in Decimal, exactly. A call whose
price is not known costs null, never 0, and a call whose tokens can be read in two ways has two bounds and
no figure.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

import polars as pl

from aiops_pipelines.wording import some

USD = pl.Decimal(38, 12)
PER_TOKEN = pl.lit(Decimal("0.000001"), dtype=USD)
"""Prices are per million tokens."""
PRICE_STEP = "30m"
"""Finest step at which published prices change: off-peak prices start and end on the half hour."""
KEY = ["provider", "model", "tier", "moment"]
UNNAMED = ""
"""Provider of calls that name none, and standard tier: rows are not matched by null."""
TOKENS = ["input_uncached", "cache_read", "cache_write", "output_visible", "reasoning"]
BILLED = {
    "input_uncached_usd": ("input_uncached", "input_rate"),
    "cache_read_usd": ("cache_read", "cache_read_rate"),
    "cache_write_usd": ("cache_write", "cache_write_rate"),
    "output_usd": ("output", "output_rate"),
}
APART = {
    "input_uncached_audio": "input_uncached_usd",
    "input_uncached_image": "input_uncached_usd",
    "cache_read_audio": "cache_read_usd",
    "cache_read_image": "cache_read_usd",
    "output_audio": "output_usd",
    "output_image": "output_usd",
    "cache_write_1h": "cache_write_usd",
}
"""Tokens that may have a price of their own, and where their cost belongs."""


@dataclass(frozen=True)
class Rates:
    """Prices in USD per million tokens, for calls with at least `from_input_tokens` of input.

    `output` is None for a model that is sold without output, an embedding model for instance. `apart` holds
    the prices of APART; without one, audio and images cost what text does and an hour in the cache what five
    minutes do.
    """

    input: Decimal
    cache_read: Decimal
    cache_write: Decimal
    output: Decimal | None
    from_input_tokens: int = 0
    apart: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True)
class UnitPrices:
    """The rates of one model at one moment, lowest tier first, and where they are from.

    The tier that the whole input of a call reaches sets the rate of all its tokens.
    """

    rates: tuple[Rates, ...]
    source: str


PriceOf = Callable[[str | None, str, datetime, str | None], UnitPrices | None]
"""Provider (None where the log names none), model, time and service tier (None for the standard one) of a
call to its unit prices, None without one."""


def call_costs(inferences: pl.DataFrame, price_of: PriceOf) -> pl.DataFrame:
    """Price every call of `inference_log.inferences`: one row of `costs.call_costs` per call, in its order.

    A call is priced as the model that was served, or as the one requested where the log does not say, and
    reasoning as output. An ambiguous call has no `cost_usd` but bounds: its columns hold the reading with the
    fewest tokens, cached ones inside the input and reasoning inside the output, which is priced as
    `cost_low_usd`; with both beside, and what the stated total holds beyond them as output, it costs
    `cost_high_usd`.

    1,000 uncached input tokens at 2.50 and 200 output tokens at 10.00 USD per million cost
    0.002500000000 + 0.002000000000 = 0.004500000000 USD.
    """
    calls = _usage(inferences)
    rates = _rates(calls, price_of)
    most = _priced(calls.with_columns(_most_tokens()), rates)["cost"]
    costs = _priced(calls, rates).with_columns(most=most).with_columns(price_status=_status())
    costs = _noted(costs)
    priced, bounded = (pl.col("price_status").is_in(kinds) for kinds in (["priced"], ["priced", "ambiguous"]))
    return costs.select(
        "system",
        "event_id",
        "price_status",
        pl.when(bounded).then("price_source").alias("price_source"),
        pl.when(priced).then("cost").alias("cost_usd"),
        pl.when(bounded).then(pl.min_horizontal("cost", "most")).alias("cost_low_usd"),
        pl.when(bounded).then(pl.max_horizontal("cost", "most")).alias("cost_high_usd"),
        *(pl.when(priced).then(part).alias(part) for part in BILLED),
    )


def missing_price(model: str | None, tier: str | None, calls: int) -> str:
    """Say that calls of a model in a service tier have no known price, and what to do."""
    which = f"of the model {model}" if model else f"that name{'s' * (calls == 1)} no model"
    which += f" in the tier {tier}" if tier else ""
    verbs = "has no known price and counts" if calls == 1 else "have no known price and count"
    what = "add a contract price to the system's file" if model else "log the model and its provider"
    return f"{some(calls, 'call')} {which} {verbs} as unknown; {what}."


def _status() -> pl.Expr:
    unpriced = pl.any_horizontal(pl.col("price_source", "cost", "most").is_null())
    return (
        pl.when(pl.all_horizontal(pl.col(TOKENS).is_null()))
        .then(pl.lit("no_usage"))
        .when(unpriced)
        .then(pl.lit("unknown"))
        .when(pl.col("token_convention").eq_missing("ambiguous"))
        .then(pl.lit("ambiguous"))
        .otherwise(pl.lit("priced"))
    )


def _usage(inferences: pl.DataFrame) -> pl.DataFrame:
    optional = (*APART, "tokens_total")
    absent = dict.fromkeys(optional, pl.Int64()) | {"service_tier": pl.String()}
    nothing = [
        pl.lit(None, dtype=dtype).alias(name)
        for name, dtype in absent.items()
        if name not in inferences.columns
    ]
    return inferences.with_columns(nothing).select(
        "system",
        "event_id",
        pl.col("provider").fill_null(UNNAMED),
        pl.coalesce("model_served", "model_requested").alias("model"),
        pl.col("service_tier").fill_null(UNNAMED).alias("tier"),
        pl.col("occurred_at").dt.truncate(PRICE_STEP).alias("moment"),
        "token_convention",
        *(pl.col(c).cast(pl.Int64) for c in (*TOKENS, *optional)),
    )


def _most_tokens() -> list[pl.Expr]:
    ambiguous = pl.col("token_convention").eq_missing("ambiguous")
    cached, hidden = ("cache_read", "cache_write"), "reasoning"
    beyond = (pl.col("tokens_total") - pl.sum_horizontal(*TOKENS, *cached, hidden)).clip(0)
    most: dict[str, tuple[str | pl.Expr, ...]] = {
        "input_uncached": cached,
        "output_visible": (hidden, beyond),
    }
    return [
        pl.when(ambiguous).then(pl.sum_horizontal(shown, *more)).otherwise(shown).alias(shown)
        for shown, more in most.items()
    ]


def _rates(calls: pl.DataFrame, price_of: PriceOf) -> pl.DataFrame:
    """Look up each distinct provider, model, tier and half hour once."""
    rows = []
    for key in calls.select(KEY).drop_nulls().unique(maintain_order=True).iter_rows():
        provider, model, tier, moment = key
        prices = price_of(provider or None, model, moment, tier or None)
        for r in prices.rates if prices else ():
            named = (r.input, r.cache_read, r.cache_write, r.output, *(r.apart.get(name) for name in APART))
            rows.append((*key, r.from_input_tokens, *named, prices and prices.source))
    rate = dict.fromkeys([*(column for _, column in BILLED.values()), *map(_own_rate, APART)], USD)
    schema = calls.select(KEY).schema | {"input_tokens": pl.Int64} | rate | {"price_source": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row").sort("input_tokens")


def _priced(calls: pl.DataFrame, rates: pl.DataFrame) -> pl.DataFrame:
    """Multiply tokens by the rates of the tier the call's input reaches; no tokens cost 0 at any rate."""
    counted = calls.with_row_index("row").with_columns(
        input_tokens=pl.sum_horizontal("input_uncached", "cache_read", "cache_write"),
        output=pl.sum_horizontal("output_visible", "reasoning"),
    )
    counted = counted.sort("input_tokens")
    matched = counted.join_asof(rates, on="input_tokens", by=KEY, check_sortedness=False).sort("row")
    parts = [_cost(part, tokens, rate).alias(part) for part, (tokens, rate) in BILLED.items()]
    return matched.with_columns(parts).with_columns(cost=pl.sum_horizontal(*BILLED, ignore_nulls=False))


def _cost(part: str, tokens: str, rate: str) -> pl.Expr:
    """Price the tokens of a part, those with a price of their own apart."""
    own = [name for name in APART if APART[name] == part]
    apart = {name: pl.when(pl.col(_own_rate(name)).is_not_null()).then(name).fill_null(0) for name in own}
    rest = pl.col(tokens).fill_null(0) - pl.sum_horizontal(pl.lit(0), *apart.values())
    costs = [_usd(rest, rate), *(_usd(count, _own_rate(name)) for name, count in apart.items())]
    return pl.sum_horizontal(costs, ignore_nulls=False)


def _usd(count: pl.Expr, rate: str) -> pl.Expr:
    usd = count.cast(pl.Decimal(38, 0)) * pl.col(rate) * PER_TOKEN
    return pl.when(count == 0).then(pl.lit(Decimal(0), dtype=USD)).otherwise(usd)


def _noted(costs: pl.DataFrame) -> pl.DataFrame:
    """Say in its source which calls have audio or images that are billed as text, perhaps far too low."""
    for kind in ("audio", "image"):
        names = [name for name in APART if name.endswith(kind)]
        as_text = pl.any_horizontal((pl.col(n) > 0) & pl.col(_own_rate(n)).is_null() for n in names)
        if costs.select(as_text.any()).item():
            said = pl.format(f"{{}}; {kind} billed as text, for want of a price", "price_source")
            costs = costs.with_columns(price_source=pl.when(as_text).then(said).otherwise("price_source"))
    return costs


def _own_rate(name: str) -> str:
    return f"{name}_rate"
