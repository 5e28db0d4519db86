"""The asset on a small warehouse: an incident opens, is announced once, and its runbook's queries are asked."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import polars as pl
import pytest

from aiops_pipelines.incidents.course import EVENTS
from aiops_pipelines.incidents.legal_events import LEGAL_EVENTS
from aiops_pipelines.incidents.remedies import REMEDIES
from aiops_pipelines.incidents.rules import SIGNALS
from aiops_pipelines.project import ROOT

pytestmark = pytest.mark.filterwarnings("ignore:.*is currently in beta")
SYSTEM = "name: desk\ntitle: Desk\nas_of: 2026-06-08T12:00:00Z\ninference_log: {folder: log}\n"
START, END = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 8, tzinfo=UTC)


@pytest.fixture
def defs() -> Any:
    from aiops_pipelines.defs import incidents

    return incidents


@pytest.fixture
def desk(project, warehouse):
    """A system with a signal, and runbooks of its own."""
    project.systems.mkdir()
    (project.systems / "desk.yaml").write_text(SYSTEM)
    shutil.copytree(ROOT / "data" / "runbooks", project.data / "runbooks")
    row = ("desk", START, END, "latency_p95", "", "latency", "P3", 12_000.0, 10_000.0, "It was slow.")
    warehouse.replace("incidents.signals", pl.DataFrame([row], schema=SIGNALS, orient="row"), system="desk")
    return project


def run(project, warehouse) -> dg.ExecuteInProcessResult:
    from aiops_pipelines.defs import incidents as defs

    return dg.materialize(
        [defs.incidents], resources={"project": project, "warehouse": warehouse}, raise_on_error=False
    )


def told(project) -> list[str]:
    file = project.notifications / "desk.jsonl"
    return [json.loads(line)["change"] for line in file.read_text().splitlines()] if file.exists() else []


def test_an_incident_opens_once_with_its_queries_answered(desk, warehouse):
    assert run(desk, warehouse).success and run(desk, warehouse).success
    (row,) = warehouse.rows("incidents.incidents").rows(named=True)
    assert (row["cause"], row["runbook"], len(row["runbook_digest"])) == ("latency", "latency", 64)
    assert told(desk) == ["opened"]
    answers = warehouse.rows("incidents.diagnoses")
    assert answers["position"].to_list() == [1, 2, 3] and answers["failure"].null_count() == 3
    assert warehouse.rows("operations.problems").is_empty()


def test_history_is_diagnosed_and_calls_nobody(desk, warehouse):
    file = desk.systems / "desk.yaml"
    file.write_text(file.read_text().replace("2026-06-08", "2026-07-08"))
    assert run(desk, warehouse).success and run(desk, warehouse).success
    assert told(desk) == [] and warehouse.rows("incidents.diagnoses").height == 3


def test_history_is_told_when_it_has_a_new_signal(desk, warehouse):
    file = desk.systems / "desk.yaml"
    file.write_text(file.read_text().replace("2026-06-08", "2026-06-22"))
    run(desk, warehouse)
    assert told(desk) == []
    file.write_text(file.read_text().replace("2026-06-22", "2026-06-28"))
    first = warehouse.rows("incidents.signals", system="desk")
    week = [pl.col(name) + timedelta(days=20) for name in ("period_start", "period_end")]
    warehouse.replace("incidents.signals", pl.concat([first, first.with_columns(week)]), system="desk")
    assert run(desk, warehouse).success and run(desk, warehouse).success
    assert told(desk) == ["opened", "escalate"]


def test_a_light_system_is_told_of_the_whole_month_that_is_judged_at_its_end(desk, warehouse):
    """The week that ended on 8 June is judged on 1 July."""
    file = desk.systems / "desk.yaml"
    file.write_text(file.read_text().replace("2026-06-08", "2026-07-01") + "profile: light\n")
    assert run(desk, warehouse).success and run(desk, warehouse).success
    assert told(desk) == ["opened", "escalate"]


def test_the_digest_stays_that_of_the_first_look(desk, warehouse):
    run(desk, warehouse)
    first = warehouse.rows("incidents.incidents")["runbook_digest"].to_list()
    with (desk.runbooks / "latency.yaml").open("a") as file:
        file.write("# more\n")
    run(desk, warehouse)
    assert warehouse.rows("incidents.incidents")["runbook_digest"].to_list() == first


def test_a_runbook_that_cannot_be_read_is_set_aside_alone(desk, warehouse):
    """The others answer their incidents' queries, and an incident of the broken one keeps its name."""
    (desk.runbooks / "volume.yaml").write_text("name: [")
    assert run(desk, warehouse).success
    assert told(desk) == ["opened"] and warehouse.rows("incidents.diagnoses").height == 3
    (sentence,) = warehouse.rows("operations.problems")["problem"]
    assert "volume.yaml cannot be read as YAML" in sentence
    (desk.runbooks / "latency.yaml").write_text("name: [")
    assert run(desk, warehouse).success
    assert warehouse.rows("incidents.incidents")["runbook"].item() == "latency"
    assert warehouse.rows("operations.problems").height == 2


