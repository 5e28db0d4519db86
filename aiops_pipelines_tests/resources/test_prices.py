"""Prices of the public book and of contracts, against figures read in the book."""

import gzip
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from aiops_pipelines.costs.price_settings import ContractPrice
from aiops_pipelines.costs.prices import Rates, call_costs
from aiops_pipelines.resources.prices import PriceBook

BOOK = PriceBook()


def at(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def usd(*prices: str) -> list[Decimal]:
    return [Decimal(p) for p in prices]


def test_a_listed_model_has_prices_with_their_source():
    prices = BOOK.price_of("openai", "gpt-4o-mini", at("2026-06-01"))
    assert prices.rates == (Rates(*usd("0.15", "0.075", "0.15", "0.6")),)
    assert prices.source.startswith("genai-prices ")
    assert "openai/gpt-4o-mini" in prices.source
    assert "cache write billed as input" in prices.source


def test_the_name_of_a_dated_snapshot_finds_its_model():
    dated = BOOK.price_of("openai", "gpt-4o-mini-2024-07-18", at("2026-06-01"))
    assert dated.rates == BOOK.price_of("openai", "gpt-4o-mini", at("2026-06-01")).rates


@pytest.mark.parametrize(
    ("provider", "named", "sold_as"),
    [
        ("azure", "azure/gpt-4o", "gpt-4o"),
        ("google", "gemini/gemini-2.5-flash", "gemini-2.5-flash"),
        ("x-ai", "xai/grok-4", "grok-4"),
        ("openrouter", "openrouter/openai/gpt-4o", "openai/gpt-4o"),
        ("google", "publishers/google/models/gemini-2.5-flash", "gemini-2.5-flash"),
        ("google", "projects/p/locations/l/publishers/google/models/gemini-2.5-pro", "gemini-2.5-pro"),
    ],
)
def test_the_name_of_the_seller_may_stand_in_front(provider, named, sold_as):
    day = at("2026-06-01")
    assert BOOK.price_of(provider, named, day) == BOOK.price_of(provider, sold_as, day) is not None
    assert BOOK.price_of(provider, f"somebody/{named}", day) is None


def test_the_price_is_that_of_the_date():
    before, after = (BOOK.price_of("openai", "o3", at(day)) for day in ("2025-06-09T23:59", "2025-06-10"))
    assert (before.rates[0].input, after.rates[0].input) == (Decimal(10), Decimal(2))
    assert "before 2025-06-10" in before.source
    assert "since 2025-06-10" in after.source


def test_a_day_before_the_model_existed_is_priced_and_said_so():
    assert "also before the model existed" in BOOK.price_of("openai", "gpt-4o", at("2019-01-01")).source


def test_off_peak_prices_follow_the_hour():
    dear, cheap = (
        BOOK.price_of("deepseek", "deepseek-chat", at(f"2025-04-01T{h}")) for h in ("00:30", "16:30")
    )
    assert dear.rates[0].input > cheap.rates[0].input
    assert "from 00:30 to 16:30 UTC" in dear.source


def test_tiers_start_above_their_threshold():
    low, high = BOOK.price_of("google", "gemini-2.5-pro", at("2026-06-01")).rates
    assert (low.from_input_tokens, low.input, low.output) == (0, Decimal("1.25"), Decimal(10))
    assert (high.from_input_tokens, high.input, high.output) == (200_001, Decimal("2.5"), Decimal(15))


def test_an_embedding_model_has_no_price_for_output():
    assert BOOK.price_of("openai", "text-embedding-3-small", at("2026-06-01")).rates[0].output is None


def test_what_the_price_leaves_out_is_said():
    assert "fee per request is not included" in BOOK.price_of("perplexity", "sonar", at("2026-06-01")).source


def test_an_unknown_model_or_provider_has_no_price():
    assert BOOK.price_of("openai", "no-such-model", at("2026-06-01")) is None
    assert BOOK.price_of("no-such-provider", "gpt-4o", at("2026-06-01")) is None


@pytest.mark.parametrize("server", ["openai-compatible", "openai_like", "custom_openai", "vllm-openai"])
def test_a_server_that_speaks_like_a_provider_does_not_sell_at_its_prices(server):
    assert BOOK.price_of("openai", "openai/gpt-oss-20b", at("2026-11-01")) is not None
    assert BOOK.price_of(server, "gpt-oss-20b", at("2026-11-01")) is None


def contract(day: str, price: str, **cache: str) -> ContractPrice:
    return ContractPrice(model="gpt-4o", valid_from=date.fromisoformat(day), input=price, output="8", **cache)


def test_without_a_provider_a_contract_price_holds_and_the_book_does_not_guess():
    own = contract("2026-06-01", "2")
    assert PriceBook((own,)).price_of(None, "gpt-4o", at("2026-06-02")).rates[0].input == Decimal(2)
    assert PriceBook((own,)).price_of(None, "gpt-4o-mini", at("2026-06-02")) is None
    assert BOOK.price_of(None, "gpt-4o", at("2026-06-02")) is None


def test_the_latest_contract_price_that_has_begun_wins_over_the_book():
    book = PriceBook(
        (contract("2026-07-01", "1"), contract("2026-06-01", "2"), contract("2026-08-01", "0.5"))
    )
    inputs = [
        book.price_of("openai", "GPT-4o", at(d)).rates[0].input for d in ("2026-06-30T23:59", "2026-07-01")
    ]
    assert inputs == usd("2", "1")
    assert book.price_of("openai", "gpt-4o", at("2026-07-02")).source.startswith(
        "contract price of gpt-4o since 2026-07-01"
    )


def test_before_the_first_contract_the_book_holds():
    prices = PriceBook((contract("2026-07-01", "1"),)).price_of("openai", "gpt-4o", at("2026-06-30"))
    assert prices.rates[0].input == Decimal("2.5")


@pytest.mark.parametrize(
    ("model", "price", "source"),
    [
        ("gpt-4o-2024-08-06", "2", "contract price of gpt-4o since 2026-06-01, served as gpt-4o-2024-08-06"),
        ("openai/gpt-4o-2024-08-06", "2", "contract price of gpt-4o since 2026-06-01, served as openai/"),
        ("gpt-4o-2024-05-13", "3", "contract price of gpt-4o-2024-05-13 since 2026-06-01"),
        ("gpt-4o-mini-2024-07-18", "0.15", "genai-prices"),
    ],
)
def test_a_contract_holds_for_the_dated_names_a_provider_answers_with(model, price, source):
    dated = contract("2026-06-01", "3").model_copy(update={"model": "gpt-4o-2024-05-13"})
    prices = PriceBook((contract("2026-06-01", "2"), dated)).price_of("openai", model, at("2026-06-02"))
    assert prices.rates[0].input == Decimal(price)
    assert prices.source.startswith(source)


def test_a_contract_prices_a_model_the_book_does_not_know():
    own = ContractPrice(model="house-llm", valid_from=date(2026, 1, 1), input="0.4", output="0.9")
    assert PriceBook((own,)).price_of("self-hosted", "house-llm", at("2026-06-01")).rates[
        0
    ].output == Decimal("0.9")


def test_a_contract_without_cache_prices_bills_cached_input_as_input():
    rates = PriceBook((contract("2026-06-01", "2"),)).price_of("openai", "gpt-4o", at("2026-06-01")).rates
    assert rates == (Rates(*usd("2", "2", "2", "8")),)
    free = PriceBook((contract("2026-06-01", "2", cache_read="0", cache_write="3"),))
    assert free.price_of("openai", "gpt-4o", at("2026-06-01")).rates == (Rates(*usd("2", "0", "3", "8")),)


def test_a_cache_write_for_an_hour_has_the_books_own_price_or_says_that_it_is_billed_as_any():
    """Sonnet 4.5 above 200,000 tokens of input: 7.50 a million, 12 for an hour."""
    assumed = "cache write for an hour billed as cache write, for want of a price"
    day = at("2026-06-01")
    listed = BOOK.price_of("anthropic", "claude-sonnet-4-5", day)
    assert [rate.apart["cache_write_1h"] for rate in listed.rates] == usd("6", "12")
    assert [rate.cache_write for rate in listed.rates] == usd("3.75", "7.5")
    assert assumed not in listed.source
    unlisted = BOOK.price_of("google", "claude-3-7-sonnet", day)
    assert "cache_write_1h" not in unlisted.rates[0].apart and assumed in unlisted.source
    # Where a write of any kind is billed as input, that is said of it already.
    assert "for an hour" not in BOOK.price_of("openai", "gpt-4o", day).source


def test_a_contract_may_have_a_price_for_cache_writes_for_an_hour():
    agreed = contract("2026-06-01", "2", cache_write="2.5", cache_write_1h="4")
    prices = PriceBook((agreed,)).price_of("openai", "gpt-4o", at("2026-06-01"))
    assert prices.rates == (Rates(*usd("2", "2", "2.5", "8"), apart={"cache_write_1h": Decimal(4)}),)
    assert (
        prices.source
        == "contract price of gpt-4o since 2026-06-01; cache read billed as input, for want of a price"
    )
    with pytest.raises(ValueError, match="give input and output, or gpu_hour_usd"):
        ContractPrice(
            model="m",
            valid_from=date(2026, 6, 1),
            gpu_hour_usd="2",
            tokens_per_gpu_hour=1,
            cache_write_1h="1",
        )


@pytest.mark.parametrize(
    "model", ["openai/gpt-4o", "anthropic/claude-sonnet-4-5", "google/gemini-2.5-pro", "openai/o3"]
)
@pytest.mark.parametrize(
    "tokens",
    [(1000, 500, 0, 0, 20), (150_000, 50_001, 0, 0, 7), (10, 300_000, 0, 0, 1), (10, 5, 900, 600, 7), (9, 0, 300_000, 1, 1)],
)  # fmt: skip
def test_a_call_costs_what_the_book_itself_computes(model, tokens):
    genai_prices = pytest.importorskip("genai_prices")
    (provider, name), (uncached, read, write, hour, output) = model.split("/"), tokens
    # The book wants writes to be priced where they are stated; the others sell none.
    written = {"cache_write_tokens": write, "cache_write_1h_tokens": hour} if provider == "anthropic" else {}
    usage = genai_prices.Usage(
        input_tokens=uncached + read + write, cache_read_tokens=read, output_tokens=output, **written
    )
    expected = genai_prices.calc_price(
        usage, name, provider_id=provider, genai_request_timestamp=at("2026-06-01")
    )
    call = pl.DataFrame(
        {
            "system": "s",
            "event_id": "1",
            "provider": provider,
            "model_requested": "other",
            "model_served": name,
            "occurred_at": at("2026-06-01"),
            "token_convention": "disjoint",
            "input_uncached": uncached,
            "cache_read": read,
            "cache_write": write,
            "cache_write_1h": hour,
            "output_visible": output,
            "reasoning": 0,
        }
    )
    assert call_costs(call, BOOK.price_of)["cost_usd"].item() == expected.total_price


def test_a_model_on_machines_of_ones_own_has_one_price_for_every_token():
    """2.40 USD a GPU hour over 6,000,000 tokens are 0.40 USD per million, cached or not, read or written."""
    own = ContractPrice(
        model="hosted", valid_from=date(2026, 1, 1), gpu_hour_usd="2.40", tokens_per_gpu_hour=6_000_000
    )
    prices = PriceBook((own,)).price_of("vllm", "hosted", at("2026-06-01"))
    assert prices.rates == (Rates(*usd("0.4", "0.4", "0.4", "0.4")),)
    assert prices.source == "self-hosted hosted since 2026-01-01; 2.40 USD a GPU hour over 6,000,000 tokens"
    thirds = own.model_copy(update={"tokens_per_gpu_hour": 7})
    assert PriceBook((thirds,)).price_of("vllm", "hosted", at("2026-06-01")).rates[0].input == Decimal(
        "342857.142857142857"
    )


def test_a_tier_has_the_price_that_the_book_gives_it():
    """gpt-5: 1.25 and 10 per million, half of it in flex and in batches, twice as much with priority."""
    of = partial(BOOK.price_of, "openai", "gpt-5-2025-08-07", at("2026-11-01"))
    prices = {tier: of(tier) for tier in (None, "flex", "batch", "priority")}
    assert {
        tier: [p.rates[0].input, p.rates[0].cache_read, p.rates[0].output] for tier, p in prices.items()
    } == {
        None: usd("1.25", "0.125", "10"),
        "flex": usd("0.625", "0.0625", "5"),
        "batch": usd("0.625", "0.0625", "5"),
        "priority": usd("2.5", "0.25", "20"),
    }
    assert "price of the tier flex" in prices["flex"].source and "tier" not in prices[None].source


def test_a_tier_before_the_book_knew_it_has_the_first_price_known_and_says_so():
    prices = BOOK.price_of("openai", "gpt-5", at("2026-06-01"), "flex")
    assert prices.rates[0].input == Decimal("0.625")
    assert "price of the tier flex since 2026-10-12, given for any earlier day" in prices.source


def test_a_tier_without_a_price_is_not_billed_at_the_standard_one():
    assert BOOK.price_of("aws", "amazon.nova-micro-v1:0", at("2026-11-01")) is not None
    assert BOOK.price_of("aws", "amazon.nova-micro-v1:0", at("2026-11-01"), "flex") is None


def test_a_contract_holds_for_the_tier_that_it_names():
    standard = ContractPrice(model="gpt-5", valid_from=date(2026, 1, 1), input="1", output="8")
    flex = standard.model_copy(update={"service_tier": "flex", "input": Decimal("0.4")})
    of = partial(PriceBook((standard, flex)).price_of, "openai", "gpt-5", at("2026-11-01"))
    assert [of(tier).rates[0].input for tier in (None, "flex", "batch")] == [
        *usd("1", "0.4"),
        Decimal("0.625"),
    ]
    assert "gpt-5 in the tier flex since 2026-01-01" in of("flex").source


WITHOUT_TOKEN_PRICE = ("audio", "image", "video")
"""Kinds of tokens that some models sell at prices of their own, which an inference log does not count apart."""
NEWER = {
    ("openrouter", "meta-llama/llama-4-maverick-17b-128e-instruct"),
    ("openrouter", "meta-llama/llama-4-scout-17b-16e-instruct"),
    ("openrouter", "meta-llama/Llama-4-Scout-17B-16E-Instruct"),
    ("openrouter", "openai/gpt-5-mini-2025-08-07"),
    ("huggingface_cerebras", "openai/gpt-oss-120b"),
    ("aws", "gpt-5.6-sol"),
    ("azure", "deepseek-reasoner"),
    ("zai", "glm-4.7"),
    ("zai", "glm-4.6v"),
}
"""Models that the expected values have no price for, and that the book has learned since."""
OWN_NAME_IN_FRONT = {
    ("google", "google/gemini-2.5-flash"),
    ("google", "google/gemini-2.5-flash-lite"),
    ("google", "models/gemini-2.5-pro"),
    ("openai", "openai/gpt-4.1-mini"),
    ("openai", "openai/gpt-5-mini"),
    ("openai", "openai/gpt-5-mini-2025-08-07"),
    ("openai", "openai/gpt-5.6-sol"),
    ("openai", "openai/gpt-oss-120b"),
}
"""Gateways' names, which the expected values do not look up at the seller itself."""


CORRECTED = {("google", "claude-sonnet-4-5-20250929"), ("mistral", "ministral-8b-latest")}
"""Prices that the book has corrected since: a long-context tier, and a price that came down."""


def test_recorded_usage_is_priced_as_expected(shared_data: Path):
    """Every recorded usage, at every provider that could have sent it, is priced to the last digit."""
    with gzip.open(
        shared_data / "prices" / "provider_usage_bodies.jsonl.gz", "rt", encoding="utf-8"
    ) as lines:
        bodies = [json.loads(line) for line in lines]
    cases = [
        (one["usage"], wanted, _call(number, wanted["provider_id"], body.get("model"), one["usage"]))
        for number, body in enumerate(bodies)
        for one in body["extracted"]
        for wanted in one["extractors"]
    ]
    frame = pl.DataFrame([call for _, _, call in cases], schema_overrides={"model_requested": pl.String})
    costs = call_costs(frame, BOOK.price_of).rows(named=True)
    newer, corrected, exact, other_tokens = set(), set(), 0, 0
    for (usage, wanted, call), cost in zip(cases, costs, strict=True):
        key, expected = (call["provider"], call["model_served"]), wanted.get("input_price")
        if expected is None:
            newer |= {key} if cost["price_status"] == "priced" else set()
        elif cost["cost_usd"] == Decimal(expected) + Decimal(wanted.get("output_price", "0")):
            exact += 1
        elif any(kind in name for kind in WITHOUT_TOKEN_PRICE for name in usage):
            other_tokens += 1
        else:
            corrected.add(key)
    assert (newer, corrected) == (NEWER | OWN_NAME_IN_FRONT, CORRECTED)
    assert (len(bodies), exact, other_tokens) == (748, 1671, 17)


def _call(number: int, provider: str, model: str | None, usage: dict[str, int]) -> dict[str, object]:
    cached = {name: usage.get(f"{name}_tokens", 0) for name in ("cache_read", "cache_write")}
    return {
        "system": "s",
        "event_id": str(number),
        "provider": provider,
        "model_requested": None,
        "model_served": model,
        "occurred_at": at("2026-03-01T12:00"),
        "token_convention": "disjoint",
        "input_uncached": usage.get("input_tokens", 0) - sum(cached.values()),
        **cached,
        "output_visible": usage.get("output_tokens", 0),
        "reasoning": 0,
    }
