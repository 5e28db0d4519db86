"""The command line: a remedy is recorded, shown with its verdict, and warned of when it did not hold."""

from datetime import UTC, datetime

import polars as pl
import pytest
import yaml

from aiops_pipelines.incidents import lifecycle
from aiops_pipelines.project import Project
from aiops_pipelines.rag.chunking import Chunking
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines_tests.commands.small_run import (
    AS_OF,
    SIGNAL,
    TABLES,
    frame,
    number,
    refused,
    stored,
    write_system,
)
from aiops_pipelines_tests.resources.desk import ask, write_corpus


def test_a_remedy_is_recorded_once_masked_and_changes_no_status(aiops, data):
    incident = number(data)
    given = ["incident", "remedy", incident, "--did", "Cut it, said joe@example.com.", "--kind", "prompt"]
    given += ["--by", "Mira", "--at", "2026-06-30T00:00Z"]
    assert "Prompt 30 Jun 2026 00:00 UTC, by Mira: Cut it, said [EMAIL]." in aiops(data, *given).text
    assert "It was recorded before" in aiops(data, *given).text
    rows = stored(data).rows("incidents.remedies")
    assert rows.select("kind", "did", "actor").rows() == [("prompt", "Cut it, said [EMAIL].", "Mira")]
    shown = aiops(data, "incident", "show", incident).text
    assert "(open)" in shown and "Not judged yet" in shown
    assert "Cut it, said \\[EMAIL\\]." in aiops(data, "incident", "review", incident).text


def test_what_cannot_be_is_refused(aiops, data):
    incident = number(data)
    by = ["incident", "remedy", incident, "--by", "Mira"]
    for told in ("--did", "--kind", "--at"):
        refused(aiops(data, *by, "--run", told, "x"), "--run says itself what was done")
    refused(aiops(data, *by, "--run", "--system", "nobody"), "There is no system nobody")
    refused(aiops(data, *by, "--run"), "names nothing that can be run here", "--did TEXT")
    refused(aiops(data, *by, "--did", "x", "--kind", "prompt", "--at", "2026-06-01T00:00Z"), "before")
    assert stored(data).rows("incidents.remedies").is_empty()


def test_a_remedy_that_did_not_hold_is_said_in_status_and_when_resolving(aiops, data):
    incident = number(data)
    done = ["--did", "Cut it.", "--kind", "prompt", "--at", "2026-06-29T00:00Z", "--by", "Mira"]
    aiops(data, "incident", "remedy", incident, *done)
    remedy = stored(data).rows("incidents.remedies")["remedy_id"].item()
    key = {"incident_id": incident, "remedy_id": remedy, "signal": "spend_growth", "subject": ""}
    row = key | {"verdict": "not held", "reason": "It breaks.", "periods_after": 0, "also_changed": []}
    with Warehouse(Project(data).warehouse, TABLES).writing() as writer:
        writer.append("incidents.remedy_proofs", frame("incidents.remedy_proofs", row))
    assert f"{incident} {remedy} did not hold: Cut it." in aiops(data, "status").text
    closing = ["--by", "Mira", "--reason", "Done.", "--waiver", "None."]
    resolved = aiops(data, "incident", "resolve", incident, *closing)
    assert "(resolved" in resolved.text and "did not hold by the last run" in resolved.error

    aiops(data, "incident", "reopen", incident, *closing[:4])
    aiops(data, "incident", "remedy", incident, *done[:4], "--by", "Mira")  # the last one counts
    assert "did not hold" not in aiops(data, "status").text
    assert "did not hold" not in aiops(data, "incident", "resolve", incident, *closing).error
    assert stored(data).rows("incidents.incident_events")["at"].to_list() == [AS_OF] * 3


def test_personal_data_is_masked_and_who_acted_is_kept(aiops, data):
    """Somebody answers for what was done, so `--by` stays, as given."""
    write_system(data, regimes=["gdpr"])
    incident, by = number(data), ["--by", "mira@example.com"]
    reason = ["--reason", "Said by joe@example.com."]
    aiops(data, "incident", "ack", incident, *by, *reason)
    aiops(data, "incident", "aware", incident, "--regime", "gdpr", *by, *reason)
    learned = ["--waiver", "Ask jane@example.com."]
    aiops(data, "incident", "resolve", incident, *by, *reason, *learned)
    done = ["--did", "Called back\n+49 30\n12345678.", "--kind", "other"]
    aiops(data, "incident", "remedy", incident, *by, *done)
    began = ["--seen", "Wrong.", "--began", "2026-07-01T00:00Z", "--severity", "P2"]
    aiops(data, "incident", "open", "support", "--title", "Call\t+49 30\n12345678", *began, *by)
    tables = stored(data)
    events = tables.rows("incidents.incident_events")
    assert events["reason"].to_list() == [
        "Said by [EMAIL].",
        "Said by [EMAIL]. Runbook not changed: Ask [EMAIL].",
    ]
    assert tables.rows("incidents.legal_events")["reason"].item() == "Said by [EMAIL]."
    remedies, reported = (tables.rows(f"incidents.{name}") for name in ("remedies", "reported_incidents"))
    assert (remedies["did"].item(), reported["title"].item()) == ("Called back [PHONE].", "Call [PHONE]")
    actors = [events["actor"], remedies["actor"], reported["reporter"]]
    assert {actor for column in actors for actor in column} == {"mira@example.com"}


