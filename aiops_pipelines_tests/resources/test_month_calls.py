"""A month's calls as levers get them: read from the warehouse, and from the log files where texts are not stored."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from aiops_pipelines.costs.counterfactual import Pricing
from aiops_pipelines.costs.lever import Group
from aiops_pipelines.costs.levers import LEVERS
from aiops_pipelines.costs.opportunities import savings_proposals
from aiops_pipelines.costs.prices import call_costs
from aiops_pipelines.inference_log.source import Source
from aiops_pipelines.resources.log_book import LogBook
from aiops_pipelines.resources.log_folder import LogFolder
from aiops_pipelines.resources.month_calls import month_groups
from aiops_pipelines.resources.prices import PriceBook
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System
from aiops_pipelines_tests.resources.test_completion import insert

pytestmark = pytest.mark.usefixtures("kept_open")

JUNE, JUNE_1 = date(2026, 6, 1), datetime(2026, 6, 1, tzinfo=UTC)
RULES = "\n".join(
    f"Rule {n}: pages of chapter {n} are for readers of group {n} and for nobody else." for n in range(90)
)
SYSTEM_PROMPT = f"You answer readers of the library.\n{RULES}\n{RULES}"
TOOLS = [
    {
        "type": "function",
        "function": {"name": name, "description": "x" * 400, "parameters": {"type": "object"}},
    }
    for name in ("find_shelf", "burn_shelf")
]


def payload(n: int) -> bytes:
    """A call every four minutes, each third of which asks the same; the first tool is called, the other never."""
    at = JUNE_1 + n * timedelta(minutes=4)
    question = "Where is the reading room?" if n % 3 == 0 else f"Who wrote volume {n}?"
    answer = "In house 2, on floor 3." if n % 3 == 0 else f"A writer of {n}."
    called = {"id": "t", "type": "function", "function": {"name": "find_shelf", "arguments": "{}"}}
    message = {"role": "assistant", "content": answer, "tool_calls": [called]}
    value = {
        "id": f"c{n}", "trace_id": f"t{n}", "call_type": "acompletion", "custom_llm_provider": "openai",
        "model": "gpt-4.1-2025-04-14", "model_group": "library", "startTime": at.timestamp(), "endTime": at.timestamp() + 1,
        "status": "success", "prompt_tokens": 4_800, "completion_tokens": 20, "total_tokens": 4_820,
        "messages": [{"role": "system", "content": SYSTEM_PROMPT}, {"role": "user", "content": question}],
        "model_parameters": {"tools": TOOLS},
        "response": {"choices": [{"message": message, "finish_reason": "stop"}], "model": "gpt-4.1-2025-04-14"},
        "end_user": f"u{n % 40}",
    }  # fmt: skip
    return json.dumps(value).encode() + b"\n"


@pytest.fixture
def library(warehouse: Warehouse, tmp_path: Path) -> Iterator[tuple[System, list[Group]]]:
    folder = tmp_path / "log"
    folder.mkdir()
    (folder / "june.jsonl").write_bytes(b"".join(map(payload, range(3_000))))
    logs = {"folder": folder, "format": "litellm"}
    system = System.model_validate({"name": "library", "title": "Library", "inference_log": logs})
    source = Source("library", "litellm", JUNE_1 + timedelta(days=31), b"key")
    book = LogBook(warehouse, LogFolder(folder), source)
    for file in LogFolder(folder).files()[0]:
        list(book.read(file))
    calls = warehouse.rows("inference_log.inferences", system="library")
    with warehouse.writing() as writer:
        writer.append("costs.call_costs", call_costs(calls, PriceBook().price_of))
    yield system, list(month_groups(warehouse, system, JUNE))


def test_waste_in_a_log_is_found_with_its_size(library):
    system, groups = library
    rows = savings_proposals(system.name, JUNE, groups, LEVERS, Pricing(PriceBook().price_of))
    found = {row["lever"]: row for row in rows.iter_rows(named=True)}
    [group] = groups
    front = group.calls.select("system_prompt_tokens", "tools_tokens").row(0)
    proposed = {name for name, row in found.items() if row["verdict"] == "propose"}
    assert proposed == {"prompt caching", "prompt compression", "unused tools", "semantic caching"}
    assert float(found["prompt compression"]["saving_usd"]) == pytest.approx(
        3_000 * front[0] * 0.5 * 2 / 1e6, rel=0.02
    )
    assert float(found["unused tools"]["saving_usd"]) == pytest.approx(
        3_000 * front[1] * 0.5 * 2 / 1e6, rel=0.02
    )
    assert (
        "burn_shelf" in found["unused tools"]["change"]
        and "find_shelf" not in found["unused tools"]["change"]
    )
    cached = 3_000 * sum(front) * 1.5 / 1e6
    assert float(found["prompt caching"]["saving_usd"]) == pytest.approx(cached, rel=0.02)
    assert "by their texts" in found["prompt caching"]["evidence"]
    hits = 1_000 - 9  # one in three, less the first of each of nine days
    each = (4_800 * 2 + 20 * 8) / 1e6
    assert float(found["semantic caching"]["saving_usd"]) == pytest.approx(hits * each)
    assert (
        sum(row["further_usd"] for row in found.values() if row["verdict"] == "propose")
        < found["prompt caching"]["spend_usd"]
    )
    assert "Rule 1" not in str(rows.to_dicts()) and "reading room" not in str(rows.to_dicts())


def test_queries_of_proposals_run_on_the_warehouse(library, warehouse):
    system, groups = library
    rows = savings_proposals(system.name, JUNE, groups, LEVERS, Pricing(PriceBook().price_of))
    for row in rows.iter_rows(named=True):
        assert warehouse.read(row["query"]).height, row["lever"]


def test_log_files_that_are_gone_leave_prompts_unread(library, warehouse):
    system, _ = library
    (system.inference_log.folder / "june.jsonl").unlink()
    [group] = month_groups(warehouse, system, JUNE)
    assert group.samples["prompts"].is_empty() and group.calls.height == 3_000


TALK: dict[str, Any] = {
    "operation": "chat",
    "endpoint": "chat",
    "provider": "openai",
    "model_served": "gpt-4.1",
    "status": "ok",
    "session_id": "s",
}


def test_turns_questions_and_chunks_are_read_of_each_call(warehouse):
    """Four turns of one conversation, which another endpoint's call and a probe are no part of."""
    rows = [
        {"event_id": f"e{n}", "occurred_at": JUNE_1 + timedelta(hours=n), "history_tokens": n * 100, "user_tokens": 30 + n,
         "output_visible": 70, "input_uncached": 500, "query": question, "answer": f"So {n}.", **TALK}
        for n, question in enumerate(("What is C++?", "what  IS c++", "What is C#?", "Where is the order of [EMAIL]?"))
    ]  # fmt: skip
    rows[2]["retrieved"] = [
        {"chunk_id": "long", "document": None, "score": None},
        {"chunk_id": "short", "document": None, "score": None},
    ]
    rows.append(rows[1] | {"event_id": "p", "known_query_id": "q1", "session_id": None})
    rows.append(rows[1] | {"event_id": "july", "occurred_at": datetime(2026, 7, 1, tzinfo=UTC)})
    rows.append(rows[1] | {"event_id": "vector", "operation": "embeddings"})
    rows[1]["session_id"], rows[1]["trace_id"] = None, "t"
    insert(warehouse, "inference_log.inferences", *({"system": "shop", **row} for row in rows))
    insert(
        warehouse,
        "inference_log.traces",
        {"system": "shop", "trace_id": "t", "session_id": "s", "user_id": "u"},
    )
    chunks = [("long", "a" * 30), ("short", "b" * 10)]
    insert(
        warehouse,
        "rag.chunks",
        *({"system": "shop", "chunk_id": name, "text": text} for name, text in chunks),
    )
    calls = warehouse.rows("inference_log.inferences", system="shop")
    with warehouse.writing() as writer:
        writer.append("costs.call_costs", call_costs(calls, PriceBook().price_of))
    system = System.model_validate({"name": "shop", "title": "Shop", "inference_log": {"folder": "log"}})
    [group] = month_groups(warehouse, system, JUNE)
    assert group.calls["event_id"].to_list() == ["e0", "e1", "e2", "e3"]
    assert group.calls["turn"].to_list() == [1, 2, 3, 4]
    assert group.calls["user"].to_list() == ["s", "u", "s", "s"]
    assert group.calls["last_2"].to_list() == [None, 100, 201, 203]
    assert group.calls["history_first"].to_list() == [0, 0, 0, 0]
    first, again, other, masked = group.calls["question"]
    assert masked is None, "whose order it is was masked"
    assert first == again != other
    assert group.calls["chunk_chars"].to_list() == [None, None, [30, 10], None]
    assert group.samples["contexts"]["texts"].to_list() == [["a" * 30, "b" * 10]]
    [late] = group.samples["histories"].to_dicts()
    assert late["event_id"] == "e3" and late["own"] == ["Where is the order of [EMAIL]?"]
    assert late["earlier"] == ["What is C++?\nSo 0.", "what  IS c++\nSo 1.", "What is C#?\nSo 2."]


def test_calls_without_prices_are_a_group_that_has_no_figure(warehouse):
    rows = [
        {"system": "shop", "event_id": f"e{n}", "occurred_at": JUNE_1 + timedelta(hours=n), "input_uncached": 5_000,
         "output_visible": 10, "system_prompt_tokens": 4_990, "user_tokens": 10, **TALK, "model_served": "secret-llm", "user_id": f"u{n % 30}"}
        for n in range(400)
    ]  # fmt: skip
    insert(warehouse, "inference_log.inferences", *rows)
    calls = warehouse.rows("inference_log.inferences", system="shop")
    with warehouse.writing() as writer:
        writer.append("costs.call_costs", call_costs(calls, PriceBook().price_of))
    system = System.model_validate({"name": "shop", "title": "Shop", "inference_log": {"folder": "log"}})
    rows = savings_proposals(
        "shop", JUNE, month_groups(warehouse, system, JUNE), LEVERS, Pricing(PriceBook().price_of)
    )
    assert "propose" not in rows["verdict"] and rows["saving_usd"].null_count() == rows.height
