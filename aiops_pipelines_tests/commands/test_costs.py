"""The commands for spend and prices, on a month of calls whose figures are worked out by hand."""

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import polars as pl
import pytest
import yaml
from typer.testing import CliRunner

from aiops_pipelines.cli import app
from aiops_pipelines.costs.price_settings import ContractPrice
from aiops_pipelines.costs.prices import call_costs
from aiops_pipelines.project import Project
from aiops_pipelines.resources.prices import PriceBook
from aiops_pipelines.resources.spend_tables import compared_periods, repriced_period, saved_period
from aiops_pipelines.resources.tables import Table
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System

JUNE_1 = datetime(2026, 6, 1, 12, tzinfo=UTC)
PRICES = [{"model": "own", "valid_from": "2026-01-01", "input": 1000, "output": 2000}]
PRICES += [{"model": "own", "valid_from": "2026-07-01", "input": 3000, "output": 6000}]
OWN = tuple(ContractPrice.model_validate(price) for price in PRICES)


def calls(first: int, days: int, a_day: int, tokens: int, model: str = "own") -> list[dict[str, object]]:
    return [
        {
            "system": "shop",
            "event_id": f"{model}-{first + day}-{n}",
            "occurred_at": JUNE_1 + timedelta(days=first + day),
            "endpoint": "chat",
            "provider": "us",
            "model_served": model,
            "token_convention": "disjoint",
            "input_uncached": tokens,
            "history_tokens": tokens,
            "output_visible": 0,
        }
        for day in range(days)
        for n in range(a_day)
    ]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, tables: dict[str, Table]) -> Path:
    """June: 10 calls of 1,000 tokens a day for 10 days, 100 USD. Then 20 a day of 1,500 tokens, 300 USD."""
    data = tmp_path_factory.mktemp("costs") / "data"
    (data / "systems").mkdir(parents=True)
    shop = {"name": "shop", "title": "Shop", "inference_log": {"folder": "log"}, "prices": PRICES}
    (data / "systems" / "shop.yaml").write_text(yaml.safe_dump(shop | {"as_of": "2026-07-01"}))
    schema = tables["inference_log.inferences"].schema
    rows = calls(0, 10, 10, 1000) + calls(10, 10, 20, 1500) + calls(12, 1, 3, 50, "secret-llm")
    frame = pl.DataFrame([dict.fromkeys(schema) | row for row in rows], schema=schema)
    warehouse = Warehouse(Project(data).warehouse, tables)
    with warehouse.writing() as writer:
        writer.append("inference_log.inferences", frame)
        writer.append("costs.call_costs", call_costs(frame, PriceBook(OWN).price_of))
    return data


def run(data: Path, *arguments: str) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["--data", str(data), *arguments])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, " ".join(done.stdout.split()), " ".join(done.stderr.split())


PERIODS = ["--from", "2026-06-01..2026-06-10", "--to", "2026-06-11..2026-06-20"]


def test_growth_is_split_exactly(data):
    """100 to 300 USD, L = 200 / ln 3: calls double, 200 log3(2) = 126.19; tokens grow by half, 73.81."""
    code, text, _ = run(data, "costs", "growth", "shop", *PERIODS, "--json")
    found = json.loads(text)
    assert code == 0
    assert {cause: round(change, 2) for cause, change in found["causes"].items() if abs(change) > 1e-9} == {
        "volume": 126.19,
        "tokens:history": 73.81,
    }
    assert abs(found["residual_usd"]) < 1e-9
    assert (found["spend_before_usd"], found["spend_after_usd"]) == pytest.approx((100, 300))
    assert found["calls_unpriced"] == [0, 3]


def test_growth_is_said_in_words(data):
    code, text, _ = run(data, "costs", "growth", "shop", *PERIODS)
    assert code == 0
    assert "$100.00 from 1 Jun 2026 to 10 Jun 2026, $300.00" in text
    assert "more or fewer calls +$126.19" in text and "together +$200.00" in text
    assert "In no figure of the second period: 3 calls without a known price." in text
    _, text, _ = run(
        data, "costs", "growth", "shop", "--from", "2026-06-01", "--to", "2026-06-11..2026-06-12"
    )
    assert "The periods have 1 and 2 days; the difference is volume." in text
    assert "$10.00 on 1 Jun 2026, $60.00 from 11 Jun 2026 to 12 Jun 2026" in text
    _, text, _ = run(data, "costs", "growth", "shop", *PERIODS[:3], "2026-06-10..2026-06-11")
    assert "1 day in both periods." in text


