"""The command line: decisions on incidents and baselines, and the proofs of the audit log."""

import json
import shutil
from datetime import date, timedelta
from hashlib import sha256

import polars as pl
import pytest

from aiops_pipelines.incidents.runbooks import digests
from aiops_pipelines.monitoring.daily_alerts import Day
from aiops_pipelines.monitoring.service_baseline import freeze_service
from aiops_pipelines.project import Project
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import Baseline
from aiops_pipelines_tests.commands.small_run import (
    AS_OF,
    TABLES,
    WEEKS,
    frame,
    number,
    refused,
    stored,
    write_inputs,
    write_system,
)
from aiops_pipelines_tests.monitoring.service_worlds import frames

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
        "--waiver",
        "It said so already.",
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
    assert events.row(2) == (
        "support",
        incident,
        AS_OF,
        "resolved",
        "Mira",
        "Prompt cut. Runbook not changed: It said so already.",
    )
    assert stored(data).rows("incidents.incidents")["status"].to_list() == ["open"]  # a run's to change


def resolving(incident: str, *options: str) -> list[str]:
    return ["incident", "resolve", incident, "--by", "Mira", "--reason", "Prompt cut.", *options]


def test_an_incident_is_not_resolved_without_a_changed_runbook_or_a_waiver(aiops, data):
    incident, project = number(data), Project(data)
    books = Warehouse(project.warehouse, TABLES)
    row = books.rows("incidents.incidents")
    own = data / "runbooks"
    shutil.copytree(project.runbooks, own)
    seen = digests(own)["cost-growth"]
    books.replace(
        "incidents.incidents",
        row.with_columns(runbook=pl.lit("cost-growth"), runbook_digest=pl.lit(seen)),
        system="support",
    )
    for options in ([], ["--waiver", " "], ["--waiver", "None.", "--runbook-change", "A query."]):
        refused(
            aiops(data, *resolving(incident, *options)), "is resolved with what it taught: --runbook-change"
        )
    changed = resolving(incident, "--runbook-change", "A query by endpoint.")
    refused(aiops(data, *changed), "cost-growth.yaml is as it was when")
    assert stored(data).rows("incidents.incident_events").is_empty()
    with (own / "cost-growth.yaml").open("a") as file:
        file.write("# A query by endpoint.\n")
    assert "(resolved" in aiops(data, *changed).text
    told = stored(data).rows("incidents.incident_events")["reason"].to_list()
    assert told == ["Prompt cut. Runbook changed: A query by endpoint."]


def test_an_incident_is_shown_with_its_runbook_and_the_answers_to_its_queries(aiops, data):
    incident = number(data)
    key = {"system": "support", "incident_id": incident, "runbook": "cost-growth", "asked_at": AS_OF}
    answer = '{"columns": ["endpoint", "cost"], "rows": [["draft\\u001b[2J", 1.23456], ["ask", null]]}'
    rows = [
        key | {"position": 2, "question": "And why?", "failure": "No such table."},
        key | {"position": 1, "question": "Where?", "answer": answer, "has_more": True},
        key | {"position": 1, "question": "Long ago?", "asked_at": AS_OF - timedelta(days=1)},
    ]
    with Warehouse(Project(data).warehouse, TABLES).writing() as writer:
        writer.append("incidents.diagnoses", frame("incidents.diagnoses", *rows))
    text = aiops(data, "incident", "show", incident).text
    for said in (
        "Decide If",
        "Where?",
        "draft<U+001B>[2J 1.235 ask",
        "And why?",
        "No answer: No such table.",
    ):
        assert said in text, said
    assert "Long ago?" not in text and "More rows are in incidents.diagnoses" in text


def test_clocks_are_paused_with_a_reason(aiops, data):
    incident = number(data)
    refused(aiops(data, "incident", "pause", incident, "--by", "Mira"), "cannot be paused without a reason")
    assert aiops(data, "incident", "pause", incident, "--by", "Mira", "--reason", "Vendor.").code == 0
    assert aiops(data, "incident", "resume", incident, "--by", "Mira").code == 0


