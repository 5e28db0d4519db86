"""A month's chats by endpoint and model, as levers look for savings in them, with samples of their texts.

What is looked for is `costs.opportunities`'. Everything that is read of all calls is numbers and hashes;
texts are read of a bounded sample, drawn by a hash of the call's id.
"""

from collections.abc import Iterator
from datetime import date

import polars as pl

from aiops_pipelines.costs import (
    context_pruning,
    history_truncation,
    prompt_texts,
    semantic_caching,
    tier_routing,
)
from aiops_pipelines.costs.cells import MODEL_NAME
from aiops_pipelines.costs.history_truncation import KEPT, cut_tokens
from aiops_pipelines.costs.lever import Group
from aiops_pipelines.costs.opportunities import SMALLEST_GROUP
from aiops_pipelines.costs.prices import APART, TOKENS
from aiops_pipelines.inference_log.record import CHAT, PART_COLUMNS
from aiops_pipelines.periods import next_month
from aiops_pipelines.resources.read_prompts import read_prompts
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System

_PLAIN = (
    *("system", "event_id", "occurred_at", "provider", "model_served", "model_requested", "service_tier"),
    *("prompt_version", "index_version", "status", "known_query_id"),
    *(*TOKENS, *APART, "tokens_total", "token_convention", *PART_COLUMNS),
)
_SESSION = "coalesce(i.session_id, t.session_id)"
_LAST = ", ".join(
    f"sum(coalesce(user_tokens, 0) + coalesce(output_visible, 0)) over (session rows between {n} preceding "
    f"and 1 preceding) as last_{n}"
    for n in KEPT
)
CALLS = f"""
    with chats as (
        select {", ".join(f"i.{name}" for name in _PLAIN)}, c.cost_usd,
            coalesce(i.endpoint, t.endpoint, 'unknown') as endpoint, {_SESSION} as session_id,
            coalesce(i.user_id, t.user_id, {_SESSION}, i.event_id) as user,
            i.occurred_at::date::varchar as day,
            md5_number_lower(i.event_id) as draw,
            length(trim(coalesce(i.answer, ''))) > 0 as answered,
            trim(regexp_replace(lower(i.query), '{semantic_caching.BETWEEN}', ' ', 'g')) as words,
            regexp_matches(i.query, '{semantic_caching.MASKED}') as masked,
            len(i.retrieved) as chunks
        from inference_log.inferences i
        left join inference_log.traces t using (system, trace_id)
        left join costs.call_costs c using (system, event_id)
        where i.system = $1 and i.occurred_at >= $2 and i.occurred_at < $3
            and coalesce(i.operation, '{CHAT}') = '{CHAT}'
    )
    select * exclude (words, masked),
        case when words != '' and not masked then md5_number_lower(words) end as question,
        row_number() over session as turn,
        first_value(history_tokens) over session as history_first, {_LAST}
    from chats
    window session as (partition by coalesce(session_id, event_id) order by occurred_at, event_id)
    order by occurred_at, event_id
"""
"""Chats of a month. A question is a hash of its text in lower case, without what stands between words; one
in which personal data was masked is none, for what was masked may differ."""
CHUNKS = """
    with given as (
        select event_id, unnest(retrieved).chunk_id as chunk_id,
            generate_subscripts(retrieved, 1) as place
        from inference_log.inferences
        where system = $1 and occurred_at >= $2 and occurred_at < $3 and len(retrieved) > 0
    ),
    known as (select chunk_id, any_value({what}) as it from rag.chunks where system = $1 group by chunk_id)
    select event_id, list(it order by place) as them
    from given left join known using (chunk_id) {only}
    group by event_id having count(it) = count(*)
"""
"""What is known of the chunks that calls were given, in their order, where it is known of all of them."""
TEXTS = """
    select event_id, query, answer from inference_log.inferences join wanted_rows using (event_id)
    where system = $1
"""
SESSIONS = f"""
    select coalesce(i.session_id, t.session_id) as session_id, i.event_id, i.occurred_at, i.query, i.answer
    from inference_log.inferences i left join inference_log.traces t using (system, trace_id)
    where i.system = $1 and i.known_query_id is null and coalesce(i.operation, '{CHAT}') = '{CHAT}'
        and coalesce(i.session_id, t.session_id) in (select session_id from wanted_rows)
"""
PROBES = """
    select s.query_id, s.metric, s.judge, s.value, s.event_id
    from monitoring.quality_scores s
    where s.system = $1 and s.sample = 'known' and s.event_id in (select event_id from wanted_rows)
"""


