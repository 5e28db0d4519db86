"""The command line: every command on a small data folder, written through the warehouse."""

import json
import os
import shutil
import socket
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import typer
import yaml
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from aiops_pipelines.cli import PANELS, app
from aiops_pipelines.commands.operate import show_outputs
from aiops_pipelines.compliance.audit_log import decision_entry
from aiops_pipelines.incidents import lifecycle
from aiops_pipelines.incidents.review_inputs import ReviewInputs
from aiops_pipelines.monitoring.baseline import freeze
from aiops_pipelines.monitoring.daily_alerts import Day
from aiops_pipelines.monitoring.service_baseline import freeze_service
from aiops_pipelines.project import ROOT, Project
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.published import ReadOnlyWarehouse
from aiops_pipelines.resources.tables import Column, Table, declared_tables
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.status import Known, status
from aiops_pipelines.systems import Baseline, Index, Limits, Retention, System, load_system
from aiops_pipelines_tests.monitoring.service_worlds import frames

QUERIES = sorted((ROOT / "docs" / "queries").glob("*.sql"))
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


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """The data folder of a finished run."""
    data = tmp_path_factory.mktemp("finished") / "data"
    write_inputs(data)
    project = Project(data)
    warehouse = Warehouse(project.warehouse, TABLES)
    signals = frame("incidents.signals", SIGNAL)
    events = TABLES["incidents.incident_events"].empty()
    opened = lifecycle.incidents(signals, events, AS_OF, {"cost_growth": "cost-growth"})
    baselines, observations = freeze(scores(), Baseline(weeks=2, minimum_rows=6), AS_OF)
    traffic = {"week": WEEKS[4], "calls": 40, "errors": 1, "refusals": 0, "latency_p95_ms": 1500.0}
    spend = {"week": WEEKS[4], "endpoint": "chat", "part": "user", "tokens": 9, "cost_usd": Decimal(3)}
    cause = {
        "week": WEEKS[3],
        "rank": 1,
        "cause": "model_change",
        "evidence": "All calls were answered by m2.",
    }
    stale = {"week": WEEKS[2], "event_id": "e1", "chunk_id": "c1", "document": "returns.md"}
    verified = {"week": WEEKS[4], "intact": True, "entries": 2, "findings": []}
    problem = {"area": "costs", "problem": "3 calls have no price.", "noticed_at": AS_OF}
    frames = {
        "monitoring.quality_scores": scores(),
        "monitoring.baselines": baselines,
        "monitoring.baseline_scores": observations,
        "monitoring.weekly_traffic": frame("monitoring.weekly_traffic", traffic),
        "drift.drift_verdicts": frame(
            "drift.drift_verdicts", verdict(WEEKS[3], "DEGRADED"), verdict(WEEKS[4], "CANNOT TELL")
        ),
        "drift.drift_causes": frame("drift.drift_causes", cause),
        "costs.weekly_spend": frame("costs.weekly_spend", spend),
        "costs.spend_growth_since_baseline": frame(
            "costs.spend_growth_since_baseline",
            *(growth("volume", 0.1), growth("tokens:context", 0.6), growth("model_mix", 0.3)),
        ),
        "rag.index_freshness": frame(
            "rag.index_freshness", freshness(WEEKS[2], "stale", 0.1), freshness(WEEKS[4], "fresh", 0.0)
        ),
        "rag.stale_answers": frame("rag.stale_answers", stale),
        "incidents.signals": signals,
        "incidents.incidents": opened.with_columns(looked_at=pl.lit(AS_OF)),
        "compliance.audit_verifications": frame("compliance.audit_verifications", verified),
        "operations.problems": frame("operations.problems", problem),
    }
    with warehouse.writing() as writer:
        for table, rows in frames.items():
            writer.append(table, rows)
    book = AuditBook(project, warehouse, Keys(project.keys))
    entries = [decision_entry("support", "noted", AS_OF, "us", f"Number {n}.", {}) for n in range(2)]
    book.append("support", entries)
    book.sign("support", AS_OF)
    warehouse.publish(project.published, {})
    return data


@pytest.fixture
def data(finished: Path, tmp_path: Path) -> Path:
    """A data folder of a finished run that a test may change."""
    return Path(shutil.copytree(finished, tmp_path / "data"))


