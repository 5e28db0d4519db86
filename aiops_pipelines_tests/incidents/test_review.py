"""The weekly review: headline, tones, figures and actions against weeks whose story is known."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.document import Section
from aiops_pipelines.incidents.review import Review, weekly_review
from aiops_pipelines.incidents.review_incidents import clock_result
from aiops_pipelines.incidents.review_inputs import ReviewInputs
from aiops_pipelines.incidents.review_spend import growth, month_sentence
from aiops_pipelines_tests.incidents import fourteen_weeks as weeks
from aiops_pipelines_tests.incidents.fourteen_weeks import NOW, SILENT, SYSTEM, UNJUDGED, WEEKS, inputs

NOON = datetime(2026, 8, 3, 12, tzinfo=UTC)


def section(review: Review, key: str) -> Section:
    return next(part for part in review.sections if part.key == key)


def figure(part: Section, label: str) -> object:
    return next(found.value for found in part.figures if found.label == label)


def test_a_degraded_week_leads_with_what_fell_how_sure_and_why() -> None:
    review = weekly_review(inputs(WEEKS[8]))
    # 9.3 % drop, less 0.8 % x 0.4 of jitter, in all three known metrics but context recall
    assert review.tone == "bad"
    assert review.headline.startswith("Quality fell: ")
    assert "9.0\u00a0% below the baseline (95 % interval 6.4\u00a0% to 11.6\u00a0%)" in review.headline
    assert review.headline.endswith("most likely the served model changed.")
    assert review.actions[0].what.startswith("Pin the model")


def test_a_stable_week_is_not_called_good_while_one_metric_cannot_tell() -> None:
    part = section(weekly_review(inputs(WEEKS[7])), "quality")
    assert figure(part, "Verdict of the week") == "CANNOT TELL"
    assert part.tone == "unknown"
    assert "1 of 4 verdicts" in part.meaning


def test_a_week_of_ok_verdicts_is_quiet_when_all_else_is_known_and_well() -> None:
    known = weeks.verdicts().filter(pl.col("sample") == "known")
    review = weekly_review(inputs(WEEKS[7], verdicts=known, growth=pl.DataFrame()))
    assert review.tone == "good"
    assert review.headline.startswith("A quiet week. Quality held: a drop of 5.0\u00a0% or more is ruled out")
    assert review.actions == ()


def test_a_week_that_is_ok_by_power_alone_rules_nothing_out() -> None:
    known = weeks.verdicts().filter(pl.col("sample") == "known").with_columns(drop_high=pl.lit(0.061))
    part = section(weekly_review(inputs(WEEKS[7], verdicts=known)), "quality")
    assert part.tone == "good"
    assert "5.0\u00a0% or more would have been found four times in five, and was not, by 3" in part.meaning


@pytest.mark.parametrize(
    ("scores", "reason", "what"),
    [
        (
            150,
            "The judge changed from a/1 to a/2; re-score the baseline.",
            "Put the old judge back, or replace",
        ),
        (0, "Nothing was scored in this week.", "Find out why no score arrived this week."),
        (150, "Scores fell 1.0 %.", "Add known queries, or score more calls."),
    ],
)
def test_what_helps_a_week_that_cannot_tell(scores: int, reason: str, what: str) -> None:
    unsure = weeks.verdicts().with_columns(
        verdict=pl.lit("CANNOT TELL"), n=pl.lit(scores, pl.Int64), reason=pl.lit(reason)
    )
    [action] = section(weekly_review(inputs(WEEKS[7], verdicts=unsure)), "quality").actions
    assert action.what.startswith(what)


def test_a_broken_audit_log_speaks_first() -> None:
    row = weeks.verifications().row(11, named=True) | {
        "intact": False,
        "findings": ["Entry 17: leaf and hash differ."],
    }
    review = weekly_review(
        inputs(WEEKS[11], verifications=weeks.table("compliance.audit_verifications", [row]))
    )
    assert (
        review.headline
        == "The audit log does NOT verify: 6,600 entries recomputed, 1 finding, the first: Entry 17: leaf and hash differ."
    )
    assert review.actions[0].what.startswith("Freeze the audit log")


def test_a_silent_week_is_unknown_in_every_section_that_needs_calls() -> None:
    review = weekly_review(inputs(SILENT))
    tones = {part.key: part.tone for part in review.sections}
    silent = {
        key: tones[key] for key in ("quality", "freshness", "spend", "service", "guardrails", "privacy")
    }
    assert set(silent.values()) == {"unknown"}
    assert figure(section(review, "spend"), "Spend of the week") is None
    assert figure(section(review, "spend"), "Against a baseline week") is None
    assert [chart.kind for chart in section(review, "spend").charts] == ["spend_by_week"]
    assert figure(section(review, "guardrails"), "Blocks") is None
    assert figure(section(review, "privacy"), "Masked") is None
    assert review.tone == "unknown"
    assert review.headline.startswith("No call was logged this week")


def test_a_missing_week_is_a_row_of_every_chart() -> None:
    review = weekly_review(inputs(UNJUDGED))
    part = section(review, "quality")
    assert part.meaning == "Quality was not measured this week: there is no verdict, good or bad."
    for chart in part.charts:
        assert [row["verdict"] for row in chart.rows[:4]] == ["baseline"] * 4
        assert chart.rows[-1] == {"week": "2026-08-24", "verdict": "no data"}
        assert "13\u00a0Jul\u00a02026 and 24\u00a0Aug\u00a02026" in chart.sentence
    stale = section(review, "freshness").charts[0].rows
    assert [row["week"] for row in stale if row["share"] is None] == [SILENT.isoformat()]
    spend = section(review, "spend").charts[0].rows
    assert [row["week"] for row in spend if row["cost_usd"] is None] == [SILENT.isoformat()]


def test_baseline_weeks_are_neither_good_nor_bad() -> None:
    part = section(weekly_review(inputs(WEEKS[2])), "quality")
    assert part.tone == "plain"
    assert "part of the baseline" in part.meaning


def test_without_any_frame_nothing_looks_measured() -> None:
    review = weekly_review(ReviewInputs(SYSTEM, WEEKS[0], NOW))
    assert {part.tone for part in review.sections} <= {"unknown", "plain"}
    assert review.tone == "unknown"
    known = {figure.label for part in review.sections for figure in part.figures if figure.value is not None}
    assert known == {"Weeks judged", "Open incidents", "With a missed clock"}


def test_stale_answers_and_the_first_action_are_told_once() -> None:
    review = weekly_review(inputs(WEEKS[11]))
    part = section(review, "freshness")
    assert (figure(part, "Stale answers"), figure(part, "Index behind by"), part.tone) == (0.213, 14.0, "bad")
    wanted = [action.what for action in review.actions]
    assert len(wanted) == len(set(wanted))
    assert wanted[0] == "Re-index the corpus, then ask the known queries again."


def test_incidents_stand_as_they_did_at_the_end_of_the_week() -> None:
    part = section(weekly_review(inputs(WEEKS[11])), "incidents")
    # INC-0002 opened 17 Aug: acknowledge due 10:00, done 14:00; mitigate due +34 h, done +60 h; resolve due 21 Aug
    clocks = {row[1].split("(")[1][:-1]: row[3:6] for row in part.tables[0].rows}
    assert clocks["INC-0002"] == ("missed", "missed", "missed")
    assert clocks["INC-0003"] == ("running", "running", "running")  # opened at the very end of the week
    assert "INC-0001" not in clocks  # resolved on 6 August
    assert figure(part, "Open incidents") == 2


@pytest.mark.parametrize(
    ("due", "done", "expected"),
    [
        (-2, -3, "met"),
        (-2, -1, "missed"),
        (-2, None, "missed"),
        (2, None, "running"),
        (2, 1, "running"),
        (0, None, "missed"),
        (-2, -2, "met"),
    ],
)
def test_a_clock_is_judged_by_what_was_done_by_then(due: int, done: int | None, expected: str) -> None:
    finished = None if done is None else NOON + timedelta(hours=done)
    assert clock_result(NOON + timedelta(hours=due), finished, NOON) == expected


def test_a_clock_that_was_never_set_is_said_to_be_none() -> None:
    assert clock_result(None, NOON, NOON) == "no clock"


def test_spend_grows_by_causes_that_add_up() -> None:
    rows = [
        {
            "endpoint": "chat",
            "cause": "volume",
            "change_usd": 2.0,
            "spend_before_usd": 10.0,
            "spend_after_usd": 15.0,
        },
        {
            "endpoint": "chat",
            "cause": "tokens:context",
            "change_usd": 3.0,
            "spend_before_usd": 10.0,
            "spend_after_usd": 15.0,
        },
        {
            "endpoint": "sum",
            "cause": "volume",
            "change_usd": -1.0,
            "spend_before_usd": 4.0,
            "spend_after_usd": 2.5,
        },
    ]
    before, causes, after = growth(rows)
    assert (before, after) == (Decimal("14.0"), Decimal("17.5"))
    assert causes == {
        "tokens:context": Decimal("3.0"),
        "volume": Decimal("1.0"),
        "unexplained": Decimal("-0.5"),
    }


@pytest.mark.parametrize(
    ("cause", "remedy", "unproven"),
    [
        ("model_mix", "Route the calls", True),
        ("tokens:context", "Prune the retrieved context", True),
        ("tokens:tools", "Send only the tools", True),
        ("volume", "Look for calls that repeat", True),
        ("cache", "Put the constant part", False),
        ("price", "Compare the price book", False),
        ("tokens:user", "Look at the endpoint", False),
    ],
)
def test_a_remedy_says_that_what_it_does_to_answers_is_not_measured(cause, remedy, unproven):
    ends = {"spend_before_usd": 1.0, "spend_after_usd": 9.0, "change_usd": 8.0}
    row = {"system": SYSTEM.name, "week": WEEKS[11], "endpoint": "chat", "cause": cause, **ends}
    rows = weeks.table("costs.spend_growth_since_baseline", [row])
    (action,) = section(weekly_review(inputs(WEEKS[11], growth=rows)), "spend").actions
    assert action.what.startswith(remedy)
    assert ("is not measured" in action.why) == unproven


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.floats(-1e6, 1e6), st.floats(0, 1e6), st.floats(0, 1e6)),
        max_size=8,
    )
)
def test_growth_never_loses_money(cells: list[tuple[str, float, float, float]]) -> None:
    rows = [
        {"endpoint": e, "cause": f"tokens:{n}", "change_usd": c, "spend_before_usd": b, "spend_after_usd": a}
        for n, (e, c, b, a) in enumerate(cells)
    ]
    before, causes, after = growth(rows)
    assert abs(before + sum(causes.values()) - after) < Decimal("0.005")


@given(st.lists(st.sampled_from(["OK", "DEGRADED", "CANNOT TELL"]), min_size=1, max_size=4))
def test_only_a_week_of_ok_verdicts_is_good(given_verdicts: list[str]) -> None:
    row = weeks.verdicts().row(0, named=True)
    rows = [row | {"metric": f"metric_{n}", "verdict": verdict} for n, verdict in enumerate(given_verdicts)]
    part = section(
        weekly_review(inputs(WEEKS[4], verdicts=weeks.table("drift.drift_verdicts", rows))), "quality"
    )
    assert (part.tone == "good") == (set(given_verdicts) == {"OK"})


def test_the_month_and_unusual_days_stand_in_the_spend_section() -> None:
    week = WEEKS[11]
    row = {"system": SYSTEM.name, "month": week.replace(day=1), "through": week + timedelta(days=6)}
    ends = {
        "days_known": 23,
        "days_left": 8,
        "spent_usd": 3.1,
        "forecast_usd": 4.5,
        "low_usd": 4.0,
        "high_usd": 5.25,
    }
    unusual = {"system": SYSTEM.name, "day": week + timedelta(days=1), "unusual": 2, "cost_usd": 1.0}
    unusual |= {"expected_usd": 0.25, "endpoint": "chat", "cause": "volume"}
    slight = unusual | {"day": week + timedelta(days=2), "cost_usd": 0.3}
    frames = {"month": pl.DataFrame([row | ends]), "anomalies": pl.DataFrame([unusual, slight])}
    part = section(weekly_review(replace(inputs(week), **frames)), "spend")
    (forecast,) = [found for found in part.figures if found.label.startswith("Forecast of ")]
    assert forecast.value == Decimal("4.5")
    assert "$3.10 so far" in forecast.note and "$4.00 to $5.25, most likely $4.50 by its end" in forecast.note
    (table,) = [found for found in part.tables if found.source == "costs.spend_anomalies"]
    assert table.rows == ((week + timedelta(days=1), 2, 1.0, 0.25, "more or fewer calls at chat"),)
    earlier = section(weekly_review(replace(inputs(WEEKS[9]), **frames)), "spend")
    assert not [found for found in earlier.figures if found.label.startswith("Forecast of ")]
    assert len(earlier.tables) == 1


def test_too_few_days_are_no_forecast_of_zero() -> None:
    row = {
        "month": date(2026, 8, 1),
        "through": date(2026, 8, 10),
        "days_known": 8,
        "days_left": 21,
        "spent_usd": 3.1,
        "forecast_usd": None,
        "low_usd": None,
        "high_usd": None,
    }
    assert month_sentence(row) == (
        "$3.10 so far in August\u00a02026, 2 days of it without a known cost; too few days are known to say "
        "where the month will end."
    )
    over = {"through": date(2026, 8, 31), "days_known": 31, "days_left": 0}
    assert month_sentence(row | over | {"forecast_usd": 3.1}) == "August\u00a02026 is over: $3.10."


def test_unpriced_spend_is_unknown_and_not_zero() -> None:
    unpriced = weeks.spend().with_columns(cost_usd=pl.lit(None, pl.Decimal(38, 12)))
    part = section(weekly_review(inputs(WEEKS[11], spend=unpriced)), "spend")
    assert part.tone == "unknown"
    assert figure(part, "Spend of the week") is None


def test_a_week_of_embeddings_alone_has_its_spend() -> None:
    silent = next(week for week in WEEKS if not any(weeks.spend().filter(week=week)["tokens"]))
    embedded = weeks.spend().filter(week=WEEKS[11]).with_columns(week=pl.lit(silent))
    given = pl.concat([weeks.spend().filter(pl.col("week") != silent), embedded])
    part = section(weekly_review(inputs(silent, spend=given)), "spend")
    assert figure(part, "Spend of the week") == embedded["cost_usd"].sum()


def test_spend_says_which_calls_it_leaves_out() -> None:
    def note(*counts: tuple[str, int]) -> str:
        day = {"system": SYSTEM.name, "day": WEEKS[11] + timedelta(days=6)}
        rows = [day | {"price_status": status, "calls": calls} for status, calls in counts]
        rows.append(rows[0] | {"day": WEEKS[11] + timedelta(days=7), "price_status": "pending"})
        part = section(weekly_review(replace(inputs(WEEKS[11]), pricing=pl.DataFrame(rows))), "spend")
        return next(found.note for found in part.figures if found.label == "Spend of the week")

    assert note(("priced", 9)) == "every call has a price"
    assert note(("priced", 9), ("unknown", 1), ("unknown", 1), ("no_usage", 1)) == (
        "leaves out 2 calls without a known price and 1 call that logged no usage"
    )


def test_guardrail_bursts_are_seen() -> None:
    part = section(weekly_review(inputs(WEEKS[9])), "guardrails")
    # 31 + 4 blocks; the eight weeks with calls before had 0+1, 1+0, 2+1, 0+0, 1+1, 2+0, 1+0, 2+1 = 13 of them
    assert (figure(part, "Blocks"), figure(part, "Usual week"), part.tone) == (35, "1.6", "warn")


def test_a_guardrail_that_fell_speaks_before_the_blocks_and_asks_for_a_trial() -> None:
    part = section(weekly_review(inputs(WEEKS[12])), "guardrails")
    assert part.tone == "bad"
    assert part.meaning.startswith(
        "No longer acting as before: input (prompt injection), what it stops. Guardrails"
    )
    assert (figure(part, "Act as before"), figure(part, "Act less every week")) == (0, 1)
    assert part.actions[0].what == "Send the guardrails something they should stop."
    first, second = part.tables[0].rows
    assert first[2] == "fell" and "\u22127.0\u00a0% to \u22121.0\u00a0%" in first and "yes" in first
    assert second[2] == "cannot tell" and second[5:8] == (None, None, "cannot tell")


def test_guardrails_that_nobody_knows_long_enough_are_not_called_well() -> None:
    part = section(weekly_review(inputs(WEEKS[9], guarded=pl.DataFrame())), "guardrails")
    assert figure(part, "Act as before") is None and part.tables == ()


def test_attacks_on_purpose_are_said_by_what_they_gave_away_and_what_was_not_asked() -> None:
    gave, silent, held = (
        section(weekly_review(inputs(WEEKS[number])), "adversarial") for number in (12, 10, 9)
    )
    assert (gave.tone, silent.tone, held.tone) == ("bad", "unknown", "good")
    assert gave.meaning == ("1 of 3 attacks gave way, beyond the limit of LLM01:2025 prompt injection.")
    assert silent.meaning == "0 of 2 attacks gave way; 1 attack not asked."
    assert [action.what for action in silent.actions] == ["Have the application ask every attack each week."]
    assert gave.tables[0].rows[0] == (
        *("LLM01:2025 prompt injection", "LLM01", 1, 1, 0.5, "1.3\u00a0% to 98.7\u00a0%", 0, 0),
    )


def test_a_suite_that_is_not_there_is_no_news_and_one_that_went_missing_is_unknown() -> None:
    none = section(weekly_review(inputs(WEEKS[9], attacks=pl.DataFrame())), "adversarial")
    assert (none.tone, figure(none, "Gave way")) == ("plain", None)
    assert section(weekly_review(inputs(WEEKS[13])), "adversarial").tone == "unknown"


def test_no_guardrail_ever_logged_is_unknown() -> None:
    part = section(weekly_review(inputs(WEEKS[9], blocks=pl.DataFrame())), "guardrails")
    assert (part.tone, part.charts) == ("unknown", ())


def test_few_blocks_of_guardrails_that_nobody_can_judge_are_not_green() -> None:
    held = weeks.guarded().with_columns(verdict=pl.lit("held"), eroding=pl.lit(None, pl.Boolean))
    told = section(weekly_review(inputs(WEEKS[11], guarded=held)), "guardrails")
    unknown = held.with_columns(verdict=pl.lit("cannot tell"), eroding=pl.lit(None, pl.Boolean))
    silent = section(weekly_review(inputs(WEEKS[11], guarded=unknown)), "guardrails")
    assert (told.tone, told.figures[0].label) == ("good", "Act as before")
    assert (silent.tone, silent.figures[0].label) == ("unknown", "Blocks")
    assert silent.meaning.endswith("They act too seldom to tell whether they still would.")


def test_embeddings_that_lose_are_told_so_with_what_to_rank_with_instead() -> None:
    def retrieval(*verdicts: tuple[str, str, str]) -> Section:
        rows = [
            {"system": SYSTEM.name, "index_version": version, "ranker": ranker, "against": against}
            | {"verdict": verdict, "reason": f"{ranker} is {verdict} than {against}."}
            for version in (weeks.INDEXES[0][0], weeks.INDEXES[-1][0])
            for ranker, against, verdict in verdicts
            if version == weeks.INDEXES[-1][0] or verdict == "worse"
        ]
        given = weeks.table("rag.retrieval_comparisons", rows)
        return section(weekly_review(inputs(WEEKS[-1], rankers=given)), "retrieval")

    plain = section(weekly_review(inputs(WEEKS[-1])), "retrieval")
    assert plain.tone == "good" and plain.actions == ()
    quiet = retrieval(("dense", "bm25", "better"), ("fusion", "dense", "undecided"))
    assert (quiet.meaning, quiet.tone, quiet.actions) == (plain.meaning, plain.tone, ())
    lost = retrieval(("dense", "bm25", "worse"), ("fusion", "dense", "undecided"))
    assert lost.meaning == f"{plain.meaning} dense is worse than bm25."
    assert (lost.tone, lost.actions[0].what[:25]) == ("warn", "Rank with keywords (BM25)")
    both = retrieval(("fusion", "bm25", "better"), ("fusion", "dense", "better"))
    assert both.meaning.endswith("fusion is better than dense.")
    assert both.actions[0].what.startswith("Rank with the embeddings and keywords together")


def test_an_index_that_finds_less_than_the_one_before_is_told_with_what_to_do() -> None:
    def retrieval(verdict: str, ranker: str = "dense", index: int = -1) -> Section:
        row = {"system": SYSTEM.name, "index_version": weeks.INDEXES[index][0], "ranker": ranker}
        row |= {"valid_from": weeks.at(WEEKS[0]), "verdict": verdict, "reason": "It finds less."}
        given = weeks.table("rag.retrieval_changes", [row])
        return section(weekly_review(inputs(WEEKS[-1], changes=given)), "retrieval")

    plain = section(weekly_review(inputs(WEEKS[-1])), "retrieval")
    worse = retrieval("worse")
    assert (worse.tone, worse.actions[0].what) == ("bad", "Roll back to the index version before.")
    assert worse.meaning.endswith("It finds less.")
    for other in (retrieval("undecided"), retrieval("worse", "bm25"), retrieval("worse", index=0)):
        assert (other.tone, other.actions) == (plain.tone, plain.actions)


def worse_tag(version: str, verdict: str = "worse", ranker: str = "dense") -> dict[str, object]:
    found = {"mean": 0.5, "low": 0.41, "high": 0.59, "queries": 20, "rest": 0.85, "verdict": verdict}
    key = {"system": SYSTEM.name, "index_version": version, "valid_from": weeks.at(WEEKS[-1])}
    return key | {"ranker": ranker, "kind": "tag", "slice": "billing", "metric": "ndcg_at_10"} | found


def test_a_tag_that_is_found_worse_is_told_with_what_to_do() -> None:
    last, first = weeks.INDEXES[-1][0], weeks.INDEXES[0][0]
    quiet = [worse_tag(last, "as the rest"), worse_tag(last, ranker="bm25"), worse_tag(first)]
    plain = section(weekly_review(inputs(WEEKS[-1])), "retrieval")
    given = weeks.table("rag.retrieval_slices", quiet)
    assert section(weekly_review(inputs(WEEKS[-1], slices=given)), "retrieval") == plain
    given = weeks.table("rag.retrieval_slices", [worse_tag(last)])
    told = section(weekly_review(inputs(WEEKS[-1], slices=given)), "retrieval")
    said = (
        "Known queries on billing are found worse than the rest: nDCG@10 0.500 (95 % interval 0.410 to 0.590)"
    )
    assert said in told.meaning and told.meaning.endswith("on 20 queries, 0.850 on the others.")
    assert (told.tone, told.actions[0].what) == ("warn", "Read what is found for billing.")


def test_later_weeks_do_not_change_a_review() -> None:
    full = inputs(WEEKS[10])
    cut = {
        name: getattr(full, name).filter(pl.col("week") <= WEEKS[10])
        for name in (
            "verdicts",
            "causes",
            "spend",
            "growth",
            "freshness",
            "blocks",
            "traffic",
            "masked",
            "verifications",
        )
    }
    assert weekly_review(full) == weekly_review(replace(full, **cut))


def test_rows_of_another_system_are_refused() -> None:
    other = weeks.traffic().with_columns(system=pl.lit("handbook"))
    with pytest.raises(ValueError, match=r"'traffic' holds rows of .'handbook'."):
        weekly_review(inputs(WEEKS[5], traffic=other))


def test_weeks_have_no_gaps() -> None:
    assert inputs(WEEKS[13]).weeks() == WEEKS
    assert ReviewInputs(SYSTEM, date(2026, 6, 8), NOW).weeks() == [date(2026, 6, 8)]