def test_a_folder_from_before_a_cause_keeps_its_other_runbooks(desk, warehouse):
    (desk.runbooks / "scores-missing.yaml").unlink()
    assert run(desk, warehouse).success
    (row,) = warehouse.rows("incidents.incidents").rows(named=True)
    assert row["runbook"] == "latency" and row["runbook_digest"]
    assert warehouse.rows("incidents.diagnoses").height == 3
    (sentence,) = warehouse.rows("operations.problems")["problem"]
    assert "none for scores_missing" in sentence


def test_an_incident_is_diagnosed_when_its_runbook_comes_later(desk, warehouse):
    content = (desk.runbooks / "latency.yaml").read_text()
    (desk.runbooks / "latency.yaml").unlink()
    run(desk, warehouse)
    assert warehouse.rows("incidents.diagnoses").is_empty()
    (desk.runbooks / "latency.yaml").write_text(content)
    assert run(desk, warehouse).success and run(desk, warehouse).success
    assert len(warehouse.rows("incidents.incidents")["runbook_digest"].item()) == 64
    assert warehouse.rows("incidents.diagnoses").height == 3


def test_a_run_that_stops_before_it_diagnoses_is_caught_up(desk, warehouse, defs, monkeypatch):
    monkeypatch.setattr(defs, "diagnose", lambda *_: 1 / 0)
    assert not run(desk, warehouse).success
    assert "stopped with an unexpected" in warehouse.rows("operations.problems")["problem"].item()
    monkeypatch.undo()
    assert run(desk, warehouse).success
    assert warehouse.rows("incidents.diagnoses").height == 3


def test_a_run_that_stops_before_it_announces_loses_nothing(desk, warehouse, defs, monkeypatch):
    monkeypatch.setattr(defs, "deliver", lambda *_: 1 / 0)
    assert not run(desk, warehouse).success
    assert told(desk) == []
    monkeypatch.undo()
    assert run(desk, warehouse).success
    assert told(desk) == ["opened"]


def record(warehouse, number: str, *said: tuple[str, str, str | None, datetime]) -> None:
    """Record what the law asks for under the GDPR: event, reason, what it is about, and when."""
    fixed = {"system": "desk", "incident_id": number, "regime": "gdpr", "actor": "Mira", "reference": "DE-7"}
    rows = [
        fixed | {"event": event, "reason": reason, "about": about, "at": at, "recorded_at": at}
        for event, reason, about, at in said
    ]
    with warehouse.writing() as writer:
        writer.append("incidents.legal_events", pl.DataFrame(rows, schema=LEGAL_EVENTS))


def test_a_legal_deadline_is_announced_when_due_and_overdue_and_ends_with_a_notice_alone(desk, warehouse):
    file = desk.systems / "desk.yaml"
    file.write_text(SYSTEM + "regimes: [gdpr]\n")

    def look(at: str) -> list[str]:
        file.write_text(SYSTEM.replace("2026-06-08T12:00", at) + "regimes: [gdpr]\n")
        assert run(desk, warehouse).success
        return [change for change in told(desk) if change.startswith("escalate (")]

    assert look("2026-06-08T12:00") == []
    number = warehouse.rows("incidents.incidents")["incident_id"].item()
    assert warehouse.rows("incidents.legal_clocks")["state"].to_list() == ["NOT EVIDENCED"]
    record(warehouse, number, ("aware", "", None, datetime(2026, 6, 8, 12, tzinfo=UTC)))
    assert look("2026-06-10T21:35") == []  # 57 h 36 min later it is
    due, late = "escalate (GDPR notification due)", "escalate (GDPR notification overdue)"
    assert look("2026-06-10T21:36") == [due] == look("2026-06-11T11:59")
    resolved = {
        "system": "desk",
        "incident_id": number,
        "event": "resolved",
        "actor": "Mira",
        "reason": "Done.",
    }
    with warehouse.writing() as writer:
        at = {"at": datetime(2026, 6, 11, 11, tzinfo=UTC)}
        writer.append("incidents.incident_events", pl.DataFrame([resolved | at], schema=EVENTS))
    assert look("2026-06-11T12:00") == [due, late] == look("2026-06-12T12:00")
    content = json.loads((desk.notifications / "desk.jsonl").read_text().splitlines()[-1])
    assert "notification overdue since 11" in content["due"] and "Not legal advice" in content["due"]
    record(warehouse, number, ("notified", "", "notification", datetime(2026, 6, 12, 13, tzinfo=UTC)))
    assert look("2026-06-13T12:00") == [due, late]
    assert warehouse.rows("incidents.legal_clocks")["state"].to_list() == ["missed"]


