from datetime import UTC, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.monitoring import signals as monitoring_signals
from aiops_pipelines.monitoring.signals import USER_SIGNALS, kept_signals, user_signals

START = datetime(2026, 6, 1, 12, tzinfo=UTC)
NOW = START + timedelta(days=1)
SCHEMA = pl.Schema(
    {
        "system": pl.String(),
        "event_id": pl.String(),
        "operation": pl.String(),
        "session_id": pl.String(),
        "occurred_at": pl.Datetime("us", "UTC"),
        "query": pl.String(),
        "status": pl.String(),
        "rating": pl.Int8(),
        "known_query_id": pl.String(),
    }
)
NAMED = ("user_id", "trace_id")


def made(rows: list[tuple], **more: list[str | None]) -> pl.DataFrame:
    """Return calls; `more` has the user_id or trace_id of each, which nobody logged otherwise."""
    named = {name: pl.Series(more.get(name, [None] * len(rows)), dtype=pl.String) for name in NAMED}
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").with_columns(**named)


def signals(
    *turns: tuple[int, str | None],
    session: str | None = "s",
    status: str = "ok",
    rating: int | None = None,
    known: str | None = None,
    now: datetime = NOW,
) -> list[tuple[str, str]]:
    """Return (event, signal) of one session; a turn is (seconds after the start, question)."""
    rows = [
        ("support", f"e{i}", "chat", session, START + timedelta(seconds=s), text, status, rating, known)
        for i, (s, text) in enumerate(turns)
    ]
    found = user_signals(made(rows), now)
    assert found.schema == USER_SIGNALS
    return list(found.select("event_id", "signal").iter_rows())


def test_same_question_in_other_words_is_about_the_first_answer() -> None:
    # 3 shared words (return, a, parcel) of 6 in all
    assert signals((0, "How return a parcel?"), (60, "return a damaged parcel please")) == [
        ("e0", "rephrased")
    ]


@pytest.mark.parametrize(
    ("seconds", "question"),
    [(60, "Where is my invoice?"), (301, "return a damaged parcel please"), (60, "how RETURN a parcel")],
)
def test_other_later_or_identical_questions_are_not_rephrased(seconds: int, question: str) -> None:
    assert signals((0, "How return a parcel?"), (seconds, question)) == []


def test_an_embedding_between_two_questions_is_no_question() -> None:
    texts = [
        ("chat", "How return a parcel?"),
        ("embeddings", None),
        ("chat", "return a damaged parcel please"),
    ]
    rows = [
        ("support", f"e{i}", operation, "s", START + timedelta(seconds=30 * i), text, "ok", None, None)
        for i, (operation, text) in enumerate(texts)
    ]
    found = user_signals(made(rows), NOW)
    assert found.select("event_id", "signal").rows() == [("e0", "rephrased")]


def test_calls_without_a_session_have_no_next_question() -> None:
    assert signals((0, "How return a parcel?"), (60, "return a damaged parcel please"), session=None) == []


@pytest.mark.parametrize(
    "message",
    [
        "I want to talk to a human",
        "Can I speak with a real person about this bill?",
        "agent",
        "Human please!",
        "transfer me to somebody who knows",
        "please call me back",
    ],
)
def test_messages_that_ask_for_a_human(message: str) -> None:
    assert signals((0, message)) == [("e0", "handed_off")]


@pytest.mark.parametrize(
    "message",
    [
        "How do I set the user agent of the crawler?",
        "Which human rights are covered by the policy?",
        "How do I call mental health support?",
        None,
    ],
)
def test_topics_that_only_contain_the_word(message: str | None) -> None:
    assert signals((0, message)) == []


def test_session_that_ends_on_a_refusal_is_abandoned_once_it_is_over() -> None:
    turns = ((0, "Where is my invoice?"), (60, "How do I delete my account?"))
    assert signals(*turns, status="refused") == [("e1", "abandoned")]
    assert signals(*turns, status="refused", now=START + timedelta(minutes=30)) == []
    assert signals(*turns) == []


def test_who_comes_back_to_a_session_after_days_had_abandoned_it() -> None:
    turns = ((0, "Where is my invoice?"), (1_800, "Hello?"), (200_000, "And my parcel?"))
    said = [("e1", "abandoned"), ("e2", "abandoned")]
    assert signals(*turns, status="error", now=START + timedelta(days=9)) == said


def of_users(
    *turns: tuple[str | None, int, str], trace: tuple[str | None, ...] = ()
) -> list[tuple[str, str]]:
    rows = [
        ("support", f"e{i}", "chat", "1", START + timedelta(seconds=s), text, "ok", None, None)
        for i, (_, s, text) in enumerate(turns)
    ]
    more = {"user_id": [user for user, _, _ in turns]} | ({"trace_id": list(trace)} if trace else {})
    return list(user_signals(made(rows, **more), NOW).select("event_id", "signal").iter_rows())


