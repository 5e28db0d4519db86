"""The whole house on the sample's story: a log row goes in, and the story's known truths come out.

One real run of all cadences in a process of its own; every test reads what it left behind.
"""

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property, partial
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from aiops_pipelines.costs.proposal_queries import LEVERS
from aiops_pipelines.document import plain_data
from aiops_pipelines.incidents.remedy_effects import Effect
from aiops_pipelines.incidents.remedy_spans import Span
from aiops_pipelines.project import ROOT, Project
from aiops_pipelines.resources.audit_book import AuditBook
from aiops_pipelines.resources.keys import Keys
from aiops_pipelines.resources.remedy_book import record_remedy
from aiops_pipelines.resources.remedy_evidence import NO_WAY, RemedyEvidence
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.sample.story import Story, load_story
from aiops_pipelines.sample.traffic import PLANTED_PII
from aiops_pipelines.systems import System, load_system

pytestmark = pytest.mark.filterwarnings("ignore:.*is currently in beta")
SOURCES = ("systems", "corpus", "queries", "inference_log", "runbooks")
RUN = "from aiops_pipelines.project import Project; from aiops_pipelines.defs.runs import operate; operate(Project.here(), print)"
STAMPS = {
    "ingested_at",
    "quarantined_at",
    "read_at",
    "built_at",
    "registered_at",
    "noticed_at",
    "completed_at",
}


def run(data: Path) -> subprocess.CompletedProcess[str]:
    """Run all cadences on a data folder as `aiops run` does."""
    environment = {**os.environ, "AIOPS_DATA": str(data)}
    environment.pop("DAGSTER_HOME", None)
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUN],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )


@dataclass(frozen=True)
class World:
    project: Project
    story: Story
    log: str

    @cached_property
    def reader(self) -> duckdb.DuckDBPyConnection:
        return duckdb.connect(str(self.project.published), read_only=True)

    def sql(self, query: str) -> list[tuple]:
        return self.reader.execute(query).fetchall()

    def reopen(self) -> None:
        """Read the copy that was swapped in; DuckDB goes on with the old one as long as that is open."""
        self.reader.close()
        del self.__dict__["reader"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    data = tmp_path_factory.mktemp("story") / "data"
    for name in SOURCES:
        shutil.copytree(ROOT / "data" / name, data / name)
    done = run(data)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    yield World(Project(data), load_story(ROOT / "data" / "stories" / "support.yaml"), done.stdout)


def contents(world: World) -> dict[str, list[tuple]]:
    """Return the number and the sum of hashes of every published table's rows, without the run's own moments."""
    columns: dict[str, list[str]] = {}
    for table, column in world.sql(
        "select table_schema || '.' || table_name, column_name from information_schema.columns order by all"
    ):
        columns.setdefault(table, []).extend([f'"{column}"'] if column not in STAMPS else [])
    return {
        table: world.sql(
            f"select count(*), sum(hash(found)) from (select {', '.join(names)} from {table}) found"
        )
        for table, names in columns.items()
    }


def source_logs(world: World) -> dict[Path, bytes]:
    """Return every source log by file, unpacked."""
    files = [file for file in (world.project.data / "inference_log").rglob("*") if file.is_file()]
    return {
        file: gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        for file in files
    }


def test_every_log_line_is_stored_and_none_is_set_aside(world: World) -> None:
    lines = dict.fromkeys(("support", "handbook"), 0)
    for file, content in source_logs(world).items():
        lines[file.parent.name] += len(content.splitlines())
    stored = dict(world.sql("select system, count(*) from inference_log.inferences group by system"))
    assert stored == lines
    assert world.sql("select count(*) from inference_log.quarantine") == [(0,)]


def test_the_week_of_the_model_change_is_degraded_and_the_stable_weeks_are_not(world: World) -> None:
    degraded = {
        week
        for (week,) in world.sql(
            "select distinct week from drift.drift_verdicts where system = 'support' and verdict = 'DEGRADED'"
        )
    }
    judged = {
        week
        for (week,) in world.sql("select distinct week from drift.drift_verdicts where system = 'support'")
    }
    truths = world.story.truths
    assert set(truths.degraded_weeks) <= degraded
    assert not degraded & set(truths.stable_weeks)
    assert set(truths.stable_weeks) <= judged
    assert not judged & set(truths.baseline_weeks)


def test_its_first_cause_is_the_model(world: World) -> None:
    for week, cause in world.story.truths.degraded_weeks.items():
        assert world.sql(
            f"select cause from drift.drift_causes where system = 'support' and week = '{week}' and rank = 1"
        ) == [(cause,)]


def test_the_forgotten_reindex_is_reported_stale_and_no_other_week(world: World) -> None:
    stale = {
        week
        for (week,) in world.sql(
            "select week from rag.index_freshness where system = 'support' and verdict = 'stale'"
        )
    }
    assert stale == set(world.story.truths.stale_weeks)


def test_spend_grew_for_the_causes_the_story_planted(world: World) -> None:
    causes = world.sql(
        "select cause from costs.spend_growth_since_baseline where system = 'support' and week = '2026-08-31' "
        "group by cause order by sum(change_usd) desc limit 2"
    )
    assert {cause for (cause,) in causes} == set(world.story.truths.growth_causes)


def test_the_split_adds_up_to_the_change(world: World) -> None:
    rows = world.sql(
        "select week, endpoint, sum(change_usd), any_value(spend_after_usd) - any_value(spend_before_usd) "
        "from costs.spend_growth where system = 'support' group by week, endpoint"
    )
    assert len(rows) > 40
    for _, _, split, change in rows:
        assert split == pytest.approx(change, abs=1e-9)


def test_no_saving_is_proposed_that_answers_would_pay_for(world: World) -> None:
    """Prompts are short, questions seldom repeated, and answers take words from every chunk: each lever says so."""
    rows = world.sql(
        "select lever, month, verdict, reason from costs.savings_proposals where system = 'support'"
    )
    assert {lever for lever, *_ in rows} == set(LEVERS) and len({month for _, month, *_ in rows}) == 3
    assert all(verdict != "propose" and reason for _, _, verdict, reason in rows)
    pruned = [reason for lever, _, _, reason in rows if lever == "context pruning"]
    assert pruned and all("answers may lose" in reason for reason in pruned)


def test_the_burst_of_injection_attempts_is_one_incident(world: World) -> None:
    days = {
        day.date()
        for (day,) in world.sql("select period_start from incidents.signals where signal = 'guardrail_burst'")
    }
    assert days == set(world.story.truths.injection_days)
    assert world.sql(
        "select count(*), any_value(severity) from incidents.incidents where cause = 'injection_attempts'"
    ) == [(1, "P2")]


def test_a_service_that_is_stable_raises_no_alert_and_every_rule_was_read(world: World) -> None:
    assert world.sql("select * from monitoring.alerts where opened_at is not null") == []
    read = "select rule from monitoring.alert_readings where system = 'support' and level = 'clear' group by rule"
    rules = {"errors", "no_useful_outputs", "refusals", "latency_p95", "volume"}
    assert {rule for (rule,) in world.sql(read)} == rules
    measured = (
        "select count(*) from monitoring.latency_percentiles where system = 'support' and grain = 'week' "
    )
    assert world.sql(f"{measured} and endpoint = '' and percentile = 0.95 and value_ms is not null") != [(0,)]


def test_nothing_is_signalled_before_the_story_changes_anything(world: World) -> None:
    last = max(world.story.truths.baseline_weeks)
    early = f"select signal, period_start from incidents.signals where period_start < date '{last}' + 7"
    assert world.sql(early) == []


def test_a_recorded_story_opens_no_incident_for_missing_data(world: World) -> None:
    assert world.sql("select count(*) from incidents.incidents where cause = 'no_data'") == [(0,)]


def test_corpus_changes_are_those_that_were_made(world: World) -> None:
    import yaml

    truth = yaml.safe_load((ROOT / "data" / "stories" / "support_corpus.yaml").read_text(encoding="utf-8"))
    for day, changes in truth["revisions"].items():
        found = world.sql(
            f"select change, document from rag.corpus_changes where system = 'support' and valid_from = '{day}'"
        )
        for kind in ("added", "edited", "deleted"):
            assert {document for change, document in found if change == kind} == set(changes[kind]), (
                day,
                kind,
            )
        for kind in ("renamed", "renamed_edited"):
            assert {document for change, document in found if change == kind} == {
                move["to"] for move in changes[kind]
            }, (day, kind)


def test_personal_data_stands_in_the_source_logs_and_nowhere_else(world: World) -> None:
    values = [value.encode() for kind in PLANTED_PII.values() for value in kind]
    logs = source_logs(world)
    for value in values:
        assert any(value in content for content in logs.values()), f"{value!r} was never planted"
    for file in world.project.data.rglob("*"):
        if file.is_file() and file not in logs:
            content = file.read_bytes()
            assert not [value for value in values if value in content], file
    # the database compresses its strings, so look at them as a reader would
    texts: dict[str, list[str]] = {}
    for schema, name, column in world.sql(
        "select table_schema, table_name, column_name from information_schema.columns where data_type like 'VARCHAR%'"
    ):
        texts.setdefault(f"{schema}.{name}", []).append(f'"{column}"::varchar')
    assert len(texts) > 40
    for name, columns in texts.items():
        row = f"concat_ws(' ', {', '.join(columns)})"
        found = " or ".join(f"contains({row}, '{value.decode()}')" for value in values)
        assert world.sql(f"select count(*) from {name} where {found}") == [(0,)], name
    masked = world.sql("select sum(masked) from compliance.pii_weekly where system = 'support'")[0][0]
    assert (
        masked
        >= sum(
            value in line for content in logs.values() for line in content.splitlines() for value in values
        )
        * 0.9
    )


def test_every_inference_and_decision_is_in_the_audit_log(world: World) -> None:
    missing = world.sql(
        "select count(*) from inference_log.inferences anti join compliance.audit_log using (system, event_id)"
    )
    assert missing == [(0,)]
    kinds = {
        kind
        for (kind,) in world.sql("select distinct kind from compliance.audit_log where system = 'support'")
    }
    assert {
        "inference",
        "decision.index_built",
        "decision.baseline_frozen",
        "decision.drift_verdict",
        "decision.incident_opened",
    } <= kinds


def test_an_edited_audit_row_is_found_and_an_untouched_log_is_intact(world: World, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for name in ("warehouse", "audit", "keys"):
        shutil.copytree(world.project.data / name, data / name)
    project = Project(data)
    warehouse = Warehouse(project.warehouse, declared_tables(project.dbt))
    book = AuditBook(project, warehouse, Keys(project.keys))
    findings, entries, _ = book.verify("support")
    assert findings == []
    assert entries == world.sql("select count(*) from compliance.audit_log where system = 'support'")[0][0]
    with duckdb.connect(str(project.warehouse)) as connection:
        connection.execute(
            "update compliance.audit_log set latency_ms = 1 where system = 'support' and entry_index = 4242"
        )
    findings, _, _ = book.verify("support")
    assert [(f.entry_index, f.column) for f in findings] == [(4242, "latency_ms")]


def test_pages_and_reports_are_written_for_every_closed_period(world: World) -> None:
    reports = world.project.reports / "support"
    assert len(list((reports / "weekly").glob("*.html"))) == world.story.weeks
    assert sorted(file.name for file in (reports / "monthly").glob("*.json")) == [
        "2026-06.json",
        "2026-07.json",
        "2026-08.json",
    ]
    report = json.loads((reports / "monthly" / "2026-08.json").read_text(encoding="utf-8"))
    assert report["month"] == "2026-08-01"
    assert "NOT EVIDENCED" in (reports / "monthly" / "2026-08.html").read_text(encoding="utf-8")


def test_every_figure_of_every_published_report_is_recomputed_by_its_sql(world: World) -> None:
    for file in world.project.reports.rglob("monthly/*.json"):
        sections = json.loads(file.read_text(encoding="utf-8"))["sections"]
        for figure in (figure for section in sections for figure in section["figures"] if figure["sql"]):
            rows = world.sql(figure["sql"])
            found = plain_data(rows[0][0]) if rows else None
            said = figure["value"]
            said = said.removesuffix("+00:00") if isinstance(said, str) else said
            assert found == pytest.approx(said) if isinstance(said, float) else found == said, figure["key"]


def test_analysts_find_a_description_on_every_table_and_column(world: World) -> None:
    assert (
        world.sql(
            "select schema_name || '.' || table_name from duckdb_tables() where coalesce(comment, '') = ''"
        )
        == []
    )
    assert (
        world.sql(
            "select table_name || '.' || column_name from duckdb_columns() where not internal and coalesce(comment, '') = ''"
        )
        == []
    )


def test_the_light_system_has_its_weeks_reviewed_by_the_month(world: World) -> None:
    last = world.sql("select max(week) from drift.drift_verdicts where system = 'handbook'")[0][0]
    assert last == date(2026, 8, 24)  # the week of 31 August ends in September, which is not over


def test_every_model_has_the_lineage_of_its_columns(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(world.project.dagster_home))
    with dg.DagsterInstance.get() as instance:
        for model in ("daily_traffic", "weekly_spend", "monthly_spend"):
            event = instance.get_latest_materialization_event(dg.AssetKey(model))
            assert event and event.asset_materialization
            assert {"dagster/column_schema", "dagster/column_lineage"} <= set(
                event.asset_materialization.metadata
            )


def dated(month: int, day: int) -> datetime:
    return datetime(2026, month, day, tzinfo=UTC)


REMEDIES = (
    ("model_change", "The provider serves the larger model again.", "model", dated(7, 27), "held"),
    ("index_staleness", "Wrote to the team.", "other", dated(8, 17), "not held"),
    ("index_staleness", "Switched to the newest index.", "index", dated(8, 24), "held"),
)


@pytest.fixture(scope="module")
def remedied(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Warehouse, System]:
    """A copy of what the run left behind, with remedies that were recorded and judged."""
    from aiops_pipelines.defs.remedies import remedy_proofs

    project = Project(tmp_path_factory.mktemp("remedied") / "data")
    for name in ("systems", "runbooks", "warehouse"):
        shutil.copytree(world.project.data / name, project.data / name)
    books = Warehouse(project.warehouse, declared_tables(project.dbt))
    system = load_system(project.systems / "support.yaml", project.data)
    numbers = dict(books.rows("incidents.incidents", system="support").select("cause", "incident_id").rows())
    for cause, did, kind, at, _ in REMEDIES:
        told = {"did": did, "kind": kind, "at": at, "actor": "Mira"}
        record_remedy(books, [system], numbers[cause], told, dated(9, 8))
    done = dg.materialize([remedy_proofs], resources={"project": project, "warehouse": books})
    assert done.success
    return books, system


def test_the_remedies_that_ended_a_trouble_held_and_one_that_did_nothing_did_not(
    remedied: tuple[Warehouse, System],
) -> None:
    books, _ = remedied
    proofs = books.rows("incidents.remedy_proofs").join(books.rows("incidents.remedies"), on="remedy_id")
    found = {(row["did"], row["verdict"]) for row in proofs.rows(named=True)}
    assert found == {(did, verdict) for _, did, _, _, verdict in REMEDIES}
    index = proofs.filter(signal="index_stale", verdict="held").row(0, named=True)
    assert index["effect_low"] > 0.4 and any("index version" in one for one in index["also_changed"])


def test_the_effect_of_a_remedy_is_the_difference_of_what_the_tables_say(
    remedied: tuple[Warehouse, System],
) -> None:
    """Each measure of two fortnights, once by hand and once as an effect."""
    books, system = remedied
    before, after = Span(dated(6, 1), dated(6, 15)), Span(dated(8, 24), dated(9, 7))
    effect = partial(RemedyEvidence(books, system).effect, before=before, after=after)

    def by_hand(figure: str, table: str, more: str, at: str) -> list[float]:
        found = [
            books.read(
                f"select {figure}::double as it from {table} where system = 'support' and {more} "
                f"and {at} >= ? and {at} < ?",
                [span.start.replace(tzinfo=None), span.end.replace(tzinfo=None)],
            ).item()
            for span in (before, after)
        ]
        return [*found, found[0] - found[1]]

    chats, calls = "operation = 'chat'", "staging.stg_inferences"
    for signal, subject, *wanted, within in (
        ("service_alert", "errors", "avg((status = 'error')::int)", calls, chats, "occurred_at", 1e-12),
        ("service_alert", "refusals", "avg((status = 'refused')::int)", calls, chats, "occurred_at", 1e-12),
        ("guardrail_burst", "", "avg((status = 'blocked')::int)", calls, chats, "occurred_at", 1e-12),
        ("service_alert", "latency_p95", "quantile_cont(latency_ms, 0.95)", calls, chats, "occurred_at", 60),
        ("spend_growth", "", "sum(cost_usd) / 14", "costs.daily_pricing", "true", "day", 1e-9),
    ):
        found = effect(signal, subject)
        assert isinstance(found, Effect), (subject, found)
        assert found.value == pytest.approx(by_hand(*wanted)[2], abs=within), subject
        assert found.low < found.value < found.high
    assert effect("service_alert", "volume") == NO_WAY
    assert "queries were asked alike" in str(effect("attack_gave_way", "secrets"))


def test_a_second_run_changes_nothing(world: World) -> None:
    before, pages = contents(world), {file: file.read_bytes() for file in world.project.reports.rglob("*.*")}
    folders = sorted((world.project.dagster_home / "dbt").iterdir())
    done = run(world.project.data)
    world.reopen()
    assert done.returncode == 0, done.stdout[-2000:]
    assert "weekly: nothing is due" in done.stdout and "monthly: nothing is due" in done.stdout
    after = contents(world)
    assert {name for name in before if before[name] != after[name]} == set()
    assert pages == {file: file.read_bytes() for file in world.project.reports.rglob("*.*")}
    assert sorted((world.project.dagster_home / "dbt").iterdir()) == folders  # not a folder a run
    assert list((ROOT / "dbt_project" / "target").glob("*_models-*")) == []
