"""Context pruning: retrieved chunks of low rank that answers hardly take a word from."""

import polars as pl

from aiops_pipelines.costs.counterfactual import without
from aiops_pipelines.costs.lever import NONE, Bound, Found, Group, Opportunity, Unjudged, loss_bound
from aiops_pipelines.monitoring.quality import answer_bigram_support
from aiops_pipelines.wording import count, percent, some

LEVER = "context pruning"
JUDGED_AT_MOST = 400
SAMPLE = "contexts"
MEASURE = "of the answers' bigram support"
SHOWN = 3


def context_pruning(group: Group) -> Found:
    """Cut the lowest ranks off, one more at a time, for as long as answers keep their support.

    Numbers of chunks are tried from the most down, and the first that may cost too much ends it, so that the
    bound of the last one that held needs no correction for those before it.
    """
    calls = group.calls
    if calls["chunk_chars"].null_count() == calls.height:
        return Unjudged(LEVER, "no retrieved chunks with known texts are logged")
    if calls["context_tokens"].null_count() == calls.height:
        return Unjudged(LEVER, "the log does not say how long the context is")
    most = int(calls["chunk_chars"].list.len().max() or 0)  # type: ignore[arg-type]
    if most < 2:
        return Unjudged(LEVER, "no call was given more than one chunk", NONE)
    judged = group.samples.get(SAMPLE, pl.DataFrame())
    kept, bound = most - 1, support_lost(judged, most - 1)
    for fewer in range(most - 2, 0, -1):
        if bound.loss is None or bound.loss > group.limits.margin:
            break
        if (next_bound := support_lost(judged, fewer)).loss is None or next_bound.loss > group.limits.margin:
            break
        kept, bound = fewer, next_bound
    longer = calls.filter(pl.col("chunk_chars").list.len() > kept)
    cut = float(longer.select((pl.col("context_tokens") * _beyond(kept)).sum()).item())
    whole = float(calls["context_tokens"].sum())
    evidence = (
        f"{count(longer.height)} of {some(calls.height, 'call')} were given more than {some(kept, 'chunk')}; "
        f"the others hold {percent(cut / whole if whole else 0.0)} of the context's tokens. Bigram support "
        "sees copied words, not truth: try it on the known queries first."
    )
    return Opportunity(
        LEVER,
        f"Give the model the first {some(kept, 'chunk')} of up to {most}.",
        lambda state: pruned(state, kept),
        bound,
        evidence,
        longer.sort("draw")["event_id"].head(SHOWN).to_list(),
    )


def pruned(calls: pl.DataFrame, kept: int) -> pl.DataFrame:
    """Return the calls without the share of their context that stands beyond the first `kept` chunks."""
    return without(calls, "context", pl.col("context_tokens") * _beyond(kept))


def _beyond(kept: int) -> pl.Expr:
    chars = pl.col("chunk_chars")
    whole = chars.list.sum()
    return pl.when(whole > 0).then(1 - chars.list.head(kept).list.sum() / whole).otherwise(0.0).fill_null(0.0)


def support_lost(judged: pl.DataFrame, kept: int) -> Bound:
    """Bound the share of bigram support that answers lose, over those given more than `kept` chunks."""
    rows = []
    for user, answer, texts in judged.select("user", "answer", "texts").iter_rows() if judged.height else ():
        before, _ = answer_bigram_support(answer, texts, "ok")
        if len(texts) > kept and before is not None:
            rows.append((user, before, answer_bigram_support(answer, texts[:kept], "ok")[0] or 0.0))
    return loss_bound(pl.DataFrame(rows, schema=["user", "before", "after"], orient="row"), MEASURE)