def test_what_the_law_asks_of_an_incident_that_moved_is_told(desk, warehouse):
    record(warehouse, "INC-gone", ("aware", "", None, datetime(2026, 6, 8, tzinfo=UTC)))
    assert run(desk, warehouse).success
    (sentence,) = warehouse.rows("operations.problems")["problem"]
    assert "INC-gone (incidents.legal_events) has no incident any more" in sentence


def remedied(number: str, actor: str) -> pl.DataFrame:
    at = {"at": datetime(2026, 6, 8, 9, tzinfo=UTC), "recorded_at": datetime(2026, 6, 8, 10, tzinfo=UTC)}
    words = {"kind": "prompt", "did": "Cut it.", "actor": actor, "run_id": None, "outcome": None}
    key = {"system": "desk", "incident_id": number, "remedy_id": "REM-1"}
    return pl.DataFrame([key | at | words], schema=REMEDIES)


def test_a_remedy_of_an_incident_that_moved_is_told(desk, warehouse):
    with warehouse.writing() as writer:
        writer.append("incidents.remedies", remedied("INC-gone", "Mira"))
    assert run(desk, warehouse).success
    (sentence,) = warehouse.rows("operations.problems")["problem"]
    assert "INC-gone (incidents.remedies) has no incident any more" in sentence


def test_a_remedy_is_a_decision_of_the_audit_log_by_who_acted_as_given(desk, warehouse):
    from aiops_pipelines.defs.compliance import decisions
    from aiops_pipelines.systems import load_system

    with warehouse.writing() as writer:
        writer.append("incidents.remedies", remedied("INC-1", "mira@example.com"))
    made = list(decisions(warehouse, load_system(desk.systems / "desk.yaml", desk.data)))
    (entry,) = (entry for entry in made if entry["kind"] == "decision.incident_remedied")
    assert (entry["actor"], entry["details"]["remedy_id"]) == ("mira@example.com", "REM-1")
    assert entry["summary"].endswith("Cut it.") and "2026-06-08T10" in entry["occurred_at"]


def test_each_legal_record_is_a_decision_of_the_audit_log(desk, warehouse):
    from aiops_pipelines.defs.compliance import decisions
    from aiops_pipelines.systems import load_system

    first, again = (datetime(2026, 6, 8, hour, tzinfo=UTC) for hour in (9, 10))
    record(warehouse, "INC-1", ("aware", "", None, first), ("aware", "It was earlier.", None, again))
    system = load_system(desk.systems / "desk.yaml", desk.data)
    made = [entry for entry in decisions(warehouse, system) if entry["kind"] == "decision.incident_aware"]
    assert [entry["actor"] for entry in made] == ["Mira", "Mira"]
    assert "It was earlier." in made[1]["summary"] and made[0]["entry_id"] != made[1]["entry_id"]


