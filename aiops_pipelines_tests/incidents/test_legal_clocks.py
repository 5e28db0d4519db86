"""Legal clocks: every deadline by hand, and what starts, ends and never stops them."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.compliance.controls import legal_facts
from aiops_pipelines.compliance.deadlines import Deadline, deadlines, months_later, notices, regimes
from aiops_pipelines.incidents.course import IncidentError
from aiops_pipelines.incidents.legal_clocks import (
    legal_changes,
    legal_clocks,
    legal_lines,
    legal_rows,
    legal_sentence,
    legal_table,
)
from aiops_pipelines.incidents.legal_events import LEGAL_EVENTS, kinds_of, new_legal_event, recorded
from aiops_pipelines.incidents.lifecycle import INCIDENTS
from aiops_pipelines.incidents.settings import Notification
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines.wording import moment

ROOT = Path(__file__).parents[2]
BERLIN, NEW_YORK, UTC_ZONE = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York"), ZoneInfo("UTC")
ALL = ("ai_act", "gdpr", "dora")
NUMBER = "INC-00000001"


def at(day: int, hour: int = 0, minute: int = 0, month: int = 8, year: int = 2026) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def incident(resolved: datetime | None = None) -> pl.DataFrame:
    status = "resolved" if resolved else "open"
    row = {"system": "s", "incident_id": NUMBER, "opened_at": at(2), "resolved_at": resolved}
    return pl.DataFrame([row | {"status": status, "title": "Calls fail"}], schema=INCIDENTS)


def event(regime: str, kind: str, when: datetime, about: str | None = None, **more: object) -> dict:
    row = {"system": "s", "incident_id": NUMBER, "recorded_at": when, "regime": regime, "event": kind}
    return row | {"about": about, "at": when, "actor": "Mira", "reason": "", "reference": "R-1"} | more


def clocks(*events: dict, now: datetime, zone: ZoneInfo = UTC_ZONE, under=ALL, **of: object) -> dict:
    rows = pl.DataFrame(list(events), schema=LEGAL_EVENTS)
    found = legal_clocks(incident(**of), rows, under, zone, now)
    return {(row["regime"], row["notice"]): row for row in found.rows(named=True)}


def due(*events: dict, zone: ZoneInfo = UTC_ZONE, notice: str = "report") -> datetime | None:
    return clocks(*events, now=at(30, month=12), zone=zone)[events[0]["regime"], notice]["due_at"]


# --- the law


def test_every_deadline_rests_on_a_legal_fact_and_every_notice_can_start():
    facts = {fact.id for fact in legal_facts()}
    assert {one.fact for one in deadlines()} <= facts and "periods-1182-71" in facts
    assert {one.regime for one in deadlines()} == set(regimes()) == set(ALL)
    for one in deadlines():
        starts = {
            "awareness",
            "classified",
            *(f"{word}{n}" for n in notices(one.regime) for word in ("", "last ")),
        }
        assert one.after in starts and set(one.kinds) <= set(kinds_of(one.regime)), one
    with pytest.raises(ValueError, match="one of hours, days and months"):
        Deadline(regime="gdpr", notice="n", after="awareness", hours=1, days=1, article="1", fact="f")


@pytest.mark.parametrize(
    ("start", "zone", "allowed", "end"),
    [
        # 72 hours are 72 hours, whatever the clock on the wall does: 28 March 10:00 CET to 31 March 11:00 CEST
        (at(28, 9, month=3), BERLIN, {"hours": 72}, at(31, 9, month=3)),
        # 24 October 10:00 CEST to 27 October 09:00 CET
        (at(24, 8, month=10), BERLIN, {"hours": 72}, at(27, 8, month=10)),
        (at(28, 23, 59, month=2, year=2028), UTC_ZONE, {"hours": 24}, at(29, 23, 59, month=2, year=2028)),
        # the day of awareness is not counted, the last counts to its end: 2 August 14:00 to the end of 17 August
        (at(2, 14), UTC_ZONE, {"days": 15}, at(18)),
        (at(2), UTC_ZONE, {"days": 2}, at(5)),
        # days are those of the zone: 2 August 23:30 UTC is 3 August 01:30 in Berlin, so the end of 5 August there
        (at(2, 23, 30), BERLIN, {"days": 2}, at(5, 22)),
        (at(2, 23, 30), NEW_YORK, {"days": 2}, at(5, 4)),
        # over both changes of the clock in Berlin: to the end of 30 March (CEST, UTC+2), of 26 October (CET, UTC+1)
        (at(28, 12, month=3), BERLIN, {"days": 2}, at(30, 22, month=3)),
        (at(24, 12, month=10), BERLIN, {"days": 2}, at(26, 23, month=10)),
        # a leap year has 29 February: 10 days from 20 February
        (at(20, 9, month=2, year=2028), UTC_ZONE, {"days": 10}, at(2, month=3, year=2028)),
        (at(20, 9, month=2, year=2027), UTC_ZONE, {"days": 10}, at(3, month=3, year=2027)),
        # a weekend moves nothing: Thursday 6 August and 2 days end with Saturday 8 August
        (at(6, 12), UTC_ZONE, {"days": 2}, at(9)),
        # a month ends on the same date, or on the last day of a shorter month
        (at(12, 15), UTC_ZONE, {"months": 1}, at(13, month=9)),
        (at(31, 15, month=1), UTC_ZONE, {"months": 1}, at(1, month=3)),
        (at(31, 15, month=1, year=2028), UTC_ZONE, {"months": 1}, at(1, month=3, year=2028)),
        (at(31, 15), UTC_ZONE, {"months": 1}, at(1, month=10)),
        (at(31, 15, month=12), UTC_ZONE, {"months": 1}, at(1, month=2, year=2027)),
        (at(31, 23, 30), BERLIN, {"months": 1}, at(1, 22, month=10)),  # 1 September there
    ],
)  # fmt: skip
def test_periods_end_as_counted_by_hand(start, zone, allowed, end):
    one = Deadline(regime="gdpr", notice="n", after="awareness", article="1", fact="f", **allowed)
    assert one.ends(start, zone) == end


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.integers(1, 48))
def test_some_months_later_is_in_that_month_and_never_a_later_date(day, months):
    later = months_later(day, months)
    assert (later.year - day.year) * 12 + later.month - day.month == months
    assert later.day == day.day or (later.day < day.day and (later + timedelta(days=1)).day == 1)


# --- AI Act


def test_ai_act_has_fifteen_days_ten_after_a_death_and_two_for_critical_infrastructure():
    aware = event("ai_act", "aware", at(2, 14))
    assert due(aware) == at(18)
    for kind, end in (
        ("serious", at(18)),
        ("death", at(13)),
        ("critical_infrastructure", at(5)),
        ("widespread_infringement", at(5)),
    ):
        assert due(aware, event("ai_act", "classified", at(4), kind)) == end, kind
    (_, said), *_ = legal_lines([clocks(aware, now=at(3))["ai_act", "report"]])
    assert "AI Act 73(2) report: by 18" in said
    assert (
        "not classified yet, and death, widespread infringement and critical infrastructure have less" in said
    )


def test_a_classification_changes_the_law_that_is_cited():
    aware, died = event("ai_act", "aware", at(2, 14)), event("ai_act", "classified", at(4), "death")
    row = clocks(aware, died, now=at(5))["ai_act", "report"]
    assert (row["article"], row["fact"], row["kind"]) == ("73(4)", "ai-act-73", "death")


# --- GDPR


def test_gdpr_has_72_hours_of_which_80_percent_remind():
    row = clocks(event("gdpr", "aware", at(2, 10, 30)), now=at(3))["gdpr", "notification"]
    assert (row["due_at"], row["remind_at"]) == (at(5, 10, 30), at(4, 20, 6))  # 57 h 36 min of 72 h
    states = [
        clocks(event("gdpr", "aware", at(2, 10, 30)), now=now)["gdpr", "notification"]["state"]
        for now in (at(4, 20, 5), at(4, 20, 6), at(5, 10, 29), at(5, 10, 30))
    ]
    assert states == ["running", "due", "due", "overdue"]


# --- DORA


def test_dora_counts_four_hours_from_classification_and_24_from_awareness_whichever_ends_first():
    aware = event("dora", "aware", at(2, 10))
    assert due(aware, notice="initial") == at(3, 10)
    assert due(event("dora", "classified", at(2, 12), "major"), notice="initial") == at(2, 16)
    for hour, end in ((12, at(2, 16)), (8 + 24, at(3, 10)), (10 + 30, at(3, 20))):
        major = event("dora", "classified", at(2) + timedelta(hours=hour), "major")
        assert due(aware, major, notice="initial") == end, hour


def test_dora_goes_on_with_72_hours_and_a_month_from_the_latest_intermediate_report():
    told = [event("dora", "aware", at(2, 10)), event("dora", "notified", at(2, 12), "initial")]
    found = clocks(*told, now=at(3))
    assert found["dora", "initial"]["state"] == "met"
    assert found["dora", "intermediate"]["due_at"] == at(5, 12)
    assert (found["dora", "final"]["due_at"], found["dora", "final"]["state"]) == (None, "not started")
    told += [
        event("dora", "notified", at(4), "intermediate"),
        event("dora", "notified", at(31), "intermediate"),
    ]
    found = clocks(*told, now=at(31, 1))
    assert (found["dora", "intermediate"]["notified_at"], found["dora", "intermediate"]["state"]) == (
        at(4),
        "met",
    )
    assert found["dora", "final"]["due_at"] == at(1, month=10)  # from 31 August, to the end of 30 September


# --- what starts and ends them


def test_nothing_recorded_is_not_evidenced_and_no_deadline_is_made_up():
    found = clocks(now=at(20))
    assert {row["state"] for row in found.values()} == {"NOT EVIDENCED"}
    assert {row["due_at"] for row in found.values()} == {None}
    assert len(legal_lines(found.values())) == 3  # one a regime
    assert clocks(now=at(20), under=()) == {}


def test_each_regime_has_a_clock_of_its_own():
    found = clocks(event("gdpr", "aware", at(2, 10)), event("dora", "aware", at(3)), now=at(3, 1))
    assert found["gdpr", "notification"]["due_at"] == at(5, 10)
    assert found["dora", "initial"]["due_at"] == at(4)
    assert found["ai_act", "report"]["state"] == "NOT EVIDENCED"


def test_a_regime_that_the_file_names_no_more_keeps_its_clock():
    assert (
        clocks(event("gdpr", "aware", at(2)), now=at(9), under=())["gdpr", "notification"]["state"]
        == "overdue"
    )


def test_a_closed_incident_stays_overdue_and_a_late_notice_is_missed():
    aware = event("gdpr", "aware", at(2))
    found = clocks(aware, now=at(9), resolved=at(3))["gdpr", "notification"]
    assert found["state"] == "overdue"
    sent = event("gdpr", "notified", at(5, 0, 1), "notification")
    row = clocks(aware, sent, now=at(9), resolved=at(3))["gdpr", "notification"]
    assert (row["state"], row["reference"]) == ("missed", "R-1")
    in_time = event("gdpr", "notified", at(5), "notification")
    assert clocks(aware, in_time, now=at(9))["gdpr", "notification"]["state"] == "met"


def test_a_corrected_awareness_counts_and_the_first_stays():
    first = event("gdpr", "aware", at(2, 10))
    second = event("gdpr", "aware", at(1, 8), recorded_at=at(3), reason="The call came on Saturday.")
    row = clocks(first, second, now=at(3, 1))["gdpr", "notification"]
    assert (row["first_aware_at"], row["aware_at"], row["due_at"]) == (at(2, 10), at(1, 8), at(4, 8))
    assert "(first recorded as 2" in legal_lines([row])[0][1]


def test_a_corrected_classification_moves_the_clock_and_the_report_shows_the_first():
    known = [event("dora", "aware", at(3)), event("dora", "classified", at(3, 10), "major")]
    again = event("dora", "classified", at(3, 20), "major", reason="Typed wrong")
    sent = event("dora", "notified", at(3, 21), "initial")
    row = clocks(*known, again, sent, now=at(4))["dora", "initial"]
    assert (row["state"], row["first_classified_at"], row["classified_at"]) == ("met", at(3, 10), at(3, 20))
    ((_, _, classified, aware, *_),) = legal_table([row], incident().rows(named=True), at(5)).rows
    assert classified == f"major, {moment(at(3, 20))} (first recorded as {moment(at(3, 10))})"
    assert aware == moment(at(3))


def test_what_is_not_reportable_has_no_deadline_until_it_is_classified_again():
    aware, none = event("gdpr", "aware", at(2)), event("gdpr", "classified", at(3), "not_reportable")
    assert clocks(aware, none, now=at(9))["gdpr", "notification"]["state"] == "not reportable"
    again = event("gdpr", "classified", at(4), "breach")
    row = clocks(aware, none, again, now=at(9))["gdpr", "notification"]
    assert (row["state"], row["due_at"]) == ("overdue", at(5))
    sent = event("gdpr", "notified", at(4), "notification")
    late = clocks(aware, sent, event("gdpr", "classified", at(5), "not_reportable"), now=at(9))
    assert late["gdpr", "notification"]["state"] == "met"  # what was done stays done


def test_a_withdrawn_notice_was_never_given():
    told = [event("dora", "aware", at(2)), event("dora", "notified", at(2, 1), "initial")]
    found = clocks(*told, event("dora", "withdrawn", at(2, 2), "initial"), now=at(4))
    assert found["dora", "initial"]["state"] == "overdue"
    assert found["dora", "intermediate"]["state"] == "not started"


def test_of_several_notices_only_the_one_that_was_a_mistake_is_withdrawn():
    told = [event("dora", "aware", at(2)), event("dora", "notified", at(2, 1), "initial")]
    told += [
        event("dora", "notified", at(day), "intermediate") | {"reference": f"R-{day}"} for day in (3, 4, 5)
    ]
    taken = event("dora", "withdrawn", at(6), "intermediate")

    def stood(reference: str) -> list[str]:
        return [
            row["reference"]
            for row in recorded([*told, taken | {"reference": reference}]).notices["intermediate"]
        ]

    assert stood("") == ["R-3", "R-4"] and stood("R-3") == ["R-4", "R-5"]
    found = clocks(*told, taken | {"reference": ""}, now=at(7))
    assert (found["dora", "intermediate"]["state"], found["dora", "intermediate"]["reference"]) == (
        "met",
        "R-3",
    )
    assert found["dora", "final"]["state"] == "running"
    with pytest.raises(IncidentError, match="has the reference R-9; it was R-3, R-4 and R-5"):
        again = {"regime": "dora", "event": "withdrawn", "about": "intermediate", "reference": "R-9"}
        record(*told, of=again | {"reason": "Of another."})


# --- recording


def record(*before: dict, of: dict) -> pl.DataFrame:
    asked = {"about": None, "at": at(3), "actor": "Mira", "reason": "", "reference": ""}
    rows = pl.DataFrame(list(before), schema=LEGAL_EVENTS)
    return new_legal_event(incident().row(0, named=True), rows, ALL, asked | of, at(9))


def test_a_record_says_when_it_was_and_when_it_was_written_down():
    row = record(of={"regime": "gdpr", "event": "aware"}).row(0, named=True)
    assert (row["at"], row["recorded_at"], row["actor"]) == (at(3), at(9), "Mira")


AWARE = event("gdpr", "aware", at(2))
NOTICE = {"regime": "gdpr", "event": "notified", "about": "notification", "reference": "DE-7"}


@pytest.mark.parametrize(
    ("before", "of", "said"),
    [
        ([], {"regime": "hipaa", "event": "aware"}, "is not under 'hipaa' by its file"),
        ([], {"regime": "gdpr", "event": "aware", "actor": " "}, "give the name"),
        ([], {"regime": "gdpr", "event": "aware", "at": at(10)}, "is not over yet"),
        ([AWARE], {"regime": "gdpr", "event": "aware"}, "a correction takes a reason"),
        ([], {"regime": "gdpr", "event": "classified", "about": "death"}, "breach or not_reportable"),
        ([], {"regime": "gdpr", "event": "classified", "about": "not_reportable"}, "This takes a reason"),
        ([], NOTICE, "Record first when people became aware"),
        ([AWARE], NOTICE | {"about": "initial"}, "The notices under gdpr are notification"),
        ([AWARE], NOTICE | {"at": at(1)}, "cannot be notified before"),
        ([AWARE], NOTICE | {"reference": " "}, "with the reference"),
        ([AWARE], NOTICE | {"event": "withdrawn"}, "No notification of"),
        (
            [event("dora", "aware", at(2))],
            NOTICE | {"regime": "dora", "about": "final"},
            "The initial of INC-00000001 comes before its final",
        ),
    ],
)
def test_what_would_be_no_evidence_is_refused(before, of, said):
    with pytest.raises(IncidentError, match=said):
        record(*before, of=of)


def test_a_notice_is_withdrawn_with_a_reason():
    before = [AWARE, event("gdpr", "notified", at(3), "notification")]
    with pytest.raises(IncidentError, match="only with a reason"):
        record(*before, of=NOTICE | {"event": "withdrawn", "reference": "R-1"})
    assert (
        record(
            *before, of=NOTICE | {"event": "withdrawn", "reference": "R-1", "reason": "Of another."}
        ).height
        == 1
    )


# --- telling


def frame(*events: dict, now: datetime) -> pl.DataFrame:
    return legal_clocks(incident(), pl.DataFrame(list(events), schema=LEGAL_EVENTS), ALL, UTC_ZONE, now)


def test_due_and_overdue_are_announced_once_each_however_late_they_are_recorded():
    none, running = frame(now=at(2)), frame(AWARE, now=at(2, 1))
    warned, late = frame(AWARE, now=at(4, 12)), frame(AWARE, now=at(6))
    assert legal_changes(none, running).is_empty()
    assert legal_changes(running, warned)["change"].to_list() == ["escalate (GDPR notification due)"]
    assert legal_changes(warned, warned).is_empty()
    [told] = legal_changes(warned, late).rows(named=True)
    assert told["change"] == "escalate (GDPR notification overdue)"
    assert (
        told["due"].startswith("GDPR 33(1) notification overdue since 5")
        and "Not legal advice" in told["due"]
    )
    assert legal_changes(none, late).height == 1  # recorded when it was overdue already
    assert legal_changes(
        late, frame(AWARE, event("gdpr", "notified", at(6), "notification"), now=at(7))
    ).is_empty()


def test_a_place_that_wants_escalations_hears_of_a_deadline_of_any_severity():
    told = "escalate (GDPR notification overdue)"
    assert Notification(changes=("escalate",), severities=("P1",)).wants(told, "P3")
    assert not Notification(changes=("opened",)).wants(told, "P1")
    assert not Notification(severities=("P1",)).wants("escalate", "P3")


def test_a_month_tells_of_what_is_owed_after_its_incident_was_resolved():
    rows = frame(AWARE, now=at(20, month=9)).filter(regime="gdpr").rows(named=True)
    closed = incident(resolved=at(3)).rows(named=True)
    august, september, october = at(1), at(1, month=9), at(1, month=10)
    assert legal_rows(rows, closed, september, october) == rows
    assert legal_sentence(rows, september) == " 1 legal clock missed."
    table = legal_table(rows, closed, at(3))
    assert table.rows[0][-1] == "running"  # as it stood then
    sent = frame(AWARE, event("gdpr", "notified", at(4), "notification"), now=at(20, month=9))
    sent_rows = sent.filter(regime="gdpr").rows(named=True)
    assert legal_rows(sent_rows, closed, september, october) == []
    assert legal_rows(sent_rows, closed, august, september) == sent_rows
    unsaid = legal_table(frame(now=at(5)).rows(named=True), closed, at(6))
    assert {(row[3], row[-1]) for row in unsaid.rows} == {("NOT EVIDENCED", "NOT EVIDENCED")}


def test_the_tables_are_declared_as_they_are_filled():
    tables = declared_tables(ROOT / "dbt_project")
    assert tables["incidents.legal_events"].schema == LEGAL_EVENTS
    assert tables["incidents.legal_clocks"].schema == frame(now=at(2)).schema