class Answer:
    """What a command printed, with spaces and line breaks evened out, and its exit code."""

    def __init__(self, result: Any):
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        self.code, self.raw = result.exit_code, result.stdout
        self.text, self.error = " ".join(result.stdout.split()), " ".join(result.stderr.split())
        self.exception = result.exception


@pytest.fixture
def aiops(monkeypatch):
    """Run the command line on a data folder."""
    monkeypatch.setenv("AIOPS_DATA", "")

    def run(data: Path, *arguments: str) -> Answer:
        return Answer(CliRunner().invoke(app, ["--data", str(data), *arguments]))

    return run


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


# Help


def test_every_command_stands_in_its_panel_with_a_sentence(aiops, tmp_path):
    group = typer.main.get_command(app)
    names = group.list_commands(None)
    assert names == [
        *["init", "check", "import", "run", "reindex", "publish", "ui"],
        *["status", "incidents", "problems", "trace"],
        *["costs", "prices", "rag", "incident", "baseline", "migrate", "quarantine", "audit"],
    ]
    text = aiops(tmp_path, "--help").text
    positions = [text.index(f"─ {panel} ─") for panel in PANELS]
    assert positions == sorted(positions)
    inner = [command for one in names for command in getattr(group.commands[one], "commands", {}).values()]
    for command in [*group.commands.values(), *inner]:
        assert command.help and command.help.strip().endswith("."), command.name
    for name in names:
        assert f"│ {name} " in text


def test_help_imports_nothing_heavy():
    code = (
        "import sys; from typer.testing import CliRunner; from aiops_pipelines.cli import app;"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0;"
        "print(sorted({'dagster', 'duckdb', 'polars', 'pydantic', 'yaml'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Set up


def test_init_writes_one_file_that_states_every_default_and_says_what_goes_where(aiops, tmp_path):
    answer = aiops(tmp_path, "init", "desk-help")
    assert answer.code == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "systems/desk-help.yaml"]
    for place in ("corpus/desk-help", "inference_log/desk-help", "queries/desk-help.jsonl"):
        assert place in answer.text
    system = load_system(tmp_path / "systems/desk-help.yaml", tmp_path)
    assert (system.limits, system.baseline, system.retention) == (Limits(), Baseline(), Retention())
    assert system.index == Index()
    assert system.notifications == System.model_fields["notifications"].default


def test_init_explains_every_key(aiops, tmp_path):
    aiops(tmp_path, "init", "desk")
    lines = (tmp_path / "systems/desk.yaml").read_text().splitlines()
    parts = [System, Index, Limits, Baseline, Retention]
    for key in sorted({name for part in parts for name in part.model_fields}):
        at = next(n for n, line in enumerate(lines) if line.lstrip("# ").startswith(f"{key}:"))
        assert lines[at - 1].lstrip().startswith("# "), key


def test_init_overwrites_nothing(aiops, data):
    before = (data / "systems/support.yaml").read_text()
    refused(aiops(data, "init", "support"), "is there already")
    assert (data / "systems/support.yaml").read_text() == before


@pytest.mark.parametrize("name", ["Support", "../up", "no", "a" * 41, "1st", ""])
def test_init_refuses_a_name_and_leaves_nothing(aiops, tmp_path, name):
    refused(aiops(tmp_path, "init", name), "cannot be a system's name")
    assert not list(tmp_path.rglob("*.yaml"))


def test_check_finds_nothing_wrong(aiops, data):
    answer = aiops(data, "check")
    assert answer.code == 0
    assert answer.raw.count("✓") == 6 and "✗" not in answer.raw and "!" not in answer.raw
    assert "Log: 30 calls in 1 file, from 1 Jun 2026 to 29 Jun 2026." in answer.text
    assert "the first 2 weeks hold 6 production calls and 6 answers to known queries" in answer.text
    assert "a recorded story that ends 6 Jul 2026 06:00 UTC" in answer.text


