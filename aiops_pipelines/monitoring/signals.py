"""What users tell without being asked: rephrased questions, calls for a human, giving up, and ratings.

Signals are found with rules, not with a model. They rank what to read; verdicts do not rest on them.
"""

from datetime import datetime, timedelta

import polars as pl

from aiops_pipelines.inference_log.record import IS_CHAT

USER_SIGNALS = pl.Schema(
    {"system": pl.String(), "event_id": pl.String(), "signal": pl.String(), "evidence": pl.String()}
)

NEEDED = (
    *("system", "event_id", "trace_id", "session_id", "user_id", "endpoint", "occurred_at", "operation"),
    *("known_query_id", "status", "rating", "query", "texts_deleted_at"),
)
"""Columns that signals, and late facts before them, are found by; answers and chunks are most of a call."""
CALLS_AT_ONCE = 200_000
"""Words of so many questions are held at a time, some 1 kB each."""
REPHRASED_WITHIN = timedelta(minutes=5)
"""Long enough to read an answer and type again, short enough not to meet tomorrow's related question."""
REPHRASED_OVERLAP = 0.5
"""Shared words over all words of both questions (Jaccard 1901): half is the same question asked differently.
Equal word for word is 1 and counts as a retry, not as a rephrasing."""
SESSION_OVER_AFTER = timedelta(minutes=30)
"""Without a further call for this long a session has ended, the usual rule of web analytics."""

HAND_OFF_PHRASES = (
    r"(?:talk|speak|chat) (?:to|with) (?:a |an |some )?(?:real |live |actual )?"
    r"(?:human|person|someone|somebody|agent|representative|operator|advisor|manager)",
    r"(?:human|live|real|customer service|support) (?:agent|representative|person)",
    r"(?:connect|transfer|put) me (?:to|through|with)",
    r"(?:call|phone|ring) me(?: back)?",
    r"not (?:a |talking to a )?(?:bot|robot|machine)",
)
HAND_OFF_WORDS = ("agent", "human", "operator", "representative", "person", "escalate")
"""Often the topic of a question ("which user agent?"), so they count in messages of at most four words."""
HAND_OFF_WORDS_AT_MOST = 4

CONTRADICTIONS = (
    r"i (?:already |just )?(?:said|told you|asked|meant|mentioned|specified)",
    r"as i said",
    r"(?:not|isn t|wasn t) what i",
    r"are you (?:\w+ )?(?:sure|certain|positive)",
    r"(?:check|try|look|search) (?:it |that |them )?(?:again|once more|one more time)",
    r"start (?:over|again)",
    r"wrong|incorrect|mistaken|not (?:right|correct)|confus\w+|misunder\w+",
    r"disappoint\w+|frustrat\w+|ridiculous|useless|unhelpful|not helpful",
    r"you (?:gave|didn t|did not|never|forgot|haven t|have not|still haven t)",
)
"""What English speakers say to an answer that missed the point."""
REFUSALS = r"^(?:no|nope) i (?:\w+ )?(?:need|needed|want|wanted|meant|asked|said)\b"
"""At the start of a message: "no, I need". A "no" alone answers a question as often as it rejects one."""


def user_signals(inferences: pl.DataFrame, now: datetime) -> pl.DataFrame:
    """Return monitoring.user_signals of the production calls: one row per call and signal, ordered by call.

    - rephrased: the next question of the session came within `REPHRASED_WITHIN` and shares at least
      `REPHRASED_OVERLAP` of the words without being the same; the row is about the earlier call, which failed
      to help.
    - contradicted: the next message of the session, within `SESSION_OVER_AFTER`, says in English that the
      answer was wrong or not what was asked; the row is about the earlier call.
    - handed_off: the message of this call asks, in English, for a human.
    - abandoned: the session ended (`SESSION_OVER_AFTER` before `now`, or before its next call) on a refusal
      or an error.
    - rated_up, rated_down: explicit feedback.

    Give whole sessions: a session cut at midnight looks abandoned. Calls without a session have no next
    question, and what another user asks in a session of that name is none.

    Args:
        inferences: the columns NEEDED of inference_log.inferences.
        now: the system's present, UTC.
    """
    production = inferences.filter(IS_CHAT, pl.col("known_query_id").is_null())
    found = [
        each for calls in _whole_sessions(production) for each in _found(_with_next_question(calls), now)
    ]
    return pl.concat(found).cast(USER_SIGNALS).sort("system", "event_id", "signal")


def _whole_sessions(calls: pl.DataFrame) -> list[pl.DataFrame]:
    parts = 1 + calls.height // CALLS_AT_ONCE
    if parts == 1:
        return [calls]
    place = pl.coalesce("session_id", "event_id").hash() % parts
    return calls.with_columns(place=place).partition_by("place", include_key=False)


