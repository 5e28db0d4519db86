"""What stands in the small data folder that commands are tried on, and what they answer."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from aiops_pipelines.project import ROOT, Project
from aiops_pipelines.resources.published import ReadOnlyWarehouse
from aiops_pipelines.resources.tables import Column, Table, declared_tables

AS_OF = datetime(2026, 7, 6, 6, tzinfo=UTC)
WEEKS = [date(2026, 6, 1) + timedelta(days=7 * n) for n in range(5)]
SYSTEM = {
    "name": "support",
    "title": "Support [red]assistant[/red]",
    "as_of": AS_OF.isoformat(),
    "corpus": {"folder": "corpus"},
    "inference_log": {"folder": "log"},
    "known_queries": "queries.jsonl",
    "baseline": {"weeks": 2, "minimum_rows": 6},
}
SIGNAL = {
    "period_start": datetime(2026, 6, 29, tzinfo=UTC),
    "period_end": datetime(2026, 7, 6, tzinfo=UTC),
    "signal": "spend_growth",
    "subject": "",
    "cause": "cost_growth",
    "severity": "P3",
    "value": 0.5,
    "limit_value": 0.25,
    "evidence": "The week cost 3 USD.\x1b[31m",
}


def modelled(path: str) -> Table:
    """A table that dbt builds, with the columns its model declares."""
    pillar, name = path.split(".")
    (model,) = yaml.safe_load((ROOT / f"dbt_project/models/{pillar}/{name}.yml").read_text())["models"]
    columns = tuple(Column(c["name"], c["data_type"], c["description"]) for c in model["columns"])
    return Table(pillar, name, model["description"], columns)


TABLES = declared_tables(ROOT / "dbt_project") | {
    path: modelled(path) for path in ("monitoring.weekly_traffic", "costs.weekly_spend")
}


def frame(table: str, *rows: dict[str, Any]) -> pl.DataFrame:
    """Rows of a table of the system; what is not given is null."""
    blank = dict.fromkeys(TABLES[table].schema)
    return pl.DataFrame([blank | {"system": "support"} | row for row in rows], schema=TABLES[table].schema)


def scores() -> pl.DataFrame:
    """Three known queries a week, all at 0.9, and from the fourth week on at 0.6."""
    rows = [
        {
            "week": week,
            "event_id": f"{week}-{query}",
            "sample": "known",
            "metric": "answer_support",
            "value": 0.9 if number < 3 else 0.6,
            "judge": "j/1",
            "query_id": f"q{query}",
            "cluster": f"q{query}",
        }
        for number, week in enumerate(WEEKS)
        for query in range(3)
    ]
    return frame("monitoring.quality_scores", *rows)


def verdict(week: date, word: str) -> dict[str, Any]:
    return {
        "week": week,
        "sample": "known",
        "metric": "answer_support",
        "verdict": word,
        "reason": "So it is.",
    }


def growth(cause: str, change: float) -> dict[str, Any]:
    spend = {"spend_before_usd": 2.0, "spend_after_usd": 3.0}
    return {"week": WEEKS[4], "endpoint": "chat", "cause": cause, "change_usd": change, **spend}


def freshness(week: date, word: str, share: float) -> dict[str, Any]:
    return {"week": week, "verdict": word, "stale_share": share, "answers": 50, "stale_answers": 1}


def call(number: int, at: datetime, **changed: Any) -> str:
    usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
    record = {
        "event_id": f"e{number}",
        "occurred_at": at.isoformat(),
        "usage": usage,
        "query": "?",
        "answer": "!",
    }
    return json.dumps(record | {"provider": "openai", "model_served": "gpt-4o-mini"} | changed)


def logged() -> list[str]:
    """Three production calls and three answers to a known query in each of the five weeks."""
    start = datetime(2026, 6, 1, 12, tzinfo=UTC)
    return [
        call(10 * week + n, start + timedelta(days=7 * week, hours=n), known_query_id="q1" if n % 2 else None)
        for week in range(5)
        for n in range(6)
    ]


def write_system(data: Path, **changed: Any) -> None:
    content = {key: value for key, value in (SYSTEM | changed).items() if value is not None}
    (data / "systems" / f"{content['name']}.yaml").write_text(yaml.safe_dump(content))


def write_inputs(data: Path) -> None:
    for folder in ("systems", "corpus", "log"):
        (data / folder).mkdir(parents=True)
    write_system(data)
    (data / "corpus" / "returns.md").write_text("# Returns\n\nWithin 30 days.")
    (data / "log" / "june.jsonl").write_text("\n".join(logged()) + "\n")
    known = {"query_id": "q1", "query": "How long?", "valid_from": "2026-06-01"}
    known |= {"relevant": [{"document": "returns.md", "grade": 2}]}
    (data / "queries.jsonl").write_text(json.dumps(known) + "\n")


class Answer:
    """What a command printed, with spaces and line breaks evened out, and its exit code."""

    def __init__(self, result: Any):
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        self.code, self.raw = result.exit_code, result.stdout
        self.text, self.error = " ".join(result.stdout.split()), " ".join(result.stderr.split())
        self.exception = result.exception


def refused(answer: Answer, *words: str) -> None:
    """The command ended with one sentence on stderr, without a traceback."""
    assert answer.code == 1
    assert "Traceback" not in answer.error
    for word in words:
        assert word in answer.error


def stored(data: Path) -> ReadOnlyWarehouse:
    return ReadOnlyWarehouse(Project(data).warehouse, TABLES)


def number(data: Path) -> str:
    return str(stored(data).rows("incidents.incidents")["incident_id"][0])