CHECKS = [
    ({"inference_log": {"folder": "log", "format": "csv"}}, 1, "✗ support.yaml: inference_log.format"),
    ({"corpus": {"folder": "nowhere"}}, 1, "nowhere does not exist; create it"),
    ({"corpus": None}, 0, "! No corpus is given"),
    (
        {"inference_log": {"folder": "nowhere"}},
        1,
        "nowhere does not exist; create it, or change inference_log",
    ),
    ({"inference_log": {"folder": "corpus"}}, 1, "holds no log file"),
    (
        {"inference_log": {"folder": "log", "format": "otlp_json"}},
        1,
        "No line of the log can be read as otlp_json",
    ),
    ({"known_queries": None}, 0, "! No known_queries are given"),
    ({"known_queries": "nothing.jsonl"}, 1, "nothing.jsonl does not exist"),
    ({"known_queries": "log/june.jsonl"}, 1, "30 lines of june.jsonl cannot be read, the first: Line 1"),
    (
        {"baseline": {"weeks": 6, "minimum_rows": 1}},
        0,
        "! The log holds 5 complete weeks; a baseline needs 6",
    ),
    ({"baseline": {"weeks": 2, "minimum_rows": 7}}, 0, "with fewer than 7 no week can be judged"),
    ({"as_of": "2026-06-30T06:00:00Z", "baseline": {"weeks": 5}}, 0, "! The log holds 4 complete weeks"),
    ({"as_of": "2026-06-20T06:00:00Z"}, 0, "! The log goes on after as_of, until 29 Jun 2026"),
    ({"as_of": "2099-01-01T00:00:00Z"}, 0, "! as_of is 1 Jan 2099 00:00 UTC, which is still to come"),
    ({"as_of": None}, 0, "! The last call is of 29 Jun 2026 17:00 UTC: silence."),
    ({"notifications": [{"kind": "webhook"}]}, 1, "✗ A webhook of notifications has no url"),
]


@pytest.mark.parametrize(("changed", "code", "said"), CHECKS)
def test_check_says_what_is_wrong_with_the_file(aiops, tmp_path, changed, code, said):
    write_inputs(tmp_path)
    write_system(tmp_path, **changed)
    answer = aiops(tmp_path, "check", "support")
    assert said in answer.text
    assert answer.code == code


