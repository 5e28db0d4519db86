"""The price book: genai-prices is met here and nowhere else, with the prices it ships; nothing is fetched.

Prices the owner of a system agreed with a provider win over the book. Batches and service tiers have the
prices that the book or a contract gives them, and none without one; fees per request or per search are not
in an inference log.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from aiops_pipelines.costs.price_settings import ContractPrice
from aiops_pipelines.costs.prices import Rates, UnitPrices
from aiops_pipelines.inference_log.makers import PUBLISHED
from aiops_pipelines.inference_log.record import provider as provider_name

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice

KEYS = {
    "input": "input_mtok",
    "cache_read": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "output": "output_mtok",
}
KEYS_APART = {
    "input_uncached_audio": "input_audio_mtok",
    "input_uncached_image": "input_image_mtok",
    "cache_read_audio": "cache_audio_read_mtok",
    "cache_read_image": "cache_image_read_mtok",
    "output_audio": "output_audio_mtok",
    "output_image": "output_image_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
}

_DATE = re.compile(r"[-@]20\d\d-?[01]\d-?[0-3]\d$")
"""The day a provider adds to the name of a model: gpt-4o-2024-08-06, claude-sonnet-4@20250514."""

_ANOTHERS = re.compile(r"compatible|custom|like|vllm")
"""What a server says that speaks a provider's interface: `openai-compatible` is anybody but OpenAI."""

SMALLEST = Decimal("1e-12")
"""Last digit that is kept of a price per million tokens."""


def book_version() -> str:
    """Return the version of the public book."""
    from genai_prices import __version__

    return str(__version__)


@dataclass(frozen=True)
class PriceBook:
    """Dated prices of models: a system's contract prices first, then the public book."""

    contract: tuple[ContractPrice, ...] = ()

    def price_of(
        self, provider: str | None, model: str, at: datetime, tier: str | None = None
    ) -> UnitPrices | None:
        """Return the prices of a model at a moment (UTC-aware) in a service tier, or None without a price.

        Without a provider only a contract price holds; the public book is not asked to guess who sells it.

        A contract price holds from its `valid_from` (UTC) on for the model's name in any letter case, and for
        the dated names that providers answer with (`gpt-4o-2024-08-06`) unless one of them has a contract of
        its own; the latest one that has begun wins.
        """
        begun = [p for p in self.contract if p.valid_from <= at.date() and p.service_tier == tier]
        for name in agreed_names(provider, model.lower()):
            if agreed := [price for price in begun if price.model.lower() == name]:
                return _contract_prices(max(agreed, key=lambda price: price.valid_from), model)
        return _book_prices(provider, model, at, tier) if provider else None


def agreed_names(provider: str | None, model: str) -> Iterator[str]:
    """Yield the names a contract may call a logged model by, the most exact first."""
    for name in _spellings(provider, model):
        yield from (name, _DATE.sub("", name))


def _contract_prices(price: ContractPrice, model: str) -> UnitPrices:
    if price.gpu_hour_usd is not None and price.tokens_per_gpu_hour is not None:
        per_million = (price.gpu_hour_usd * 10**6 / price.tokens_per_gpu_hour).quantize(SMALLEST)
        note = f"{price.gpu_hour_usd} USD a GPU hour over {price.tokens_per_gpu_hour:,} tokens"
        rates = Rates(per_million, per_million, per_million, per_million)
        return UnitPrices((rates,), f"self-hosted {price.model} since {price.valid_from}; {note}")
    named = {name: getattr(price, name) for name in (*KEYS, "cache_write_1h")}
    rates = _rates(named, 0)
    served = "" if price.model.lower() == model.lower() else f", served as {model}"
    tier = f" in the tier {price.service_tier}" if price.service_tier else ""
    notes = [f"contract price of {price.model}{tier} since {price.valid_from}{served}", *_assumed(named)]
    return UnitPrices((rates,), "; ".join(notes))


def _book_prices(provider: str, model: str, at: datetime, tier: str | None) -> UnitPrices | None:
    from genai_prices import __version__
    from genai_prices.data_snapshot import get_snapshot

    if _ANOTHERS.search(provider):
        return None
    for name in _spellings(provider, model):
        try:
            seller, found = get_snapshot().find_provider_model(name, None, provider, None)
            break
        except LookupError:
            continue
    else:
        return None
    standard = found.get_prices(at)
    if (served := _in_tier(found, standard, tier, at)) is None:
        return None
    prices, said = served
    tiers = {name: _tiers(getattr(prices, key)) for name, key in (KEYS | KEYS_APART).items()}
    if not tiers["input"]:
        return None
    rates = []
    for start in sorted({start for tier in tiers.values() for start in tier}):
        reached = {name: _at(tier, start) for name, tier in tiers.items()}
        rates.append(_rates(reached, start))
    notes = [f"genai-prices {__version__}, {seller.id}/{found.id}", _dated(found, standard), *said]
    notes += _left_out(prices)
    return UnitPrices(tuple(rates), "; ".join(notes + _assumed(tiers)))