def test_what_the_audit_log_cannot_hold_is_refused_and_not_stored(aiops, data):
    """A row that no entry can be made of would stop the log of its system for good."""
    write_system(data, regimes=["gdpr"])
    incident, log = number(data), "Traceback. " * 3_000
    said = "--reason has 32,999 characters in all; say it in 4,000"
    refused(aiops(data, "incident", "ack", incident, "--by", "Mira", "--reason", log), said)
    aware = ["incident", "aware", incident, "--regime", "gdpr"]
    refused(aiops(data, *aware, "--by", "Mira", "--reason", log), said)
    refused(aiops(data, *aware, "--by", "M" * 121), "--by has 121 characters in all; say it in 120")
    assert stored(data).rows("incidents.incident_events").is_empty()
    assert stored(data).rows("incidents.legal_events").is_empty()


@pytest.fixture
def desk(aiops, tmp_path):
    """A system whose index is published, with an incident of a stale index and one of a worse index."""
    write_corpus(tmp_path / "corpus")
    for folder in ("log", "systems"):
        (tmp_path / folder).mkdir()
    content = {"name": "desk", "title": "Desk", "corpus": {"folder": "corpus"}, "limits": {"margin": 0.05}}
    content |= {"inference_log": {"folder": "log"}, "publish": {"store": "duckdb"}}
    (tmp_path / "systems" / "desk.yaml").write_text(yaml.safe_dump(content))
    aiops(tmp_path, "reindex", "desk")
    aiops(tmp_path, "publish", "desk")
    week = {"period_start": datetime(2024, 6, 3, tzinfo=UTC), "period_end": datetime(2024, 6, 10, tzinfo=UTC)}
    causes = {"index_stale": "index_staleness", "retrieval_worse": "retrieval_worse"}
    broken = [SIGNAL | week | {"system": "desk", "signal": name, "cause": of} for name, of in causes.items()]
    signals = frame("incidents.signals", *broken)
    opened = lifecycle.incidents(signals, TABLES["incidents.incident_events"].empty(), AS_OF)
    looked = opened.with_columns(looked_at=pl.lit(AS_OF), runbook_digest=pl.lit(None, pl.String))
    with Warehouse(Project(tmp_path).warehouse, TABLES).writing() as writer:
        writer.append("incidents.signals", signals)
        writer.append("incidents.incidents", looked)
    return tmp_path


def of_cause(data, cause):
    return stored(data).rows("incidents.incidents", cause=cause)["incident_id"].item()


def test_a_re_indexing_that_the_runbook_names_is_run_and_recorded(aiops, desk):
    given = ["incident", "remedy", of_cause(desk, "index_staleness"), "--run", "--by", "Mira"]
    refused(aiops(desk, *given), "level with its corpus already")
    assert stored(desk).rows("incidents.remedies").is_empty()
    write_corpus(desk / "corpus", {"fees": "A label costs three euros."})
    said = aiops(desk, *given)
    assert "by Mira: Brought the index up to date" in said.text and "1 edited" in said.text
    (row,) = stored(desk).rows("incidents.remedies").rows(named=True)
    assert (row["incident_id"], row["kind"]) == (given[2], "index")
    newest = stored(desk).rows("rag.index_versions").sort("valid_from").row(-1, named=True)
    assert newest["built_by"] == row["run_id"] and newest["valid_from"] == row["at"]


def test_a_rollback_that_the_runbook_names_is_run_recorded_and_published(aiops, desk):
    given = ["incident", "remedy", of_cause(desk, "retrieval_worse"), "--run", "--by", "Mira"]
    refused(aiops(desk, *given), "was never migrated")
    ask(Warehouse(Project(desk).warehouse, TABLES), 12)
    aiops(desk, "migrate", "start", "desk", "--chunk-characters", "300")
    aiops(desk, "migrate", "promote", "desk", "--by", "Ada", "--force", "--reason", "A trial")
    published = stored(desk).rows("rag.publications").sort("published_at")["index_version"].to_list()
    said = aiops(desk, *given)
    assert "by Mira: Rolled the index back" in said.text and "by switch 3" in said.text
    (row,) = stored(desk).rows("incidents.remedies").rows(named=True)
    switch = stored(desk).rows("rag.active_indexes").sort("number").row(-1, named=True)
    assert (row["run_id"], row["at"]) == (f"switch {switch['number']}", switch["since"])
    assert (switch["decided_by"], switch["chunker_version"]) == ("Mira", Chunking().version)
    again = stored(desk).rows("rag.publications").sort("published_at")["index_version"].to_list()
    assert again == [*published, published[0]]
    refused(aiops(desk, *given), "rolled back already")
    assert stored(desk).rows("incidents.remedies").height == 1