def test_what_another_user_asks_in_a_session_of_that_name_is_no_next_question() -> None:
    asked = ("Ann", 0, "How return a parcel?"), ("Bob", 20, "return a damaged parcel please")
    assert of_users(*asked) == []
    assert of_users(*asked, ("Ann", 60, "return a parcel, how")) == [("e0", "rephrased")]
    assert of_users(asked[0], (None, 20, asked[1][2])) == [
        ("e0", "rephrased")
    ]  # one call did not say who asked


def test_steps_that_answer_one_message_are_no_messages() -> None:
    turns = [(None, s, "That is wrong.") for s in (60, 61, 62)]
    found = of_users((None, 0, "Is there a hotel?"), *turns, trace=("a", "b", "b", "b"))
    assert found == [("e0", "contradicted")]
    found = of_users((None, 0, "Is there a hotel?"), *turns, trace=("a", "b", "c", "d"))
    assert found == [(f"e{n}", "contradicted") for n in range(3)]


def test_ratings_and_probes() -> None:
    assert signals((0, "Fee?"), rating=1) == [("e0", "rated_up")]
    assert signals((0, "Fee?"), rating=-1) == [("e0", "rated_down")]
    assert signals((0, "talk to a human"), rating=-1, known="q1") == []


def test_evidence_does_not_quote_the_user() -> None:
    rows = [
        ("support", f"e{i}", "chat", "s", START + timedelta(seconds=42 * i), text, "ok", -1, None)
        for i, text in enumerate(["secretword return parcel", "return parcel talk to a human"])
    ]
    evidence = " ".join(user_signals(made(rows), NOW)["evidence"])
    assert "secretword" not in evidence and "parcel" not in evidence


@given(st.lists(st.tuples(st.integers(0, 1000), st.text(max_size=30)), max_size=8))
def test_any_text_is_survived_and_a_signal_is_given_once_per_call(turns: list[tuple[int, str]]) -> None:
    found = signals(*turns)
    assert len(found) == len(set(found))


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b", "c", "d", None]), st.integers(0, 3000)), min_size=12, max_size=24
    )
)
def test_sessions_that_are_looked_at_apart_have_the_same_signals(calls: list[tuple[str | None, int]]) -> None:
    said = ["where is my parcel", "my parcel, where is it?", "that is wrong", "a human please"]
    rows = [
        ("support", f"e{i}", "chat", session, START + timedelta(seconds=s), said[i % 4], "error", i % 2, None)
        for i, (session, s) in enumerate(calls)
    ]
    frame = made(rows)
    whole = user_signals(frame, NOW)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(monitoring_signals, "CALLS_AT_ONCE", 3)
        assert user_signals(frame, NOW).equals(whole) and whole.height


@pytest.mark.parametrize(
    "reply",
    [
        "No, I need the north.",
        "That's not what I asked",
        "Are you quite sure?",
        "I already told you: 16:45!",
        "try again",
    ],
)
def test_a_reply_that_rejects_the_answer_is_about_the_call_before(reply: str) -> None:
    assert signals((0, "Is there a hotel?"), (60, reply)) == [("e0", "contradicted")]


@pytest.mark.parametrize(
    "reply", ["No, thank you.", "No, but what is the postcode?", "Sure, I need a taxi too."]
)
def test_a_no_that_answers_a_question_rejects_nothing(reply: str) -> None:
    assert signals((0, "Is there a hotel?"), (60, reply)) == []


def test_a_rejection_in_another_sitting_or_without_a_session_is_not_counted() -> None:
    turns = (0, "Is there a hotel?"), (1_801, "You never answered.")
    assert signals(*turns) == signals(turns[0], (60, "You never answered."), session=None) == []


def test_signals_of_texts_that_were_deleted_since_are_kept_and_ratings_are_not_twice() -> None:
    said = [("e0", "rephrased"), ("e1", "rephrased"), ("e2", "rated_up"), ("e3", "rated_up")]
    stored = pl.DataFrame([("s", *one, "So.") for one in said], schema=USER_SIGNALS, orient="row")
    found = stored.filter(pl.col("event_id") == "e3")
    calls = pl.DataFrame(
        [("s", "e0", NOW), ("s", "e1", None), ("s", "e2", NOW), ("s", "e3", NOW)],
        schema={"system": pl.String, "event_id": pl.String, "texts_deleted_at": pl.Datetime("us", "UTC")},
        orient="row",
    )
    kept = kept_signals(found, stored, calls).select("event_id", "signal").rows()
    assert kept == [("e0", "rephrased"), ("e3", "rated_up")]