def test_a_period_without_data_or_without_sense_is_refused(data):
    code, _, error = run(data, "costs", "growth", "shop", "--from", "2026-05-01..2026-05-31", *PERIODS[2:])
    assert code == 1 and "no call with a known price from 2026-05-01 to 2026-05-31" in error
    code, _, error = run(data, "costs", "growth", "shop", "--from", "June", *PERIODS[2:])
    assert code == 2 and "June is no period" in error
    for wrong in ("2026-06-01..", "2026-W23", "20260601", "2026-06-10..2026-06-01"):
        code, _, error = run(data, "costs", "growth", "shop", "--from", wrong, *PERIODS[2:])
        assert code == 2 and wrong in error.replace(" ", "")
    code, text, _ = run(data, "costs", "growth", "shop", *PERIODS[:3], "2026-06-11..9999-12-31")
    assert code == 0 and "together +$200.00" in text


def test_growth_knows_the_endpoints_that_traces_name(data, tables):
    """A log may name a feature on the trace alone; spend by endpoint knows it, and so does its growth."""
    schemas = [tables[name].schema for name in ("inference_log.inferences", "inference_log.traces")]
    rows = [row | {"system": "traced", "endpoint": None, "trace_id": "t"} for row in calls(0, 2, 10, 1000)]
    frame = pl.DataFrame([dict.fromkeys(schemas[0]) | row for row in rows], schema=schemas[0])
    trace = dict.fromkeys(schemas[1]) | {"system": "traced", "trace_id": "t", "endpoint": "ask"}
    warehouse = Warehouse(data / "traced.duckdb", tables)
    with warehouse.writing() as writer:
        writer.append("inference_log.inferences", frame)
        writer.append("inference_log.traces", pl.DataFrame([trace], schema=schemas[1]))
        writer.append("costs.call_costs", call_costs(frame, PriceBook(OWN).price_of))
    days = [JUNE_1.date() + timedelta(days=n) for n in range(2)]
    split = compared_periods(warehouse, "traced", *((day, day) for day in days)).split
    assert split["endpoint"].unique().to_list() == ["ask"]
    assert split["spend_after_usd"].max() == pytest.approx(10)


def test_what_was_saved_is_told_with_its_interval_and_quality(data):
    """Each of 200 answers has 500 tokens more than before, at a tenth of a cent each."""
    code, text, _ = run(data, "costs", "saved", "shop", *PERIODS)
    assert code == 0 and "answers cost $100.00 more than their like before" in text
    assert "200 answers from 11 Jun 2026 to 20 Jun 2026 cost $300.00." in text
    assert "they would have cost $200.00, at the prices of 20 Jun 2026" in text
    assert "chat 200 $200.00 $300.00" in text
    assert "In no figure of the second period: 3 answers without a cost." in text
    _, text, _ = run(data, "costs", "saved", "shop", *PERIODS, "--json")
    found = json.loads(text)
    assert (found["verdict"], found["quality"], found["proven"]) == ("dearer", "not measured", False)
    assert (found["saved_usd"], found["low_usd"], found["high_usd"]) == pytest.approx((-100, -100, -100))
    code, _, error = run(data, "costs", "saved", "shop", *PERIODS[:3], "2026-06-10..2026-06-12")
    assert code == 1 and "has to begin after the last day of the earlier one" in error


def test_a_price_that_falls_is_no_saving(data, tables):
    """The same calls at 1,000 and, from 11 June on, at 100 USD a million; users and endpoints are the traces'."""
    prices = [{"model": "own", "valid_from": "2026-01-01", "input": 1000, "output": 0}]
    prices += [{"model": "own", "valid_from": "2026-06-11", "input": 100, "output": 0}]
    plain = {"name": "cheap", "title": "Cheap", "inference_log": {"folder": "log"}, "prices": prices}
    schema = tables["inference_log.inferences"].schema
    rows = [row | {"system": "cheap", "trace_id": row["event_id"]} for row in calls(0, 20, 10, 1000)]
    rows += [row | {"event_id": f"probe-{n}", "known_query_id": "q"} for n, row in enumerate(rows)]
    frame = pl.DataFrame([dict.fromkeys(schema) | row | {"endpoint": None} for row in rows], schema=schema)
    traces = tables["inference_log.traces"].schema
    named = {"system": "cheap", "endpoint": "ask", "user_id": "one", "session_id": "long"}
    told = [dict.fromkeys(traces) | named | {"trace_id": row["trace_id"]} for row in rows[:200]]
    warehouse = Warehouse(data / "cheap.duckdb", tables)
    with warehouse.writing() as writer:
        writer.append("inference_log.inferences", frame)
    system, (before, after) = (
        System.model_validate(plain),
        (JUNE_1.date(), JUNE_1.date() + timedelta(days=10)),
    )
    periods = (before, before + timedelta(days=9)), (after, after + timedelta(days=9))
    found = saved_period(warehouse, system, *periods)
    assert found.interval == pytest.approx((0, 0)) and found.verdict == "cannot tell"
    assert (found.spent_usd, found.expected_usd) == pytest.approx((10, 10))
    with warehouse.writing() as writer:
        writer.append("inference_log.traces", pl.DataFrame(told, schema=traces))
    found = saved_period(warehouse, system, *periods)
    assert found.obstacle and found.obstacle.startswith("the calls count as 1.0 independent users")
    assert found.kinds["endpoint"].unique().to_list() == ["ask"]