def _found(calls: pl.DataFrame, now: datetime) -> list[pl.DataFrame]:
    return [
        _rephrased(calls),
        _contradicted(calls),
        _handed_off(calls),
        _abandoned(calls, now),
        *_rated(calls),
    ]


def kept_signals(found: pl.DataFrame, stored: pl.DataFrame, inferences: pl.DataFrame) -> pl.DataFrame:
    """Return the signals that were found, and those stored before of calls whose texts were deleted since."""
    deleted = inferences.filter(pl.col("texts_deleted_at").is_not_null())
    of_texts = stored.filter(~pl.col("signal").is_in(("rated_up", "rated_down")))
    kept = of_texts.join(deleted, on=["system", "event_id"], how="semi")
    new = kept.join(found, on=["system", "event_id", "signal"], how="anti")
    return pl.concat([found, new]).sort("system", "event_id", "signal")


def _with_next_question(calls: pl.DataFrame) -> pl.DataFrame:
    words = pl.col("query").fill_null("").str.to_lowercase().str.extract_all(r"\w+")
    first_user = pl.col("user_id").drop_nulls().first().over("system", "session_id")
    own = ["system", "session_id", "asker"]
    same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(name).shift(-1)) for name in own)
    return (
        calls.with_columns(words=words, asker=pl.coalesce("user_id", first_user))
        .sort(*own, "occurred_at", "event_id")
        .with_columns(
            next_words=pl.when(same).then(pl.col("words").shift(-1)),
            gap=pl.when(same).then(pl.col("occurred_at").shift(-1) - pl.col("occurred_at")),
            same_trace=pl.col("trace_id") == pl.col("trace_id").shift(-1),
        )
    )


def _signal(calls: pl.DataFrame, signal: str, evidence: pl.Expr) -> pl.DataFrame:
    return calls.select("system", "event_id", pl.lit(signal).alias("signal"), evidence.alias("evidence"))


def _rephrased(calls: pl.DataFrame) -> pl.DataFrame:
    one, two = pl.col("words"), pl.col("next_words")
    shared = one.list.set_intersection(two).list.len()
    either = one.list.n_unique() + two.list.n_unique() - shared
    again = calls.filter(
        pl.col("session_id").is_not_null(),
        pl.col("gap") <= REPHRASED_WITHIN,
        pl.col("words").list.join(" ") != pl.col("next_words").list.join(" "),
        shared >= REPHRASED_OVERLAP * either,
    )
    seconds, percent = pl.col("gap").dt.total_seconds(), (100 * shared / either).round(0).cast(pl.Int64)
    return _signal(
        again,
        "rephrased",
        pl.format(
            "the next question of the session came {} s later and shares {} % of the words", seconds, percent
        ),
    )


def _contradicted(calls: pl.DataFrame) -> pl.DataFrame:
    reply = pl.col("next_words").list.join(" ")
    said = reply.str.contains(r"\b(?:" + "|".join(CONTRADICTIONS) + r")\b") | reply.str.contains(REFUSALS)
    step = pl.col("same_trace").fill_null(False) & (pl.col("words") == pl.col("next_words"))
    again = calls.filter(pl.col("session_id").is_not_null(), pl.col("gap") <= SESSION_OVER_AFTER, said, ~step)
    return _signal(again, "contradicted", pl.lit("the next message of the session rejects the answer"))


def _handed_off(calls: pl.DataFrame) -> pl.DataFrame:
    message = pl.col("words").list.join(" ")
    phrase = message.str.contains(r"\b(?:" + "|".join(HAND_OFF_PHRASES) + r")\b")
    word = pl.col("words").list.set_intersection(list(HAND_OFF_WORDS)).list.len() > 0
    short = pl.col("words").list.len() <= HAND_OFF_WORDS_AT_MOST
    asked = calls.filter(phrase | (word & short))
    return _signal(asked, "handed_off", pl.lit("the message asks for a human"))


def _abandoned(calls: pl.DataFrame, now: datetime) -> pl.DataFrame:
    left = calls.filter(
        pl.col("session_id").is_not_null(),
        pl.col("gap").is_null() | (pl.col("gap") > SESSION_OVER_AFTER),
        pl.col("status").is_in(["refused", "error"]),
        pl.col("occurred_at") <= now - SESSION_OVER_AFTER,
    )
    return _signal(left, "abandoned", pl.format("the session ended on a call with status {}", "status"))


def _rated(calls: pl.DataFrame) -> list[pl.DataFrame]:
    evidence = pl.format("explicit feedback of {}", "rating")
    return [
        _signal(calls.filter(pl.col("rating") > 0), "rated_up", evidence),
        _signal(calls.filter(pl.col("rating") < 0), "rated_down", evidence),
    ]