def test_a_person_opens_an_incident_that_no_rule_found(aiops, data):
    write_system(data, regimes=["gdpr"])
    given = ["incident", "open", "support", "--severity", "p1", "--title", "Refunds are promised"]
    given += ["--seen", "Two chats promise refunds.", "--by", "Mira"]
    for began, said in (
        ("2026-07-06", "is no time with an offset"),
        ("2026-07-07T06:00Z", "is not over yet"),
    ):
        refused(aiops(data, *given, "--began", began), said)
    answer = aiops(data, *given, "--began", "2026-07-05T10:00+02:00", "--until", "2026-07-05T20:00Z").text
    assert "P1 Refunds are promised (open); acknowledge by 6 Jul 2026 06:15 UTC" in answer
    incident = answer.split("INC-")[1][:8]
    again = aiops(data, *given, "--began", "2026-07-05T08:00Z", "--until", "2026-07-05T20:00Z")
    assert "It was opened before" in again.text
    shown = aiops(data, "incident", "show", incident).text
    assert "It began 5 Jul 2026 08:00 UTC and was seen until 5 Jul 2026 20:00 UTC. Reported by Mira." in shown
    assert "reported.yaml" in shown and "GDPR 33(1) notification: NOT EVIDENCED" in shown
    assert incident in aiops(data, "incidents").text and "2 not resolved" in aiops(data, "status").text
    aware = aiops(data, "incident", "aware", incident, "--regime", "gdpr", "--by", "Mira").text
    assert "GDPR 33(1) notification: by 9 Jul 2026 06:00 UTC" in aware
    draft = aiops(data, "incident", "review", incident).text
    assert "- detect: 22 h 0 min, by a person" in draft and "it began, as Mira reports" in draft


def test_an_incident_is_shown_with_its_evidence_and_history_but_no_control_character(aiops, data):
    aiops(data, "incident", "ack", number(data), "--by", "Mira", "--reason", "[b]Mine[/b].")
    answer = aiops(data, "incident", "show", number(data))
    assert "The week cost 3 USD.<U+001B>[31m" in answer.text
    assert "cost-growth.yaml" in answer.text
    assert "Acknowledged 6 Jul 2026 06:00 UTC, by Mira: [b]Mine[/b]." in answer.text


def under(data, *regimes: str) -> str:
    """Put the system under regimes; return the number of its incident."""
    write_system(data, regimes=list(regimes))
    return number(data)


def test_awareness_starts_a_legal_clock_that_only_a_notice_ends(aiops, data):
    incident = under(data, "gdpr", "dora")
    assert "GDPR 33(1) notification: NOT EVIDENCED" in aiops(data, "incident", "show", incident).text
    assert "Awareness of 1 open incident is NOT EVIDENCED" in aiops(data, "status").text
    aware = [
        "incident",
        "aware",
        incident,
        "--regime",
        "gdpr",
        "--by",
        "Mira",
        "--at",
        "2026-07-05T10:00+02:00",
    ]
    said = aiops(data, *aware).text
    assert "by 8 Jul 2026 08:00 UTC, aware 5 Jul 2026 08:00 UTC" in said and "Not legal advice" in said
    refused(aiops(data, *aware), "a correction takes a reason")
    corrected = [*aware[:-1], "2026-07-02T10:00Z", "--reason", "The mail came on Thursday."]
    assert "overdue since 5 Jul 2026 10:00 UTC" in aiops(data, *corrected).text
    shown = aiops(data, "incident", "show", incident).text
    assert "5 Jul 2026 08:00 UTC aware under gdpr, recorded 6 Jul 2026 06:00 UTC by Mira" in shown
    assert (
        "by Mira: The mail came on Thursday." in shown and "(first recorded as 5 Jul 2026 08:00 UTC)" in shown
    )
    aiops(data, "incident", "resolve", incident, "--by", "Mira", "--reason", "Cut.", "--waiver", "None.")
    assert f"{incident} GDPR 33(1) notification: overdue since" in aiops(data, "status").text
    sent = ["incident", "notified", incident, "--regime", "gdpr", "--notice", "notification", "--by", "Mira"]
    refused(aiops(data, *sent), "with the reference")
    assert "(DE-7), late" in aiops(data, *sent, "--reference", "DE-7").text
    assert "overdue" not in aiops(data, "status").text
    assert "notified 6 Jul 2026 06:00 UTC (DE-7), late" in aiops(data, "incident", "review", incident).text
    told = stored(data).rows("incidents.legal_events").select("event", "actor", "reference").rows()
    assert told == [("aware", "Mira", ""), ("aware", "Mira", ""), ("notified", "Mira", "DE-7")]
    assert stored(data).rows("incidents.incident_events")["event"].to_list() == ["resolved"]