def test_check_says_what_is_wrong_with_what_lies_there(aiops, tmp_path):
    write_inputs(tmp_path)
    at = datetime(2026, 6, 30, tzinfo=UTC)
    lines = ["not json", call(90, at, model_served="own-model"), call(91, at, provider=None), call(0, at)]
    (tmp_path / "log" / "more.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "corpus" / "returns.md").rename(tmp_path / "corpus" / "refunds.md")
    (tmp_path / "corpus" / "prices.xlsx").write_text("no document")
    answer = aiops(tmp_path, "check")
    assert answer.code == 0
    for said in (
        "Log: 32 calls in 2 files",  # e0 is there already
        "! 1 line of the log will be set aside, the first: line 1 of more.jsonl",
        "! No price is known for own-model (1 call)",
        "! 1 call name no provider",
        "! 1 file of the corpus will be set aside: .xlsx.",
        "! Judgements name 1 document that the corpus does not hold: returns.md.",
    ):
        assert said in answer.text


def test_check_reads_a_bounded_part_of_the_log(tmp_path):
    from aiops_pipelines.resources.log_sample import log_sample

    write_inputs(tmp_path)
    sample = log_sample(load_system(tmp_path / "systems/support.yaml", tmp_path).inference_log, limit=7)
    assert (sample.lines, sample.calls, sample.capped) == (7, 7, True)
    assert not log_sample(load_system(tmp_path / "systems/support.yaml", tmp_path).inference_log).capped


def test_check_without_a_system_says_how_to_write_one(aiops, tmp_path):
    refused(aiops(tmp_path, "check"), "No system is configured", "aiops init")


def test_check_names_the_systems_there_are(aiops, data):
    refused(aiops(data, "check", "other"), "There is no system other; there is support.")


# Look


def test_status_says_how_each_topic_stands(aiops, finished):
    answer = aiops(finished, "status")
    assert answer.code == 0
    for said in (
        "support Support [red]assistant[/red], as of 6 Jul 2026 06:00 UTC",
        "✓ Service Week of 29 Jun 2026: 40 calls: 2.5 % failed, 19 in 20 took at most 1,500 ms.",
        "? Quality Week of 29 Jun 2026: 1 verdict, 1 CANNOT TELL.",
        "✗ DEGRADED in the week of 22 Jun 2026: answer support on known queries; most likely the served model",
        "! Spend Week of 29 Jun 2026: $3.00, +50.0 % against a baseline week (limit +25.0 %).",
        "Most of it: length of retrieved context +$0.60 and another mix of models +$0.30.",
        "✓ Index Week of 29 Jun 2026: The served index was level with the corpus. ! Stale so far: 1 week, 15 Jun 2026.",
        "! Incidents 1 not resolved.",
        "P3 Weekly spend has grown beyond its limit (open); acknowledge by 6 Jul 2026 17:00 UTC.",
        "✓ Audit log 2 entries; the last checkpoint covers 2, signed 6 Jul 2026 06:00 UTC.",
        "! Problems 1 problem. ! 3 calls have no price.",
    ):
        assert said in answer.text
    assert max(map(len, answer.raw.splitlines())) <= 100


def test_status_as_json_carries_the_figures(aiops, finished):
    answer = aiops(finished, "status", "support", "--json")
    (one,) = json.loads(answer.raw)
    figures = {line["topic"]: line["figures"] for line in one["lines"]}
    assert figures["Service"] == {
        "week": "2026-06-29",
        "calls": 40,
        "error_rate": 0.025,
        "latency_p95_ms": 1500.0,
        "alerts": {},
    }
    assert figures["Quality"]["degraded_weeks"] == [
        {"week": "2026-06-22", "metrics": ["answer support on known queries"], "cause": "model_change"}
    ]
    assert figures["Spend"]["growth"] == pytest.approx(0.5)
    assert figures["Spend"]["biggest_causes"] == {"tokens:context": "0.6", "model_mix": "0.3"}
    assert figures["Index"]["stale_weeks"] == ["2026-06-15"]
    assert figures["Incidents"]["open"][0]["due_at"] == "2026-07-06T17:00:00+00:00"
    assert (figures["Audit log"]["checkpoint_size"], figures["Audit log"]["intact"]) == (2, True)


NO_REPORT = [
    *(TABLES[f"compliance.{name}"].empty() for name in ("compliance_reports", "report_amendments")),
    pl.DataFrame(schema={"month": pl.Date, "calls": pl.Int64}),
]


@given(st.lists(st.sampled_from(["OK", "DEGRADED", "CANNOT TELL"]), min_size=1, max_size=6))
def test_only_a_week_in_which_all_is_ok_is_green(words):
    verdicts = frame("drift.drift_verdicts", *(verdict(WEEKS[4], word) for word in words))
    system = System.model_validate(SYSTEM)
    empty = TABLES["operations.problems"].empty()
    known = Known(ReviewInputs(system, WEEKS[4], AS_OF, verdicts=verdicts), empty, empty, 0, *NO_REPORT)
    quality = next(line for line in status(known).lines if line.topic == "Quality")
    expected = "bad" if "DEGRADED" in words else "unknown" if "CANNOT TELL" in words else "good"
    assert quality.tone == expected
    assert sum(quality.figures["verdicts"].values()) == len(words)


def test_a_tag_that_is_found_worse_stands_in_the_status():
    fresh = {"system": "support", "week": WEEKS[4], "verdict": "fresh", "stale_share": 0.0, "lag_days": 0.0}
    worse = {"system": "support", "index_version": "ix", "valid_from": AS_OF - timedelta(days=20)}
    worse |= {"ranker": "dense"}
    worse |= {"kind": "tag", "slice": "billing", "metric": "ndcg_at_10", "mean": 0.5, "low": 0.4, "high": 0.6}
    worse |= {"queries": 20, "rest": 0.85, "verdict": "worse"}
    known = ReviewInputs(
        System.model_validate(SYSTEM),
        WEEKS[4],
        AS_OF,
        freshness=frame("rag.index_freshness", fresh),
        slices=frame("rag.retrieval_slices", worse),
    )
    empty = TABLES["operations.problems"].empty()
    index = next(
        line for line in status(Known(known, empty, empty, 0, *NO_REPORT)).lines if line.topic == "Index"
    )
    assert index.figures["worse_tags"] == ["billing"]
    assert ("warn", True) in [(tone, "on billing are found worse" in said) for tone, said in index.details]


def test_nothing_known_is_never_green():
    system, empty = System.model_validate(SYSTEM), TABLES["operations.problems"].empty()
    lines = status(Known(ReviewInputs(system, WEEKS[4], AS_OF), empty, empty, 0, *NO_REPORT)).lines
    tones = {line.topic: line.tone for line in lines}
    assert {tones[topic] for topic in ("Service", "Quality", "Spend", "Index", "Audit log")} == {"unknown"}


def test_status_before_the_first_run_says_so(aiops, tmp_path):
    write_inputs(tmp_path)
    refused(aiops(tmp_path, "status"), "Nothing was run yet: aiops run")
    assert not (tmp_path / "warehouse").exists()


def test_status_names_a_file_that_cannot_be_used_beside_the_others(aiops, data):
    (data / "systems" / "other.yaml").write_text("title: no name")
    answer = aiops(data, "status")
    assert answer.code == 0 and "other.yaml: name: Field required" in answer.error
    refused(aiops(data, "status", "other"), "other.yaml: name: Field required")


def test_looking_does_not_wait_for_a_run_that_writes(aiops, data):
    code = (
        "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    )
    file = str(Project(data).warehouse)
    with subprocess.Popen(
        [sys.executable, "-c", code, file], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout.readline().strip() == "held"
        for command in ("status", "incidents", "problems"):
            assert aiops(data, command).code == 0
        writer.stdin.close()


def test_incidents_lists_what_is_due(aiops, finished):
    answer = aiops(finished, "incidents")
    assert "(open); acknowledge by 6 Jul 2026 17:00 UTC." in answer.text
    assert "✓" not in answer.raw


def test_problems_lists_what_stands_in_the_way(aiops, finished):
    assert "! costs 3 calls have no price." in aiops(finished, "problems", "support").text


# Decide


def test_an_incident_goes_from_open_to_resolved_and_back(aiops, data):
    incident = number(data)
    assert "(acknowledged); mitigate by" in aiops(data, "incident", "ack", incident, "--by", "Mira").text
    assert "(acknowledged)" in aiops(data, "incidents").text
    refused(aiops(data, "incident", "ack", incident, "--by", "Mira"), "is acknowledged, so it cannot be")
    assert "(mitigated); resolve by" in aiops(data, "incident", "mitigate", incident[4:], "--by", "Mira").text
    refused(
        aiops(data, "incident", "resolve", incident, "--by", "Mira"), "cannot be resolved without a reason"
    )
    done = aiops(
        data,
        "incident",
        "resolve",
        incident,
        "--by",
        " Mira ",
        "--reason",
        "Prompt cut.",
        "--system",
        "support",
    )
    assert "(resolved 6 Jul 2026 06:00 UTC)" in done.text
    assert "1 resolved, listed by --all" in aiops(data, "incidents").text
    assert "(resolved" in aiops(data, "incidents", "--all").text
    aiops(data, "incident", "reopen", incident, "--by", "Mira", "--reason", "Back.")
    assert "(open)" in aiops(data, "status").text
    events = stored(data).rows("incidents.incident_events")
    assert events["event"].to_list() == ["acknowledged", "mitigated", "resolved", "reopened"]
    assert events.row(2) == ("support", incident, AS_OF, "resolved", "Mira", "Prompt cut.")
    assert stored(data).rows("incidents.incidents")["status"].to_list() == ["open"]  # a run's to change


def test_clocks_are_paused_with_a_reason(aiops, data):
    incident = number(data)
    refused(aiops(data, "incident", "pause", incident, "--by", "Mira"), "cannot be paused without a reason")
    assert aiops(data, "incident", "pause", incident, "--by", "Mira", "--reason", "Vendor.").code == 0
    assert aiops(data, "incident", "resume", incident, "--by", "Mira").code == 0


def test_an_incident_is_shown_with_its_evidence_and_history_but_no_control_character(aiops, data):
    aiops(data, "incident", "ack", number(data), "--by", "Mira", "--reason", "[b]Mine[/b].")
    answer = aiops(data, "incident", "show", number(data))
    assert "The week cost 3 USD.<U+001B>[31m" in answer.text
    assert "cost-growth.yaml" in answer.text
    assert "Acknowledged 6 Jul 2026 06:00 UTC, by Mira: [b]Mine[/b]." in answer.text


def test_an_unknown_incident_is_refused(aiops, finished):
    refused(aiops(finished, "incident", "show", "INC-0"), "There is no incident INC-0 of support")


def test_baselines_are_shown(aiops, finished):
    answer = aiops(finished, "baseline", "show")
    assert "weeks of 1 Jun 2026 to 8 Jun 2026" in answer.text
    assert "known answer_support 0.900 6 0 automatic" in answer.text


def test_a_baseline_is_approved_by_somebody(aiops, data):
    refused(aiops(data, "baseline", "approve", "support", "--by", " "), "give their name")
    assert "Ada" in aiops(data, "baseline", "approve", "support", "--by", "Ada").text
    assert stored(data).rows("monitoring.baselines")["approved_by"].to_list() == ["Ada"]


def replacing(first_week: str, reason: str = "New model.") -> list[str]:
    return ["baseline", "replace", "support", "--by", "Ada", "--reason", reason, "--first-week", first_week]


def test_a_baseline_is_replaced_by_later_weeks_and_the_decision_is_logged(aiops, data):
    old = stored(data).rows("monitoring.baselines")
    assert aiops(data, *replacing("2026-06-22")).code == 0
    new = stored(data).rows("monitoring.baselines")
    assert new.select("first_week", "last_week", "mean", "n", "approved_by").rows() == [
        (WEEKS[3], WEEKS[4], pytest.approx(0.6), 6, "Ada")
    ]
    assert stored(data).rows("monitoring.baseline_scores")["value"].to_list() == pytest.approx([0.6] * 3)
    entry = stored(data).rows("compliance.audit_log", kind="decision.baseline_replaced").row(0, named=True)
    details = json.loads(entry["leaf"])["details"]
    assert entry["actor"] == "Ada" and details["reason"] == "New model."
    assert details["old"] == {"known/answer_support": old["fingerprint"][0]}
    assert details["new"] == {"known/answer_support": new["fingerprint"][0]}


def test_the_baseline_of_the_service_is_replaced_by_a_logged_decision(aiops, data):
    refused(aiops(data, *replacing("2026-06-15"), "--service"), "support has no baseline yet")
    days = {date(2026, 6, 1) + timedelta(days=n): n for n in range(35)}
    hourly, sketch = frames({day: Day(day, 10, n >= 14, 0) for day, n in days.items()})
    with Warehouse(Project(data).warehouse, TABLES).writing() as writer:
        old = freeze_service(hourly, sketch, Baseline(weeks=2, minimum_rows=6), AS_OF)
        writer.append("monitoring.service_baselines", old.with_columns(system=pl.lit("support")))
        for name, rows in (("hourly_traffic", hourly), ("latency_sketch", sketch)):
            table = rows.with_columns(pl.col("hour").dt.replace_time_zone(None), system=pl.lit("support"))
            writer._connection.register("made_rows", table)
            writer._connection.execute(f"create table monitoring.{name} as from made_rows")
    answer = aiops(data, *replacing("2026-06-15", "A slower provider."), "--service")
    assert answer.code == 0 and "weeks of 15 Jun 2026 to 22 Jun 2026" in answer.text
    new = stored(data).rows("monitoring.service_baselines")
    assert new.filter(measure="error_share").select("first_week", "hits", "value").rows() == [
        (WEEKS[2], 14, 0.1)
    ]
    [entry] = (
        stored(data).rows("compliance.audit_log", kind="decision.service_baseline_replaced").rows(named=True)
    )
    details = json.loads(entry["leaf"])["details"]
    assert (entry["actor"], details["reason"]) == ("Ada", "A slower provider.")
    assert (details["old"]["error_share"], details["new"]["error_share"]) == ("0", "0.1")
    refused(aiops(data, *replacing("2026-06-16"), "--service"), "is not a Monday")
    refused(aiops(data, *replacing("2026-06-29"), "--service"), "need 2. Wait")
    assert stored(data).rows("monitoring.service_baselines").equals(new)


@pytest.mark.parametrize(
    ("first_week", "reason", "said"),
    [
        ("2026-06-23", "New model.", "2026-06-23 is not a Monday; its week begins on 2026-06-22"),
        ("2026-05-04", "New model.", "The week of 2026-05-04 has no scores"),
        ("2026-06-29", "New model.", "a baseline needs 2"),
        ("2026-06-22", " ", "only with a reason"),
    ],
)
def test_a_replacement_is_refused_and_changes_nothing(aiops, data, first_week, reason, said):
    before = stored(data).rows("monitoring.baselines")
    refused(aiops(data, *replacing(first_week, reason)), said)
    assert stored(data).rows("monitoring.baselines").equals(before)
    assert stored(data).rows("compliance.audit_log").height == 2


def test_a_decision_needs_something_that_was_run(aiops, tmp_path):
    write_inputs(tmp_path)
    refused(aiops(tmp_path, "baseline", "approve", "support", "--by", "Ada"), "Nothing was run yet")
    assert not (tmp_path / "warehouse").exists()


# Prove


def test_an_untouched_log_is_intact(aiops, finished):
    answer = aiops(finished, "audit", "verify")
    root = (finished / "audit/support/checkpoint").read_text().splitlines()[2]
    assert answer.code == 0
    assert f"Intact: 2 entries, Merkle root {root}." in answer.text


def test_a_changed_entry_is_named(aiops, data):
    with Warehouse(Project(data).warehouse, TABLES).writing() as writer:
        rows = writer.read("select * from compliance.audit_log")
        writer.replace(
            "compliance.audit_log", rows.with_columns(summary=pl.lit("Nothing.")), system="support"
        )
    answer = aiops(data, "audit", "verify", "support")
    assert answer.code == 1
    assert "NOT intact" in answer.text and "summary" in answer.text


def test_a_lost_key_is_not_made_anew(aiops, data):
    key = data / "keys/support/checkpoint.pem"
    key.unlink()
    refused(aiops(data, "audit", "verify"), "The key that signed the log of support is missing")
    assert not key.exists()


def test_the_newest_checkpoint_is_printed_as_it_was_signed(aiops, finished, tmp_path):
    answer = aiops(finished, "audit", "checkpoint", "support")
    assert answer.raw.startswith((finished / "audit/support/checkpoint").read_text())
    assert (finished / "audit/support/keys.txt").read_text().strip() in answer.raw
    write_inputs(tmp_path / "new")
    refused(
        aiops(tmp_path / "new", "audit", "checkpoint", "support"), "No checkpoint of support is signed yet"
    )


# Run


def test_run_without_a_system_says_how_to_write_one(aiops, tmp_path):
    refused(aiops(tmp_path, "run"), "No system is configured", "aiops init")


def test_outputs_are_named_with_the_newest_pages(finished, tmp_path, capsys):
    for page in ("weekly/2026-06-22.html", "weekly/2026-06-29.html", "monthly/2026-06.html"):
        file = tmp_path / "reports/support" / page
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    show_outputs(Project(tmp_path), [load_system(finished / "systems/support.yaml", finished)])
    printed = capsys.readouterr().out
    for shown in ("aiops.duckdb", "2026-06-29.html", "2026-06.html", *(file.name for file in QUERIES)):
        assert shown in printed
    assert "2026-06-22.html" not in printed


@pytest.mark.slow
def test_run_does_what_is_due_and_says_what_was_found(tmp_path):
    write_inputs(tmp_path)
    command = [
        sys.executable,
        "-c",
        "from aiops_pipelines.cli import app; app()",
        "--data",
        str(tmp_path),
        "run",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Service" in done.stdout and "Where to look next:" in done.stdout
    assert Project(tmp_path).published.exists()


def test_ui_starts_dagster_in_its_home(tmp_path):
    """The executable beside the interpreter is started; here it is one that shows how."""
    stand_in = tmp_path / "bin" / "dagster"
    stand_in.parent.mkdir()
    stand_in.write_text('#!/bin/sh\necho "home=$DAGSTER_HOME data=$AIOPS_DATA arguments=$*"\n')
    stand_in.chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = f"import sys; sys.executable = {str(stand_in.with_name('python'))!r}; from aiops_pipelines.cli import app; app()"
    command = [sys.executable, "-c", code, "--data", str(tmp_path), "ui", "--port", str(port)]
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert f"http://127.0.0.1:{port}" in done.stdout
    assert f"home={tmp_path}/dagster data={tmp_path} arguments=dev -w {ROOT}/workspace.yaml" in done.stdout
    assert f"-h 127.0.0.1 -p {port}" in done.stdout
    assert (tmp_path / "dagster/dagster.yaml").exists()


def test_ui_says_that_its_port_is_taken(aiops, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused(aiops(tmp_path, "ui", "--port", str(taken.getsockname()[1])), "listens on port", "--port")


# The example queries


@pytest.mark.parametrize("file", QUERIES, ids=lambda file: file.stem)
def test_an_example_query_runs_on_the_published_copy(finished, file):
    found = ReadOnlyWarehouse(Project(finished).published, TABLES).read(file.read_text())
    assert found.height == 1 and found["system"].to_list() == ["support"]
    assert None not in found.row(0)[:3]


def test_there_are_three_example_queries():
    assert len(QUERIES) == 3


# Measuring rankings


def test_a_ranking_from_anywhere_is_measured(aiops, tmp_path):
    (tmp_path / "qrels").write_text("q1 0 a 2\nq1 0 b 1\nq2 0 a 1\nq3 0 a 1\n")
    (tmp_path / "run").write_text(
        "q1 Q0 a 1 3 t\nq1 Q0 x 2 2 t\nq2 Q0 x 1 9 t\nq2 Q0 a 2 8 t\nq4 Q0 a 1 1 t\n"
    )
    given = ("rag", "metrics", "--qrels", str(tmp_path / "qrels"), "--run", str(tmp_path / "run"))
    found = json.loads(aiops(tmp_path, *given, "-k", "1", "--json").raw)
    assert found["queries"] == 2
    assert found["metrics"] == {
        "precision@1": 0.5,
        "recall@1": 0.25,
        "hit@1": 0.5,
        "ndcg@1": 0.5,
        "mrr": 0.75,
    }
    assert (found["judged_without_ranking"], found["ranked_without_judgement"]) == (["q3"], ["q4"])
    text = aiops(tmp_path, *given).text
    assert "1 judged but not ranked, left out: q3." in text
    assert "mrr" in text
    (tmp_path / "run").write_text("q1 Q0 a 1 3\n")
    refused(aiops(tmp_path, *given), "run, line 1: 5 fields")
    (tmp_path / "run").unlink()
    refused(aiops(tmp_path, *given), "cannot be used")


# Indexing by hand


@pytest.fixture
def desk(tmp_path):
    folder = tmp_path / "desk"
    (folder / "systems").mkdir(parents=True)
    (folder / "systems/desk.yaml").write_text(
        "name: desk\ntitle: Desk\ncorpus: {folder: corpus}\ninference_log: {folder: log}\n"
    )
    (folder / "corpus").mkdir()
    for name, text in (("fees", "A label costs two euros."), ("hours", "We open at nine."), ("old", "Gone.")):
        (folder / f"corpus/{name}.md").write_text(f"# {name}\n\n{text}\n")
    return folder


def test_reindex_says_what_changed_and_what_it_took(aiops, desk):
    first = json.loads(aiops(desk, "reindex", "desk", "--json").raw)
    assert first["documents"] == {"added": 3, "edited": 0, "renamed": 0, "deleted": 0, "unchanged": 0}
    assert first["chunks"] == {"wanted": 3, "new_texts": 3, "embedded": 3, "dropped": 0}
    assert first["cpu_s"].keys() == {"reading", "chunking", "embedding", "writing"}
    corpus = desk / "corpus"
    (corpus / "fees.md").write_text("# fees\n\nA label costs three euros.\n")
    (corpus / "hours.md").rename(corpus / "opening.md")
    (corpus / "old.md").unlink()
    again = json.loads(aiops(desk, "reindex", "desk", "--json").raw)
    assert again["documents"] == {"added": 0, "edited": 1, "renamed": 1, "deleted": 1, "unchanged": 0}
    assert again["chunks"] == {"wanted": 2, "new_texts": 1, "embedded": 1, "dropped": 2}
    assert again["findings"] == []
    assert "The index equals its source" in aiops(desk, "reindex", "desk").text
    refused(aiops(desk, "reindex", "desks"), "There is no system desks")


def test_trace_tells_an_answer_back_to_its_document(aiops, desk):
    aiops(desk, "reindex", "desk")
    project = Project(desk)
    warehouse = Warehouse(project.warehouse, declared_tables(project.dbt))
    (place,) = warehouse.rows("rag.index_chunks", document="fees.md").rows(named=True)
    given = [{"chunk_id": place["chunk_id"], "document": "fees.md", "score": 0.9}]
    call = {"system": "desk", "event_id": "e1", "occurred_at": datetime(2026, 6, 1, tzinfo=UTC)}
    call |= {"retrieved": given, "answer": "Two euros.", "index_version": place["index_version"]}
    with warehouse.writing() as writer:
        writer.append("inference_log.inferences", frame("inference_log.inferences", call))
    text = aiops(desk, "trace", "e1").text
    assert "Two euros." in text and "A label costs two euros." in text
    assert f"in fees.md, version {place['document_hash'][:12]}, place 0" in text
    assert "by aiops reindex" in text
    found = json.loads(aiops(desk, "trace", "e1", "--json").raw)
    assert found[0]["chunks"][0]["place"]["document"] == "fees.md"
    refused(aiops(desk, "trace", "e2"), "There is no call e2 in any log")
