"""History truncation: early turns of long conversations that are sent again with every question."""

import polars as pl

from aiops_pipelines.costs.counterfactual import uncached_behind, without
from aiops_pipelines.costs.lever import NONE, Bound, Found, Group, Opportunity, Unjudged, loss_bound
from aiops_pipelines.monitoring.quality import answer_bigram_support
from aiops_pipelines.wording import count, percent, some

LEVER = "history truncation"
KEPT = (10, 6, 4, 2)
"""Numbers of turns that are tried, from the most down."""
JUDGED_AT_MOST = 400
SAMPLE = "histories"
MEASURE = "of what answers share with all they were given"
SHOWN = 3


def history_truncation(group: Group) -> Found:
    """Send the last turns alone, fewer at a time, as long as answers keep what they share with the others.

    As in `context_pruning` the first number that may cost too much ends it. A cache holds beginnings: where
    early turns are cut, what a cache served of the later ones is paid in full.
    """
    calls = group.calls
    if calls["history_tokens"].null_count() == calls.height:
        return Unjudged(LEVER, "the log does not say how long histories are")
    if calls["session_id"].null_count() == calls.height:
        return Unjudged(LEVER, "the log names no sessions, so turns cannot be told apart")
    possible = [kept for kept in KEPT if calls.select((cut_tokens(kept) > 0).any()).item()]
    if not possible:
        return Unjudged(LEVER, f"no history is longer than {some(KEPT[-1], 'turn')}", NONE)
    judged = group.samples.get(SAMPLE, pl.DataFrame())
    kept, bound = possible[0], lost(judged, possible[0])
    for fewer in possible[1:]:
        if bound.loss is None or bound.loss > group.limits.margin:
            break
        if (next_bound := lost(judged, fewer)).loss is None or next_bound.loss > group.limits.margin:
            break
        kept, bound = fewer, next_bound
    longer = calls.filter(cut_tokens(kept) > 0)
    tokens = float(calls["history_tokens"].sum())
    share = float(longer.select(cut_tokens(kept).sum()).item()) / tokens if tokens else 0.0
    evidence = (
        f"{count(longer.height)} of {some(calls.height, 'call')} sent more than the last "
        f"{some(kept, 'turn')}; what came before holds {percent(share)} of the history's tokens. Shared "
        "words are no meaning: try it on recorded conversations first."
    )
    return Opportunity(
        LEVER,
        f"Send the last {some(kept, 'turn')} of a conversation, without those before.",
        lambda state: truncated(state, kept),
        bound,
        evidence,
        longer.sort("draw")["event_id"].head(SHOWN).to_list(),
    )


def cut_tokens(kept: int) -> pl.Expr:
    """Tokens of a call's history before its last turns.

    What the history of the conversation's first call holds are examples, not turns, and stays.
    """
    whole = pl.col("history_tokens") - pl.col("history_first").fill_null(0)
    return (whole - pl.col(f"last_{kept}").fill_null(0)).clip(lower_bound=0).fill_null(0)


def truncated(calls: pl.DataFrame, kept: int) -> pl.DataFrame:
    """Return the calls with the last turns of their history alone, none of it cached where turns are gone."""
    cut = cut_tokens(kept)
    return without(uncached_behind(calls, cut > 0), "history", cut)


def lost(judged: pl.DataFrame, kept: int) -> Bound:
    """Bound the share of bigrams that answers share with early turns alone, where there are such turns."""
    rows = []
    wanted = ("user", "answer", "own", "earlier")
    for user, answer, own, earlier in judged.select(wanted).iter_rows() if judged.height else ():
        before, _ = answer_bigram_support(answer, [*own, *earlier], "ok")
        if len(earlier) > kept and before is not None:
            after, _ = answer_bigram_support(answer, [*own, *earlier[-kept:]], "ok")
            rows.append((user, before, after or 0.0))
    return loss_bound(pl.DataFrame(rows, schema=["user", "before", "after"], orient="row"), MEASURE)