def test_a_record_that_is_edited_or_deleted_once_it_is_logged_is_named(desk, warehouse):
    from aiops_pipelines.defs.compliance import decisions
    from aiops_pipelines.incidents.reported import REPORTS
    from aiops_pipelines.resources.audit_book import AuditBook
    from aiops_pipelines.resources.keys import Keys
    from aiops_pipelines.systems import load_system

    at = datetime(2026, 6, 8, 9, tzinfo=UTC)
    system = load_system(desk.systems / "desk.yaml", desk.data)
    seen = {
        "incident_id": "INC-3",
        "title": "Late",
        "calls": ["e1", "e2"],
        "reported_at": at,
        "reporter": "Mira",
    }
    seen |= {"system": "desk", "seen": "It was late.", "began_at": at}
    record(warehouse, "INC-1", ("aware", "", None, at))
    with warehouse.writing() as writer:
        writer.append("incidents.remedies", remedied("INC-2", "Mira"))
        writer.append("incidents.reported_incidents", pl.DataFrame([seen], schema=REPORTS))
    book = AuditBook(desk, warehouse, Keys(desk.keys))

    def named():
        return [(one.severity, one.entry_index) for one in book.verify("desk")[0]]

    book.append("desk", list(decisions(warehouse, system)))
    book.sign("desk", at)
    assert named() == []
    index = {entry["kind"]: place for place, entry in enumerate(decisions(warehouse, system))}
    moved = warehouse.rows("incidents.legal_events").with_columns(at=pl.lit(at + timedelta(hours=50)))
    with warehouse.writing() as writer:
        writer.delete("incidents.remedies", system="desk")
        writer.replace("incidents.legal_events", moved, system="desk")
    edited = [index["decision.incident_remedied"], index["decision.incident_aware"]]
    assert named() == [("error", place) for place in sorted(edited)]


def test_what_a_person_opens_is_told_diagnosed_logged_and_no_rule_meddles_with_it(desk, warehouse):
    from aiops_pipelines.defs.compliance import decisions
    from aiops_pipelines.resources.decisions import incidents_now, open_incident, record_event
    from aiops_pipelines.systems import load_system

    system, clock = load_system(desk.systems / "desk.yaml", desk.data), datetime(2026, 6, 8, 12, tzinfo=UTC)
    seen = "Mail of jo@example.com: refunds for all."
    told_of = {"severity": "P2", "title": "Refunds are promised", "seen": seen, "reporter": "Mira"}
    told_of |= {"began_at": clock - timedelta(hours=2), "ended_at": None, "calls": []}
    row, new = open_incident(warehouse, system, told_of, clock)
    assert new and row["evidence"].startswith("Mail of [EMAIL]: refunds for all.")
    assert run(desk, warehouse).success and told(desk) == ["opened", "opened"]
    assert not open_incident(warehouse, system, told_of, clock)[1]
    assert run(desk, warehouse).success and told(desk) == ["opened", "opened"]
    stored = {one["source"]: one for one in warehouse.rows("incidents.incidents").rows(named=True)}
    assert (stored["person"]["runbook"], len(stored["person"]["runbook_digest"])) == ("reported", 64)
    assert (stored["rule"]["began_at"], stored["rule"]["reported_by"]) == (START, None)
    asked = warehouse.rows("incidents.diagnoses", incident_id=row["incident_id"])
    assert asked.height == 4 and asked["failure"].null_count() == 4

    made = {entry["kind"]: entry for entry in decisions(warehouse, system)}
    assert made["decision.incident_reported"]["actor"] == "Mira"
    assert "jo@example.com" not in json.dumps(made["decision.incident_reported"], default=str)
    assert made["decision.incident_opened"]["details"]["incident_id"] == stored["rule"]["incident_id"]
    record_event(warehouse, [system], row["incident_id"], "resolved", "Ken", "Mended.", clock)
    warehouse.replace("incidents.signals", warehouse.rows("incidents.signals").clear(), system="desk")
    assert run(desk, warehouse).success and told(desk) == ["opened", "opened", "resolved"]
    [left] = incidents_now(warehouse, system, clock).rows(named=True)
    assert (left["incident_id"], left["status"]) == (row["incident_id"], "resolved")
    assert warehouse.rows("operations.problems").is_empty()


def test_an_inference_that_is_not_there_opens_nothing(desk, warehouse):
    from aiops_pipelines.incidents.course import IncidentError
    from aiops_pipelines.resources.decisions import open_incident
    from aiops_pipelines.systems import load_system

    system, clock = load_system(desk.systems / "desk.yaml", desk.data), datetime(2026, 6, 8, 12, tzinfo=UTC)
    told_of = {
        "severity": "P2",
        "title": "T",
        "seen": "S",
        "reporter": "M",
        "ended_at": None,
        "calls": ["e9"],
    }
    with pytest.raises(IncidentError, match="desk has no inference 'e9'; --call takes an event_id"):
        open_incident(warehouse, system, told_of | {"began_at": clock}, clock)
    assert warehouse.rows("incidents.reported_incidents").is_empty()