def test_models_without_a_price_are_listed(data):
    code, text, _ = run(data, "prices", "missing")
    assert code == 0
    assert (
        "3 calls without a price" in text and "us secret-llm standard 3 150 13 Jun 2026 13 Jun 2026" in text
    )
    _, text, _ = run(data, "prices", "missing", "shop", "--json")
    (row,) = json.loads(text)["shop"]
    assert (row["model"], row["calls"], row["tokens"]) == ("secret-llm", 3, 150)


def test_a_period_is_priced_at_another_date_and_nothing_stored_changes(data):
    before = Project(data).warehouse.read_bytes()
    _, text, _ = run(data, "prices", "reprice", "shop", "--as-of", "2026-07-01", "--json")
    found = json.loads(text)
    assert [float(found[key]) for key in ("cost_usd", "repriced_usd", "change_usd")] == [400, 1200, 800]
    assert (found["calls"], found["calls_unpriced"]) == (303, 3)
    over = ("--over", "2026-06-01..2026-06-10")
    code, text, _ = run(data, "prices", "reprice", "shop", "--as-of", "2026-07-01", *over)
    assert code == 0 and "together 100 0 $100.00 $300.00 +$200.00" in text
    _, text, _ = run(data, "prices", "reprice", "shop", "--as-of", "2026-07-01")
    assert "secret-llm 3 3 unknown unknown unknown" in text
    assert Project(data).warehouse.read_bytes() == before


def test_calls_have_the_price_of_their_date_also_where_parts_are_priced_apart(data, tables):
    """A million tokens kept for an hour, of a long prompt: 12 USD; for five minutes they were 7.50."""
    kept = {"model_served": "claude-sonnet-4-5", "provider": "anthropic", "cache_write": 10**6}
    kept |= {"cache_write_1h": 10**6, "input_uncached": 0, "history_tokens": 10**6}
    schema = tables["inference_log.inferences"].schema
    rows = [dict.fromkeys(schema) | row | kept | {"system": "hour"} for row in calls(0, 1, 1, 0)]
    frame = pl.DataFrame(rows, schema=schema)
    system = System.model_validate({"name": "hour", "title": "Hour", "inference_log": {"folder": "log"}})
    warehouse = Warehouse(data / "hour.duckdb", tables)
    with warehouse.writing() as writer:
        writer.append("inference_log.inferences", frame)
        writer.append("costs.call_costs", call_costs(frame, PriceBook().price_of))
    june = (JUNE_1.date(), JUNE_1.date())
    found = repriced_period(warehouse, system, JUNE_1.date(), june)
    assert found.select("cost_usd", "repriced_usd", "change_usd").row(0) == (12, 12, 0)


def test_a_price_is_shown_with_its_source(data):
    _, text, _ = run(data, "prices", "show", "o3", "--at", "2025-06-01", "--provider", "openai")
    assert "list price before 2025-06-10" in text and "10" in text
    _, text, _ = run(data, "prices", "show", "own", "--at", "2026-07-02", "--system", "shop", "--json")
    assert json.loads(text)["usd_per_million"][0]["input"] == "3000"
    _, text, _ = run(data, "prices", "show", "claude-sonnet-4-5", "--provider", "anthropic")
    assert "cache write 1h" in text and "200,001 6 0.6 7.5 22.5 12" in text
    _, text, _ = run(data, "prices", "show", "claude-sonnet-4-5")
    assert "200,001 6 0.6 7.5 22.5 12" in text
    _, text, _ = run(data, "prices", "show", "gpt-4o", "--provider", "Azure OpenAI")
    assert "azure/gpt-4o" in text
    _, text, _ = run(data, "prices", "show", "gpt-4o", "--tier", "Batch", "--json")
    found = json.loads(text)
    assert (found["tier"], found["usd_per_million"][0]["input"]) == ("batch", "1.25")
    code, _, error = run(data, "prices", "show", "o3-pro", "--tier", "priority")
    assert code == 1 and "o3-pro in the tier priority has no known price" in error
    code, _, error = run(data, "prices", "show", "secret-llm")
    assert code == 1 and "secret-llm has no known price" in error and "--provider" in error