def month_groups(warehouse: Warehouse, system: System, month: date) -> Iterator[Group]:
    """Yield the chats of users in a month by endpoint and model, those of a percent of its spend or more.

    Where prices are not known, those of a percent of its calls.
    """
    span = [system.name, month, next_month(month)]
    chats = warehouse.read(CALLS, span).with_columns(model=MODEL_NAME)
    sizes = warehouse.read(CHUNKS.format(what="length(text)", only=""), span)
    chats = chats.join(
        sizes.rename({"them": "chunk_chars"}), on="event_id", how="left", maintain_order="left"
    )
    probes = chats.filter(pl.col("known_query_id").is_not_null())
    users = chats.filter(pl.col("known_query_id").is_null())
    usage = users.filter(pl.any_horizontal(pl.col(TOKENS).is_not_null()))
    spend = float(usage["cost_usd"].cast(pl.Float64).sum())
    prompts = read_prompts(warehouse, system, month).drop("prompt_version")
    scored = _probes(warehouse, system.name, probes)
    for (endpoint, model), calls in users.group_by(["endpoint", "model"], maintain_order=True):
        mine = usage.filter(pl.col("endpoint") == endpoint, pl.col("model") == model)
        dear = float(mine["cost_usd"].cast(pl.Float64).sum()) >= SMALLEST_GROUP * spend
        unpriced = mine["cost_usd"].null_count() >= SMALLEST_GROUP * usage.height
        if mine.height and (dear or unpriced):
            samples = _samples(warehouse, system.name, calls, span)
            samples[tier_routing.SAMPLE] = scored
            samples[prompt_texts.SAMPLE] = prompts.join(
                calls.select("event_id", "prompt_version"), on="event_id"
            )
            yield Group(system.name, str(endpoint), str(model), calls, system.limits, samples)


def _drawn(calls: pl.DataFrame, most: int) -> pl.DataFrame:
    return calls.sort("draw", "event_id").head(most)


def _samples(
    warehouse: Warehouse, system: str, calls: pl.DataFrame, span: list[object]
) -> dict[str, pl.DataFrame]:
    answered = calls.filter("answered", pl.col("status") == "ok")
    return {
        semantic_caching.SAMPLE: _repeats(warehouse, system, calls),
        context_pruning.SAMPLE: _contexts(warehouse, system, answered, span),
        history_truncation.SAMPLE: _histories(warehouse, system, answered, span),
    }


def _texts(warehouse: Warehouse, system: str, events: pl.DataFrame) -> pl.DataFrame:
    return warehouse.read(TEXTS, [system], events.select("event_id").unique())


def _repeats(warehouse: Warehouse, system: str, calls: pl.DataFrame) -> pl.DataFrame:
    """Return answer and kept answer of some repeated questions."""
    hits = _drawn(semantic_caching.repeats(calls), semantic_caching.JUDGED_AT_MOST)
    both = pl.concat([hits.select("event_id"), hits.select(event_id="served_by")])
    answers = _texts(warehouse, system, both).select("event_id", "answer")
    return (
        hits.join(answers, on="event_id")
        .join(answers.rename({"event_id": "served_by", "answer": "kept"}), on="served_by")
        .select("answer", "kept")
        .drop_nulls()
    )


def _contexts(warehouse: Warehouse, system: str, answered: pl.DataFrame, span: list[object]) -> pl.DataFrame:
    """Return user, answer and the chunks' texts, in their order, of some calls with more than one chunk."""
    several = answered.filter(pl.col("chunk_chars").list.len() > 1)
    drawn = _drawn(several, context_pruning.JUDGED_AT_MOST)
    given = _given(warehouse, drawn, span)
    answers = _texts(warehouse, system, drawn).select("event_id", "answer")
    return (
        drawn.select("event_id", "user").join(answers, on="event_id").join(given, on="event_id").drop_nulls()
    )


def _given(warehouse: Warehouse, calls: pl.DataFrame, span: list[object]) -> pl.DataFrame:
    only = "where event_id in (select event_id from wanted_rows)"
    found = warehouse.read(CHUNKS.format(what="text", only=only), span, calls.select("event_id"))
    return found.rename({"them": "texts"})


def _histories(warehouse: Warehouse, system: str, answered: pl.DataFrame, span: list[object]) -> pl.DataFrame:
    """Return user, answer, own texts (question and chunks) and earlier turns of some later turns."""
    long = answered.filter(pl.col("session_id").is_not_null(), cut_tokens(min(KEPT)) > 0)
    drawn = _drawn(long, history_truncation.JUDGED_AT_MOST)
    said = warehouse.read(SESSIONS, [system], drawn.select("session_id").unique())
    turn = pl.concat_str("query", "answer", separator="\n", ignore_nulls=True).alias("turn")
    earlier = (
        drawn.select("event_id", "session_id", at="occurred_at")
        .join(said.select("session_id", "occurred_at", turn), on="session_id")
        .filter(pl.col("occurred_at") < pl.col("at"))
        .sort("occurred_at")
        .group_by("event_id")
        .agg(pl.col("turn").alias("earlier"))
    )
    own = said.select("event_id", "query", "answer").join(
        _given(warehouse, drawn, span), on="event_id", how="left"
    )
    texts = pl.concat_list(pl.concat_list("query"), pl.col("texts").fill_null([]))
    return (
        drawn.select("event_id", "user")
        .join(own.select("event_id", "answer", own=texts), on="event_id")
        .join(earlier, on="event_id")
        .drop_nulls()
    )


def _probes(warehouse: Warehouse, system: str, probes: pl.DataFrame) -> pl.DataFrame:
    """Return the scores of probes with the model that was asked, and what they cost."""
    scores = warehouse.read(PROBES, [system], probes.select("event_id"))
    asked = ("event_id", "model", "provider", "model_served", "model_requested", "service_tier", "cost_usd")
    return scores.join(probes.select(asked), on="event_id")