def _in_tier(
    model: "ModelInfo", standard: "ModelPrice", tier: str | None, at: datetime
) -> "tuple[ModelPrice, list[str]] | None":
    """Return the prices of a tier and what is to be said of them; None where the book has none.

    The book knows most tiers since October 2026 only: an earlier call takes the first price known.
    """
    from genai_prices.types import StartDateConstraint

    if tier is None:
        return standard, []
    context = {"processing": "batch"} if tier == "batch" else {"service_tier": tier, "speed": tier}
    own = [v for v in model.price_variants or () if v.when.items() <= context.items()]
    if not own:
        return None
    rules = [v.constraint for v in own]
    begins = [rule.start_date for rule in rules if isinstance(rule, StartDateConstraint)]
    first = None if None in rules else min(begins, default=None)
    if first is None or first <= at.date():
        return model.get_prices(at, context), [f"price of the tier {tier}"]
    then = datetime(first.year, first.month, first.day, tzinfo=at.tzinfo)
    note = f"price of the tier {tier} since {first}, given for any earlier day"
    return model.get_prices(then, context), [note]


def _spellings(provider: str | None, model: str) -> Iterator[str]:
    """Yield a model's name, then without what stands in front of it."""
    yield model
    if provider == "google" and (path := PUBLISHED.match(model.lower())):
        yield model[path.end() :]
    front, slash, rest = model.partition("/")
    # A gateway writes `azure/gpt-4o`, Gemini itself `models/gemini-2.5-pro`.
    if slash and provider and (front == "models" or provider_name("provider", front) == provider):
        yield from _spellings(provider, rest)


def _tiers(price: Any) -> dict[int, Decimal]:
    """Price by the input tokens it starts at; a tier of the book starts one above its threshold."""
    if price is None:
        return {}
    if isinstance(price, Decimal):
        return {0: price}
    return {0: price.base} | {tier.start + 1: tier.price for tier in price.tiers}


def _at(tiers: dict[int, Decimal], start: int) -> Decimal | None:
    reached = [begin for begin in tiers if begin <= start]
    return tiers[max(reached)] if reached else None


def _rates(price: Mapping[str, Decimal | None], start: int) -> Rates:
    """Bill cached input without a price of its own as input: a discount nobody stated is not assumed."""
    base = price["input"]
    assert base is not None  # models without an input price have none at all
    read, write = (base if value is None else value for value in (price["cache_read"], price["cache_write"]))
    apart = {name: own for name in KEYS_APART if (own := price.get(name)) is not None}
    return Rates(base, read, write, price["output"], start, apart)


def _assumed(price: Mapping[str, object]) -> list[str]:
    """Say what cached input without a price of its own is billed as; an hour costs what five minutes do."""
    read, write, hour = (
        price[name] in (None, {}) for name in ("cache_read", "cache_write", "cache_write_1h")
    )
    absent = ["cache read"] * read + ["cache write"] * write
    notes = [f"{' and '.join(absent)} billed as input, for want of a price"] if absent else []
    if hour and not write:
        notes.append("cache write for an hour billed as cache write, for want of a price")
    return notes


def _dated(model: "ModelInfo", prices: "ModelPrice") -> str:
    """Say from when the price holds; the book does not know when a model was released."""
    from genai_prices.types import StartDateConstraint, TimeOfDateConstraint

    dated = model.prices if isinstance(model.prices, list) else []
    rule = next((entry.constraint for entry in dated if entry.prices is prices), None)
    if isinstance(rule, StartDateConstraint):
        return f"list price since {rule.start_date}"
    if isinstance(rule, TimeOfDateConstraint):
        return f"list price from {rule.start_time:%H:%M} to {rule.end_time:%H:%M} UTC"
    begins = [e.constraint.start_date for e in dated if isinstance(e.constraint, StartDateConstraint)]
    until = f"list price before {min(begins)}" if begins else "list price without a date"
    return f"{until}, given for any earlier day, also before the model existed"


def _left_out(prices: "ModelPrice") -> list[str]:
    notes = []
    if prices.output_reasoning_mtok is not None:
        notes.append("reasoning billed as output, although the book has a price for it")
    if prices.requests_kcount is not None:
        notes.append("the fee per request is not included")
    return notes