def test_an_incident_is_classified_under_a_regime_or_found_not_reportable(aiops, data):
    incident = under(data, "ai_act", "dora")
    base = ["--by", "Mira", "--at", "2026-07-06T01:00Z"]
    dora = ["incident", "classify", incident, "--regime", "dora", *base, "--as"]
    assert "by 6 Jul 2026 05:00 UTC" not in aiops(data, "incident", "show", incident).text
    assert "overdue since 6 Jul 2026 05:00 UTC" in aiops(data, *dora, "major").text
    refused(
        aiops(data, "incident", "classify", incident, "--regime", "gdpr", *base, "--as", "breach"),
        "not under 'gdpr'",
    )
    none = ["incident", "classify", incident, "--regime", "ai_act", *base, "--as", "not_reportable"]
    refused(aiops(data, *none), "This takes a reason")
    assert (
        "AI Act 73(2) report: is not reportable" in aiops(data, *none, "--reason", "Nobody was harmed.").text
    )
    refused(aiops(data, *dora, "major", "--at", "2026-07-06T01:00"), "is no time with an offset")
    refused(aiops(data, *dora, "major", "--at", "yesterday"), "is no time with an offset")


def test_a_review_is_drafted_from_what_was_recorded(aiops, data):
    aiops(data, "incident", "ack", number(data), "--by", "Mira", "--reason", "Mine.")
    answer = aiops(data, "incident", "review", number(data))
    assert answer.code == 0 and "signal spend_growth (P3): The week cost 3 USD." in answer.text
    assert "acknowledged by Mira: Mine." in answer.text and "Root cause:" in answer.text


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
    answer = aiops(data, "audit", "verify")
    assert answer.code == 1 and "The key that signed the log of support is missing" in answer.text
    assert not key.exists()


def test_a_checkpoint_kept_elsewhere_is_held_against_the_log(aiops, data, tmp_path):
    kept = tmp_path / "kept.note"
    kept.write_text((data / "audit/support/checkpoint").read_text())
    assert "Not held against a checkpoint" in aiops(data, "audit", "verify", "support").text
    answer = aiops(data, "audit", "verify", "support", "--kept", str(kept))
    assert (answer.code, "Held against what was kept" in answer.text) == (0, True)
    with Warehouse(Project(data).warehouse, TABLES).writing() as writer:
        for table in ("compliance.audit_log", "compliance.audit_checkpoints"):
            writer._connection.execute(f"delete from {table}")
    shutil.rmtree(data / "audit")
    gone = aiops(data, "audit", "verify", "support")
    assert gone.code == 1 and "neither an entry nor a checkpoint is left" in gone.text
    answer = aiops(data, "audit", "verify", "support", "--kept", str(kept))
    assert answer.code == 1 and "2 entries lost" in answer.text
    assert aiops(data, "audit", "verify", "--kept", str(kept)).code == 2  # of which system?


def test_an_edited_report_is_named(aiops, data):
    page = data / "reports/support/monthly/2026-06.html"
    page.parent.mkdir(parents=True)
    row = {"month": date(2026, 6, 1), "published_at": AS_OF}
    for kind in ("html", "json"):
        file = page.with_suffix(f".{kind}")
        file.write_text(kind)
        row |= {
            f"{kind}_file": str(file.relative_to(data)),
            f"{kind}_sha256": sha256(kind.encode()).hexdigest(),
        }
    with Warehouse(Project(data).warehouse, TABLES).writing() as writer:
        table = "compliance.compliance_reports"
        writer.append(table, frame(table, row))
    assert aiops(data, "audit", "verify", "support").code == 0
    page.write_text("better")
    answer = aiops(data, "audit", "verify", "support")
    assert answer.code == 1 and "2026-06.html is no longer as it was published" in answer.text


def test_a_bundle_is_written_with_what_verifies_it(aiops, data, tmp_path):
    folder = tmp_path / "bundle"
    answer = aiops(data, "audit", "bundle", "support", str(folder))
    assert answer.code == 0 and "holds the whole log of support" in answer.text
    assert {"checkpoint", "keys.txt", "verify.py", "VERIFY.md"} <= {file.name for file in folder.iterdir()}
    refused(aiops(data, "audit", "bundle", "support", str(folder)), "is not empty")
    missing = aiops(data, "audit", "bundle", "support", str(tmp_path / "b"), "--entry", "e9")
    refused(missing, "No signed entry of support has the id e9")


def test_the_newest_checkpoint_is_printed_as_it_was_signed(aiops, finished, tmp_path):
    answer = aiops(finished, "audit", "checkpoint", "support")
    assert answer.raw.startswith((finished / "audit/support/checkpoint").read_text())
    assert (finished / "audit/support/keys.txt").read_text().strip() in answer.raw
    write_inputs(tmp_path / "new")
    refused(
        aiops(tmp_path / "new", "audit", "checkpoint", "support"), "No checkpoint of support is signed yet"
    )
