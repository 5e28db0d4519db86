"""Quality scores that need no model, the fingerprint every score carries, and the rows they are kept in.

Metrics that need a library live behind the judge resource. A score that cannot be measured is null with a
reason.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import date
from itertools import pairwise

import polars as pl

JUDGED = pl.Schema(
    {
        "event_id": pl.String(),
        "metric": pl.String(),
        "value": pl.Float64(),
        "reason": pl.String(),
        "judge": pl.String(),
    }
)
"""What a judge returns, one row per call and metric."""

QUALITY_SCORES = pl.Schema(
    {
        "system": pl.String(),
        "week": pl.Date(),
        "event_id": pl.String(),
        "sample": pl.String(),
        "metric": pl.String(),
        "value": pl.Float64(),
        "reason": pl.String(),
        "judge": pl.String(),
        "query_id": pl.String(),
        "cluster": pl.String(),
    }
)

JUDGE_CHANGED = "The judge changed"
"""How the reason of a verdict begins that is left open because the baseline has another judge."""

JUDGE_DRIFTED = "The judge drifted"
"""How it begins where the judge goes by the same name and no longer judges frozen answers as it did."""

ANOTHER_JUDGE = (JUDGE_CHANGED, JUDGE_DRIFTED)

FAITHFULNESS, CORRECTNESS = MODEL_METRICS = ("faithfulness", "answer_correctness")
"""What a judge with a model behind it scores, of every answer with its context and of known queries."""

RETIRED = "Every known query of the baseline was retired"
"""How the reason of a verdict begins that is left open because nothing of the baseline is asked any more."""

UNSEEN = "and a drop may be among them."
"""How the reason of a verdict ends that is left open because more scores are missing than in the baseline."""

Score = tuple[float | None, str | None]
"""A value and no reason, or no value and the reason."""

_WORD = re.compile(r"\w+")


def judge_fingerprint(metric: str, version: str, settings: Mapping[str, str], library: str) -> str:
    """Return `<metric>/<version>/<8 hex>`, which changes with the settings or the version of the library.

    Scores of different fingerprints are never compared.
    """
    content = json.dumps({"settings": dict(settings), "library": library}, sort_keys=True)
    return f"{metric}/{version}/{hashlib.sha256(content.encode()).hexdigest()[:8]}"


BIGRAM_SUPPORT_JUDGE = judge_fingerprint(
    "answer_bigram_support", "1", {"words": _WORD.pattern, "case": "folded", "n": "2"}, "none"
)


def answer_bigram_support(answer: str | None, contexts: Sequence[str] | None, status: str) -> Score:
    """Return the share of the answer's word bigrams that occur in the retrieved context, from 0 to 1.

    This is ROUGE-2 precision of the answer against the context (Lin 2004), a proxy for faithfulness: it sees
    copied words, not truth. A faithful answer in other words scores low, and where the threshold lies differs
    from one application to the next, so the score is compared with its own baseline only.

    Worked example: "the fee is ten euros" has the bigrams the-fee, fee-is, is-ten, ten-euros; the context
    "The fee is twenty euros." holds the first two: 0.5.
    """
    if status != "ok":
        return None, f"the call ended as {status}: there is no answer to support"
    if not (answer or "").strip():
        return None, "no answer was logged"
    words = _words(answer or "")
    if len(words) < 2:
        return None, "the answer has fewer than two words"
    if not contexts or not any(text.strip() for text in contexts):
        return None, "no retrieved context was logged"
    known = {pair for text in contexts for pair in _bigrams(_words(text))}
    asked = _bigrams(words)
    return sum(pair in known for pair in asked) / len(asked), None


def _words(text: str) -> list[str]:
    return _WORD.findall(text.casefold())


def _bigrams(words: list[str]) -> list[tuple[str, str]]:
    return list(pairwise(words))


def quality_scores(judged: pl.DataFrame, calls: pl.DataFrame, week: date) -> pl.DataFrame:
    """Return monitoring.quality_scores: what the judge found, with the call's place in the comparison.

    Probes with a known query are compared query by query, so the query is their cluster. Production calls of
    one user are not independent: their cluster is the user, else the session, else the call itself.

    Args:
        judged: the judge's rows (`JUDGED`).
        calls: the scored calls, with system, event_id, known_query_id, user_id and session_id.
        week: Monday of the week.

    Raises:
        ValueError: a score is not a number from 0 to 1, or belongs to no call.
    """
    bad = judged.filter(pl.col("value").is_nan() | ~pl.col("value").is_between(0, 1))
    if bad.height:
        raise ValueError(f"{bad.height} scores are no number from 0 to 1, the first of {bad['metric'][0]}.")
    strangers = judged.join(calls, on="event_id", how="anti")
    if strangers.height:
        raise ValueError(f"{strangers.height} scores belong to no call, first {strangers['event_id'][0]}.")
    probe = pl.col("known_query_id")
    return (
        judged.join(calls.unique("event_id"), on="event_id", maintain_order="left")
        .with_columns(
            pl.lit(week).alias("week"),
            pl.when(probe.is_null()).then(pl.lit("production")).otherwise(pl.lit("known")).alias("sample"),
            probe.alias("query_id"),
            pl.coalesce(probe, "user_id", "session_id", "event_id").alias("cluster"),
        )
        .select(pl.col(name).cast(dtype) for name, dtype in QUALITY_SCORES.items())
    )
