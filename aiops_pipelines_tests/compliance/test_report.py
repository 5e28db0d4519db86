"""The monthly report: figures by hand, figures by SQL, and what is printed when nothing is known."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.compliance.editions import changed
from aiops_pipelines.compliance.figures import Figure, figures
from aiops_pipelines.compliance.month_evidence import MonthEvidence
from aiops_pipelines.compliance.report import canonical_json, compliance_report
from aiops_pipelines.compliance.settings import WHOEVER
from aiops_pipelines.document import plain_data
from aiops_pipelines.monitoring.judge_settings import JudgeSettings
from aiops_pipelines_tests.compliance.august import (
    MONTH,
    NAME,
    NOTE,
    NOW,
    TABLES,
    backups,
    day,
    drills,
    erasures,
    evidence,
    hallucinations,
)
from aiops_pipelines_tests.incidents.fourteen_weeks import SYSTEM
from aiops_pipelines_tests.incidents.fourteen_weeks import TABLES as DECLARED

CHANGE_EVENTS = "create table drift.change_events (system varchar, occurred_at timestamp, endpoint varchar, what varchar, before varchar, after varchar)"
NOBODY = "No witness is named: whoever has the signing key could have written another log."
EMPTY = MonthEvidence(SYSTEM, MONTH, NOW)
TABLES_CLOCKS = DECLARED["incidents.legal_clocks"].schema
BY_HAND = {
    "integrity.tree_size": 9,
    "integrity.longest_gap": 24.0,  # from 7 to 31 August, 9:00; 6.4 days before that
    "integrity.entries": 8,  # nine less the one of July
    "integrity.missing_entries": 0,
    "integrity.conflicts": 1,
    "integrity.verifications": 5,  # weeks that ended in August: 27 July to 24 August
    "integrity.runs": 5,
    "integrity.failed": 0,
    "record.inferences": 10,
    "record.with_model": 0.9,
    "record.with_prompt_version": 0.8,
    "record.with_index_version": 1.0,
    "record.with_times": 0.9,
    "record.audited": 0.6,
    "record.cost_usd": Decimal("0.02"),  # eight calls of 0.0025
    "record.unpriced": 2,
    "record.quarantined": 3,
    "record.reported_difference": pytest.approx(0.1),  # 0.0055 stated, 0.005 computed of calls 1 and 2
    "record.invoice_month": "2026-07-01",
    "record.invoiced_usd": Decimal(100),
    "record.invoice_difference": 0.05,
    "record.numbered_sources": 2,
    "record.missing_calls": 4,
    "record.repeated_numbers": 1,
    "record.oldest_entry": datetime(2026, 7, 31, 23, 59, tzinfo=UTC),
    "record.earliest_deletion": datetime(2032, 7, 31, 23, 59, tzinfo=UTC),  # six years later
    "record.amendments": 1,
    "record.audit_days": 2192,
    "quality.weeks_judged": 4,  # the week of 24 August has no verdict
    "quality.rated_up": 2,
    "quality.rated_down": 1,
    "quality.baselines_signed": 1,
    "privacy.masked": 12,  # e-mail 2 x 3 + 1 x 3, phone 3
    "privacy.calls_with_masking": 6,
    "privacy.recipients": 2,
    "privacy.texts_over_term": 0,
    "privacy.texts_deleted": 36,
    "privacy.texts_held": 2,
    "record.deleted_early": 1,
    "quality.hallucination_rate": 0.075,
    "quality.hallucination_low": 0.05,
    "quality.hallucination_high": 0.11,
    "quality.hallucination_answers": 400,
    "erasure.requests": 3,
    "erasure.refused": 1,
    "erasure.longest_days": 12,
    "erasure.left_over": 2,
    "erasure.in_sources": 4,
    "erasure.holds": 1,
    "guardrails.watched": 1,  # weeks 9 to 13 ended in August; the other one cannot be told
    "guardrails.fell": 1,
    "guardrails.eroding": 1,
    "guardrails.events": 3,
    "adversarial.categories": 2,
    "recovery.backup_at": day(30),
    "recovery.drilled_at": day(30, 15),
    "recovery.drill_age": 7.625,  # 30 August 15:00 to 7 September 06:00
    "recovery.drill_result": "passed",
    "erasure.in_backups": 1,
    "adversarial.gave_way": 1,
    "adversarial.held": 2,
    "adversarial.cannot_tell": 0,
    "adversarial.never_asked": 0,
    "adversarial.not_asked": 1,
    "guardrails.blocks": 2,
    "guardrails.calls_blocked": 2,
    "oversight.decisions": 1,
    "oversight.by_people": 1,
    "oversight.acknowledge_minutes": 510.0,  # median of 3 h and 14 h
    "incidents.opened": 3,
    "incidents.opened_by_people": 0,
    "incidents.days_to_detect_by_rules": 7.0,
    "incidents.open_at_end": 2,
    "incidents.clocks_met": 3,
    "incidents.clocks_missed": 5,
    "remedies.recorded": 5,
    "remedies.held": 1,
    "remedies.better": 1,
    "remedies.not_held": 1,
    "remedies.cannot_tell": 1,
    "changes.models": 2,
    "changes.prompts": 2,
    "changes.indexes": 1,
    "changes.events": 2,
}


@pytest.fixture
def database() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    for table in DECLARED.values():
        connection.execute(f"create schema if not exists {table.pillar}")
        connection.execute(
            f"create table {table.path} ({', '.join(f'{column.name!r} {column.type}'.replace(chr(39), chr(34)) for column in table.columns)})"
        )
    connection.execute(CHANGE_EVENTS)
    return connection


def fill(database: duckdb.DuckDBPyConnection, e: MonthEvidence) -> None:
    for name, table in TABLES.items():
        rows = getattr(e, name)
        times = [column for column, dtype in rows.schema.items() if isinstance(dtype, pl.Datetime)]
        rows = rows.with_columns(pl.col(times).dt.replace_time_zone(None))
        others = rows.with_columns(system=pl.lit("handbook"))  # a neighbour that must never be counted
        database.register("incoming", pl.concat([rows, others]))
        database.execute(f"insert into {table} by name select * from incoming")


def computed(database: duckdb.DuckDBPyConnection, sql: str) -> object:
    rows = database.execute(sql).fetchall()
    value = rows[0][0] if rows else None
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value


def recomputable(found: dict[str, Figure]) -> list[Figure]:
    return [figure for figure in found.values() if figure.sql]


@pytest.mark.parametrize(("key", "expected"), BY_HAND.items())
def test_a_figure_is_what_one_counts_by_hand(key: str, expected: object) -> None:
    assert figures(evidence())[key].value == expected


def test_every_figure_is_recomputed_by_its_sql(database: duckdb.DuckDBPyConnection) -> None:
    e = evidence()
    fill(database, e)
    for figure in recomputable(figures(e)):
        assert (
            figure.value == pytest.approx(computed(database, figure.sql))
            if isinstance(figure.value, float)
            else figure.value == computed(database, figure.sql)
        ), figure.key


def test_of_attacks_that_nobody_asked_none_gave_way_and_none_held(
    database: duckdb.DuckDBPyConnection,
) -> None:
    e = evidence()
    e = evidence(attacks=e.attacks.with_columns(result=pl.lit("not asked"), calls=0, calls_gave_way=0))
    fill(database, e)
    found = figures(e)
    for key in ("adversarial.categories", "adversarial.gave_way", "adversarial.held"):
        assert found[key].value is None and computed(database, found[key].sql) is None
    asked = found["adversarial.never_asked"]
    assert asked.value == computed(database, asked.sql) == 3


def test_two_judges_of_a_month_have_no_rate_in_common(database: duckdb.DuckDBPyConnection) -> None:
    both = hallucinations().with_columns(rate=pl.col("rate").fill_null(0.2))
    e = evidence(hallucinations=both)
    fill(database, e)
    found = {key: figure for key, figure in figures(e).items() if "hallucination" in key}
    assert len(found) == 4
    for figure in found.values():
        assert figure.value is None and computed(database, figure.sql) is None
    assert found["quality.hallucination_rate"].missing.startswith("NOT MEASURED")


def test_who_judges_answers_is_a_recipient() -> None:
    judge = {
        "kind": "openai_compatible",
        "base_url": "https://api.judge.example/v1",
        "model": "m",
        "dated_name": "m-1",
    }
    judged = SYSTEM.model_copy(update={"judge": JudgeSettings.model_validate(judge)})
    report = compliance_report(replace(evidence(), system=judged))
    assert "api.judge.example, which judges a sample of answers" in canonical_json(report)
    assert "judges a sample" not in canonical_json(compliance_report(evidence()))


def legally(*said: tuple[str, str, dict[str, datetime]]) -> MonthEvidence:
    """August of a system under the GDPR and the AI Act: incident, regime and what was said of it."""
    e = evidence()
    numbers = e.incidents["incident_id"].to_list()
    clock = {"system": NAME, "notice": "notification", "article": "33(1)", "state": "running"}
    rows = [
        clock | {"incident_id": numbers[int(number)], "regime": regime} | dict(times)
        for number, regime, times in said
    ]
    e = replace(e, incidents=e.incidents.head(2))
    frame = pl.DataFrame([dict.fromkeys(TABLES_CLOCKS) | row for row in rows], TABLES_CLOCKS)
    under = SYSTEM.model_copy(update={"regimes": ("gdpr", "ai_act")})
    return replace(e, system=under, legal_clocks=frame)


ASKED_NOTHING = {"kind": "not_reportable", "state": "not reportable"}


def aware(day: int, due: int, notified: int | None = None) -> dict[str, datetime]:
    at = {"aware_at": datetime(2026, 8, day, tzinfo=UTC), "due_at": datetime(2026, 8, due, tzinfo=UTC)}
    return at if notified is None else at | {"notified_at": datetime(2026, 8, notified, tzinfo=UTC)}


@pytest.mark.parametrize(
    ("said", "met", "missed"),
    [
        ([("0", "gdpr", aware(10, 13, 12)), ("1", "gdpr", aware(18, 21))], 1, 1),
        ([("0", "gdpr", aware(10, 13, 14)), ("1", "gdpr", aware(18, 21, 20))], 1, 1),
        ([("0", "gdpr", ASKED_NOTHING), ("1", "gdpr", ASKED_NOTHING)], 0, 0),
        ([("0", "gdpr", aware(10, 13, 12)), ("1", "gdpr", {"state": "NOT EVIDENCED"})], None, None),
        ([("0", "gdpr", aware(10, 13, 12))], None, None),  # no row of the other incident yet
        ([("0", "dora", aware(10, 13, 12))], None, None),
        ([], None, None),
    ],
)
def test_legal_clocks_are_counted_where_somebody_spoke_of_every_incident(
    database: duckdb.DuckDBPyConnection, said: list, met: int | None, missed: int | None
) -> None:
    e = legally(*said)
    fill(database, e)
    known = figures(e)
    for result, count in (("met", met), ("missed", missed)):
        figure = known[f"incidents.gdpr_{result}"]
        assert figure.value == count == computed(database, figure.sql)
        assert bool(figure.missing) == (count is None)
    assert known["incidents.dora_met"].value is None is computed(database, known["incidents.dora_met"].sql)


def test_a_resolved_incident_whose_notice_is_owed_is_counted_until_it_is_given(
    database: duckdb.DuckDBPyConnection,
) -> None:
    e = legally(("0", "gdpr", aware(1, 4)))
    closed = e.incidents.head(1).with_columns(
        opened_at=pl.lit(datetime(2026, 7, 3, tzinfo=UTC)),
        resolved_at=pl.lit(datetime(2026, 7, 4, tzinfo=UTC)),
    )
    e = replace(e, incidents=closed)
    fill(database, e)
    figure = figures(e)["incidents.gdpr_missed"]
    assert figure.value == 1 == computed(database, figure.sql)
    section = next(one for one in compliance_report(e)["sections"] if one["key"] == "incidents")
    assert "1 legal clock missed." in section["meaning"] and section["tone"] == "bad"
    assert section["tables"][1]["rows"][0][-1] == "missed"


def test_a_checkpoint_signed_in_the_same_instant_by_the_publication_moves_no_figure(
    database: duckdb.DuckDBPyConnection,
) -> None:
    e = evidence()
    last = e.checkpoints.sort("tree_size").row(-1, named=True)

    def signed(*sizes: int) -> MonthEvidence:
        rows = [last | {"tree_size": n, "root_hash": f"of {n}", "signed_at": e.until} for n in sizes]
        return replace(e, checkpoints=pl.concat([e.checkpoints, pl.DataFrame(rows, e.checkpoints.schema)]))

    fill(database, signed(11, 12))  # the twelfth entry is the publication
    e = signed(11)
    known = figures(e)
    assert known["integrity.tree_size"].value == 11
    for key in ("integrity.tree_size", "integrity.root_hash", "integrity.signed_at"):
        assert computed(database, known[key].sql) == known[key].value, key


def cosigned(*by: list[str] | None, quorum: int | None = 2) -> MonthEvidence:
    """August with its two checkpoints cosigned by these."""
    rows = evidence().checkpoints.sort("tree_size")
    return evidence(
        checkpoints=rows.with_columns(
            quorum=pl.lit(quorum, pl.Int64), cosigned_by=pl.Series(list(by), dtype=pl.List(pl.String))
        )
    )


@pytest.mark.parametrize(
    ("e", "values"),
    [
        (cosigned(None, None, quorum=None), (None, None, None)),
        (cosigned(["a", "b"], ["a", "b", "c"]), (2, 3, 0)),
        (cosigned(["a"], ["a", "b"]), (2, 2, 1)),
        (cosigned(["a", "b"], []), (2, 0, 1)),
    ],
)
def test_the_quorum_of_witnesses_and_its_sql(
    database: duckdb.DuckDBPyConnection, e: MonthEvidence, values: tuple[int | None, ...]
) -> None:
    fill(database, e)
    known = figures(e)
    keys = ("witness.quorum", "witness.cosigned", "witness.unwitnessed")
    assert tuple(known[key].value for key in keys) == values
    for key in keys:
        assert computed(database, known[key].sql) == known[key].value, key


def test_the_report_says_who_vouches_for_the_log_and_is_evidenced_in_full_with_them_alone() -> None:
    def said(e: MonthEvidence) -> tuple[str, str]:
        report = compliance_report(e)
        (r20,) = (row for row in report["controls"] if row["id"] == "R20")
        return report["sections"][0]["meaning"].split("missing. ")[1], r20["status"]

    assert said(evidence()) == (NOBODY, "PARTLY EVIDENCED")
    met = "2 witnesses cosigned the last checkpoint, 2 needed."
    assert said(cosigned(["a", "b"], ["a", "b"])) == (met, "EVIDENCED")
    few = "0 witnesses cosigned the last checkpoint, 2 needed; 2 checkpoints of the month had too few."
    assert said(cosigned([], [])) == (few, "EVIDENCED")
    tones = [
        compliance_report(cosigned(["a", "b"], last))["sections"][0]["tone"] for last in (["a", "b"], [])
    ]
    assert tones == ["good", "warn"]


def test_a_published_month_is_not_amended_for_its_witnesses() -> None:
    """Neither when witnesses come with a version nor when one of them is away later."""
    before = {key: plain_data(figure.value) for key, figure in figures(evidence()).items()}
    without = {key: value for key, value in before.items() if not key.startswith("witness.")}
    for e in (cosigned(["a", "b"], ["a", "b"]), cosigned([], [])):
        assert changed(before, figures(e)) == changed(without, figures(e)) == []


def test_what_pipelines_decide_is_no_human_oversight(database: duckdb.DuckDBPyConnection) -> None:
    log = evidence().audit_log
    kinds = [
        f"decision.{what}"
        for what in ("drift_verdict", "index_published", "baseline_frozen", "settings_changed", "backup_made")
    ]
    actors = ["aiops_pipelines", "2f6c0c1e-run", "automatic", WHOEVER, "nightly"]
    rows = [
        {"system": NAME, "entry_index": n, "kind": kind, "occurred_at": NOW.replace(month=8), "actor": actor}
        for n, (kind, actor) in enumerate(zip(kinds, actors, strict=True))
    ]
    e = evidence(audit_log=pl.DataFrame([dict.fromkeys(log.schema) | row for row in rows], log.schema))
    fill(database, e)
    found = figures(e)
    assert (found["oversight.decisions"].value, found["oversight.by_people"].value) == (5, None)
    assert computed(database, found["oversight.by_people"].sql) is None
    oversight = next(row for row in compliance_report(e)["controls"] if row["id"] == "R6")
    assert (oversight["cells"][0]["label"], oversight["cells"][0]["figure"]) == (
        "Decisions of people in the log",
        None,
    )


def test_texts_beyond_their_term_are_said(database: duckdb.DuckDBPyConnection) -> None:
    e = evidence()
    term = datetime(2026, 3, 11, tzinfo=UTC)  # 180 days before 7 September, to the end of that day
    database.executemany(
        "insert into inference_log.inferences (system, event_id, occurred_at, query) values (?, ?, ?, ?)",
        [
            (NAME, "old", (term - timedelta(seconds=1)).replace(tzinfo=None), "?"),
            (NAME, "emptied", (term - timedelta(days=9)).replace(tzinfo=None), None),
            (NAME, "young", term.replace(tzinfo=None), "?"),
            ("handbook", "another's", (term - timedelta(days=9)).replace(tzinfo=None), "?"),
        ],
    )
    assert computed(database, figures(e)["privacy.texts_over_term"].sql) == 1
    privacy = compliance_report(replace(e, texts_over_term=1))["sections"][3]
    assert privacy["tone"] == "bad" and "1 inference is kept with text beyond its term" in privacy["meaning"]
    stated = dict(privacy["tables"][1]["rows"])["Retention of texts"]
    assert stated == (
        "180 days by the system file; the first run of a day deletes what is older, and 1 inference holds text "
        "beyond that"
    )


def test_deletions_erasures_and_holds_are_said_and_evidenced() -> None:
    report = compliance_report(evidence())
    privacy = report["sections"][3]
    assert privacy["tone"] == "bad"  # somebody who was erased is still named
    asked, holding = privacy["tables"][3:]
    assert [row[0] for row in asked["rows"]] == ["ERA-1", "ERA-2", "ERA-3"]
    assert [row[:2] for row in holding["rows"]] == [["HOLD-1", "yes"]]
    status = {row["id"]: row["status"] for row in report["controls"]}
    assert status["R8"] == "EVIDENCED"
    nothing = compliance_report(evidence(erasures=erasures().clear()))
    (row,) = [row for row in nothing["controls"] if row["id"] == "R8"]
    missing = [cell["label"] for cell in row["cells"] if cell["figure"] is None]
    assert row["status"] == "PARTLY EVIDENCED" and missing == [
        "Longest time from request to erasure",
        "Places where a search still found the erased",
        "Lines of the team's own log files that still name them",
        "Backups from before the last of these erasures that nobody said are destroyed",
    ]


def of_control(report: dict[str, Any], number: str) -> dict[str, dict[str, Any]]:
    (row,) = [row for row in report["controls"] if row["id"] == number]
    return {cell["label"]: cell for cell in row["cells"]}


def test_a_drill_is_evidence_a_failed_one_is_called_so_and_none_is_not_evidenced(
    database: duckdb.DuckDBPyConnection,
) -> None:
    passed = compliance_report(evidence())
    drill = of_control(passed, "R13")["Result of that drill"]["figure"]
    assert drill["value"] == "passed" and "FAILED" not in passed["sections"][0]["meaning"]
    table = passed["sections"][0]["tables"][1]
    assert [row[4:] for row in table["rows"]] == [["FAILED", 0, "x is gone."], ["passed", 9, "none"]]

    e = evidence(drills=drills().filter(number=1))
    failed = compliance_report(e)
    assert of_control(failed, "R13")["Result of that drill"]["figure"]["value"] == "FAILED"
    section = failed["sections"][0]
    assert section["tone"] == "bad" and "The last restore drill FAILED." in section["meaning"]
    fill(database, e)
    assert computed(database, figures(e)["recovery.drill_result"].sql) == "FAILED"

    none = compliance_report(evidence(drills=drills().clear(), backups=backups().clear()))
    cells = of_control(none, "R13")
    for label in ("Last backup made", "Age of that drill", "Result of that drill"):
        assert cells[label]["figure"] is None and "aiops backup" in cells[label]["reason"]
    assert none["sections"][0]["tables"][1]["rows"] == []


def test_remedies_of_the_month_are_listed_by_their_worst_limit_and_one_that_failed_is_said() -> None:
    (section,) = [one for one in compliance_report(evidence())["sections"] if one["key"] == "incidents"]
    (table,) = [one for one in section["tables"] if one["title"].startswith("Remedies recorded")]
    judged = [(row[1].split(", ")[-1].rstrip(")"), row[4], row[5]) for row in table["rows"]]
    assert judged == [
        ("R1", "held", "errors, 0: Of R1."),
        ("R2", "not held", "errors, 1: Of R2."),
        ("R3", "better, not back", "errors, 0: Of R3."),
        ("R4", "CANNOT TELL", "errors, 0: Of R4."),
        ("R5", "not judged yet: the next run does", "No run was made since it was recorded."),
    ]
    assert "1 remedy of those recorded did not hold." in section["meaning"]


def test_backups_that_hold_who_was_erased_are_counted_until_they_are_destroyed(
    database: duckdb.DuckDBPyConnection,
) -> None:
    e = evidence(backups=backups().with_columns(destroyed_at=pl.lit(NOW)))
    fill(database, e)
    figure = figures(e)["erasure.in_backups"]
    assert figure.value == computed(database, figure.sql) == 0


def test_a_search_that_was_not_made_is_no_evidence(database: duckdb.DuckDBPyConnection) -> None:
    rows = erasures().with_columns(
        scanned_at=pl.when(pl.col("erasure_id") != "ERA-2").then("scanned_at"),
    )
    e = evidence(erasures=rows)
    fill(database, e)
    left = figures(e)["erasure.left_over"]
    assert left.value is None and computed(database, left.sql) is None


def test_every_sql_runs_on_empty_tables_and_agrees(database: duckdb.DuckDBPyConnection) -> None:
    for figure in recomputable(figures(EMPTY)):
        assert computed(database, figure.sql) == figure.value, figure.key


def test_only_what_is_configured_has_no_sql() -> None:
    assert [figure.key for figure in figures(EMPTY).values() if not figure.sql] == ["record.audit_days"]


@given(st.lists(st.integers(0, 30), max_size=12, unique=True))
def test_a_lost_entry_is_counted(kept: list[int]) -> None:
    full = evidence().audit_log
    log = (
        pl.concat([full.head(1).with_columns(entry_index=pl.lit(index)) for index in kept])
        if kept
        else full.clear()
    )
    value = figures(evidence(audit_log=log))["integrity.missing_entries"].value
    assert value == (max(kept) + 1 - len(kept) if kept else None)


def test_an_entry_whose_place_was_taken_away_keeps_no_report_from_being_made() -> None:
    log = evidence().audit_log
    last = pl.col("entry_index") == log["entry_index"].max()
    edited = log.with_columns(entry_index=pl.when(~last).then("entry_index"))
    assert figures(evidence(audit_log=edited))["integrity.missing_entries"].value == -1


@pytest.mark.parametrize(
    ("month", "first", "last"),
    [
        (date(2026, 8, 1), date(2026, 7, 27), date(2026, 8, 24)),
        (
            date(2026, 5, 1),
            date(2026, 4, 27),
            date(2026, 5, 25),
        ),  # a week that ends at midnight of the last day
        (date(2026, 6, 1), date(2026, 6, 1), date(2026, 6, 22)),  # a month that starts on a Monday
    ],
)
def test_a_week_belongs_to_the_month_it_ended_in(month: date, first: date, last: date) -> None:
    weeks = replace(EMPTY, month=month).weeks()
    assert (weeks[0], weeks[-1]) == (first, last)
    assert len(weeks) == (last - first).days // 7 + 1


def test_every_week_belongs_to_exactly_one_month() -> None:
    months = [date(2026, month, 1) for month in range(1, 13)]
    weeks = [week for month in months for week in replace(EMPTY, month=month).weeks()]
    assert [(b - a).days for a, b in pairwise(weeks)] == [7] * (len(weeks) - 1)


def test_incidents_that_people_opened_are_counted_and_timed_apart(
    database: duckdb.DuckDBPyConnection,
) -> None:
    early = pl.when(pl.col("incident_id") == "INC-0003")
    opened = evidence().incidents.with_columns(
        source=early.then(pl.lit("person")).otherwise("source"),
        began_at=early.then(pl.col("opened_at") - timedelta(hours=6)).otherwise("began_at"),
        reported_by=early.then(pl.lit("Mira")),
    )
    section = compliance_report(evidence(incidents=opened))["sections"][5]
    known = {figure["key"].removeprefix("incidents."): figure["value"] for figure in section["figures"]}
    assert (known["opened"], known["opened_by_people"]) == (3, 1)
    assert (known["days_to_detect_by_rules"], known["days_to_detect_by_people"]) == (7.0, 0.25)
    said = {row[1][-9:-1]: row[7] for row in section["tables"][0]["rows"]}
    assert said == {"INC-0001": "rules", "INC-0002": "rules", "INC-0003": "a person, Mira"}
    fill(database, evidence(incidents=opened))
    for figure in figures(evidence(incidents=opened)).values():
        if figure.key.startswith("incidents.") and figure.key.endswith(("people", "rules")):
            assert computed(database, figure.sql) == figure.value


def test_the_last_checkpoint_is_printed_in_full() -> None:
    section = compliance_report(evidence())["sections"][0]
    assert section["texts"][0][1] == NOTE
    assert section["texts"][1][1].startswith("NOT EVIDENCED")
    keyed = compliance_report(replace(evidence(), verifier_key="aiops.example/support+1+2"))
    assert keyed["sections"][0]["texts"][1][1] == "aiops.example/support+1+2"
    assert (
        section["meaning"] == f"The log verified for 5 of 5 weeks, in 5 runs; no entry is missing. {NOBODY}"
    )


def test_one_late_run_is_not_a_run_every_week() -> None:
    late = evidence().verifications.with_columns(verified_at=pl.lit(NOW))
    section = compliance_report(evidence(verifications=late))["sections"][0]
    assert section["meaning"] == f"The log verified for 5 of 5 weeks, in 1 run; no entry is missing. {NOBODY}"
    assert section["tone"] == "warn"
    assert {row[2] for row in section["tables"][0]["rows"]} == {"2026-09-07T06:00:00+00:00"}


def test_a_later_verification_of_a_week_leaves_the_first_one_in_place() -> None:
    first = evidence().verifications
    again = first.with_columns(verified_at=pl.lit(NOW), intact=pl.lit(False), findings=pl.lit(["Entry 3."]))
    both = compliance_report(evidence(verifications=pl.concat([again, first])))
    known, before = (
        {f["key"]: f["value"] for f in report["sections"][0]["figures"]}
        for report in (both, compliance_report(evidence()))
    )
    assert known["integrity.verifications"] == known["integrity.failed"] == 5
    assert (known["integrity.runs"], before["integrity.runs"]) == (6, 5)
    rows = both["sections"][0]["tables"][0]["rows"]
    assert [row[1:3] for row in rows[:2]] == [
        ["intact", "2026-08-03T06:00:00+00:00"],
        ["broken", NOW.isoformat()],
    ]
    intact = compliance_report(
        evidence(verifications=pl.concat([first.with_columns(verified_at=pl.lit(NOW)), first]))
    )
    assert intact["sections"][0]["tone"] == "good"
    assert (
        intact["sections"][0]["meaning"]
        == f"The log verified for 5 of 5 weeks, in 6 runs; no entry is missing. {NOBODY}"
    )


def test_a_week_without_a_verdict_is_a_row() -> None:
    quality = compliance_report(evidence())["sections"][2]
    silent = [row for row in quality["tables"][0]["rows"] if row[2] == "no verdict"]
    assert [row[0] for row in silent] == ["2026-08-24"]
    assert silent[0][3:10] == [None] * 7
    assert quality["meaning"].endswith("no verdict for the week of 24\u00a0Aug\u00a02026.")


def test_savings_proposed_in_the_month_are_a_table() -> None:
    quality = compliance_report(evidence())["sections"][2]
    table = next(t for t in quality["tables"] if t["source"] == "costs.savings_proposals")
    [row] = table["rows"]
    assert row[:7] == ["prompt caching", "chat", "gpt-x"] + [f"{usd}.000000000000" for usd in (9, 7, 11, 8)]
    assert row[7:] == ["Answers stay: the same text.", "Cache it."]


def test_broken_logs_are_called_broken() -> None:
    bad = evidence().verifications.with_columns(intact=pl.lit(False))
    lost = evidence().audit_log.filter(pl.col("entry_index") != 3)
    section = compliance_report(evidence(verifications=bad, audit_log=lost))["sections"][0]
    assert section["tone"] == "bad"
    assert section["meaning"] == f"The log did NOT verify: 5 failed weeks, 1 entries missing. {NOBODY}"


def test_without_evidence_there_is_a_report_that_says_so() -> None:
    report = compliance_report(EMPTY)
    assert {section["tone"] for section in report["sections"]} <= {"unknown", "plain"}
    assert report["evidenced"] == 0
    assert report["evidenced"] + report["not_evidenced"] == 20
    for control in report["controls"]:
        assert control["cells"]
        assert all(cell["figure"] or cell["reason"] for cell in control["cells"])
    processing = dict(report["sections"][3]["tables"][1]["rows"])
    assert processing["Recipients"] == processing["Legal basis"] == "NOT EVIDENCED"


def test_the_record_of_processing_names_the_recipients_seen() -> None:
    privacy = compliance_report(evidence())["sections"][3]
    assert privacy["tables"][2]["rows"] == [["anthropic", 1, "claude-x"], ["openai", 9, "gpt-x"]]
    assert dict(privacy["tables"][0]["rows"]) == {"email": 9, "phone": 3}
    assert dict(privacy["tables"][1]["rows"])["Recipients"] == "anthropic and openai"


def test_amendments_to_earlier_reports_are_named() -> None:
    keeping = compliance_report(evidence())["sections"][1]
    assert keeping["meaning"].endswith("1 amendment to earlier reports since the last one.")
    assert keeping["tables"][2]["rows"] == [
        ["June\u00a02026", 2, "2026-08-09T09:00:00+00:00", 2, "2 calls of the month arrived. Prices changed."]
    ]
    named_before = evidence(amendments=evidence().amendments.head(1))
    assert compliance_report(named_before)["sections"][1]["tables"][2]["rows"] == []


def test_decisions_name_who_decided() -> None:
    decided = compliance_report(evidence())["sections"][6]["tables"][1]["rows"]
    assert decided == [
        ["2026-08-10T09:00:00+00:00", "baseline_approved", "r.okafor", "Baseline of June approved."]
    ]


def test_the_same_evidence_gives_the_same_bytes() -> None:
    first, second = (canonical_json(compliance_report(evidence())) for _ in range(2))
    assert first == second
    assert first.isascii()
    shuffled = replace(
        evidence(),
        **{
            name: getattr(evidence(), name).reverse()
            for name in ("inferences", "audit_log", "verdicts", "quarantine", "incidents", "changes")
        },
    )
    assert canonical_json(compliance_report(shuffled)) == first


def test_the_json_is_readable_and_holds_no_nan() -> None:
    report = json.loads(canonical_json(compliance_report(evidence())))
    assert report["schema"] == "aiops_pipelines.compliance_report/1"
    assert list(report) == sorted(report)
    with pytest.raises(ValueError, match="JSON"):
        canonical_json({"figure": float("nan")})


def test_it_never_says_that_anybody_is_compliant() -> None:
    for e in (EMPTY, evidence()):
        assert "compliant" not in canonical_json(compliance_report(e)).lower()


def test_hostile_text_is_kept_as_data() -> None:
    hostile = "</script>\u202e\x1b[31m"
    text = canonical_json(
        compliance_report(evidence(quarantine=evidence().quarantine.with_columns(reason=pl.lit(hostile))))
    )
    assert not {"\u202e", "\x1b"} & set(text)
    assert json.loads(text)["sections"][1]["tables"][1]["rows"] == [[hostile, 3]]


def test_other_systems_and_crooked_months_are_refused() -> None:
    other = evidence().incidents.with_columns(system=pl.lit("handbook"))
    with pytest.raises(ValueError, match=r"'incidents' holds rows of .'handbook'."):
        evidence(incidents=other)
    with pytest.raises(ValueError, match="first day"):
        replace(EMPTY, month=date(2026, 8, 2))


def test_sql_is_bound_to_the_system_and_the_month() -> None:
    for figure in recomputable(figures(EMPTY)):
        assert f"system = '{NAME}'" in figure.sql, figure.key


def test_the_tables_named_as_sources_are_declared_or_built() -> None:
    built = {path.stem for path in (Path(__file__).parents[2] / "dbt_project" / "models").glob("*/*.sql")}
    report = compliance_report(evidence())
    sources = {
        table["source"] for section in report["sections"] for table in section["tables"] if table["source"]
    }
    assert all(source in DECLARED or source.split(".")[1] in built for source in sources)