def proposal(rank: int, lever: str, month: int = 6, **more: object) -> dict[str, object]:
    """A row of costs.savings_proposals, proposed for 20 of 100 USD unless a reason is given."""
    blank = {"system": "shop", "month": date(2026, month, 1), "endpoint": "chat", "model": "own", "calls": 9}
    usd = {name: Decimal(value) for name, value in (("saving_usd", 20), ("low_usd", 15), ("high_usd", 25))}
    made = {
        "verdict": "propose",
        "further_usd": Decimal(20),
        "change": "Do it.",
        "loss_high": 0.01,
        "loss_measure": "of words",
        **usd,
    }
    told = {"verdict": "cannot tell"} if "reason" in more else made
    return (
        blank
        | {"rank": rank, "lever": lever, "spend_usd": Decimal(100), "examples": ["e1"], "evidence": "Seen."}
        | told
        | more
    )


@pytest.fixture
def looked_at(data: Path, tables: dict[str, Table]) -> Iterator[Path]:
    warehouse, table = Warehouse(Project(data).warehouse, tables), tables["costs.savings_proposals"]
    rows = [
        proposal(1, "prompt caching", loss_high=0.0, loss_measure="the model reads the same text"),
        proposal(2, "context pruning", further_usd=Decimal(12)),
        proposal(3, "prompt compression", loss_high=None, loss_measure=None, endpoint="\x1b[31mred"),
        proposal(4, "tier routing", reason="no known query was asked"),
        proposal(1, "unused tools", month=5, reason="no texts"),
    ]
    frame = pl.DataFrame([dict.fromkeys(table.schema) | row for row in rows], schema=table.schema)
    warehouse.replace("costs.savings_proposals", frame, system="shop")
    yield data
    warehouse.replace("costs.savings_proposals", frame.clear(), system="shop")


def test_opportunities_are_said_with_interval_loss_and_what_overlaps(looked_at):
    code, text, _ = run(looked_at, "costs", "opportunities", "shop")
    assert code == 0 and "June 2026" in text.replace("\u00a0", " ")
    assert (
        "$20.00 a month, $15.00 to $25.00, of $100.00. Do it. Answers stay: the model reads the same text."
        in text
    )
    assert (
        "Answers lose at most 1.0 % (of words). With the larger ones of this endpoint in place it is +$12.00."
        in text
    )
    assert "What answers lose is not measured: try it on the known queries first." in text
    assert "Together $52.00 a month" in text and "aiops costs saved tells afterwards" in text
    assert "Looked at besides: 1. --all says why" in text and "\x1b" not in text and "<U+001B>" in text
    _, text, _ = run(looked_at, "costs", "opportunities", "shop", "--all")
    assert "no known query was asked" in text


def test_opportunities_of_another_month_and_as_data(looked_at):
    code, text, _ = run(looked_at, "costs", "opportunities", "shop", "--month", "2026-05")
    assert code == 0 and "Nothing is proposed." in text and "Together" not in text
    _, text, _ = run(looked_at, "costs", "opportunities", "shop", "--json")
    rows = json.loads(text)
    assert [row["rank"] for row in rows] == [1, 2, 3, 4] and rows[0]["saving_usd"] == "20.000000000000"
    code, _, error = run(looked_at, "costs", "opportunities", "shop", "--month", "June")
    assert code == 2 and "June is no month" in error
    code, _, error = run(looked_at, "costs", "opportunities", "shop", "--month", "2026-04")
    assert code == 1 and "No savings were looked for in 2026-04 of shop" in error


def test_before_the_first_month_is_over_nothing_was_looked_for(data):
    code, _, error = run(data, "costs", "opportunities", "shop")
    assert code == 1 and "once a month is over" in error


def test_an_invoice_is_kept_compared_and_logged(data: Path, tables: dict[str, Table], tmp_path: Path) -> None:
    own = tmp_path / "data"
    shutil.copytree(data, own)

    def entered(*arguments: str) -> tuple[int, str]:
        given = ("costs", "invoice", "shop", "--month", "2026-06", "--by", "Ann", *arguments)
        result = CliRunner().invoke(app, ["--data", str(own), *given])
        return result.exit_code, " ".join(result.output.split())

    code, said = entered("--amount", "500")
    assert code == 0 and "$500.00 billed, $400.00 computed" in said and "beyond the limit of 2.0" in said
    code, said = entered("--amount", "405")
    assert code == 0 and "+1.2" in said and "within its limit" in said
    assert entered("--amount", "lots")[0] == 2
    code, said = entered("--amount", "405", "--month", "2026-07")
    assert code and "2026-07 is not over" in said
    warehouse = Warehouse(Project(own).warehouse, tables)
    assert warehouse.rows("costs.invoices")["amount_usd"].to_list() == [500, 405]
    log = warehouse.rows("compliance.audit_log", kind="decision.invoice_entered")
    assert log["actor"].to_list() == ["Ann", "Ann"]
