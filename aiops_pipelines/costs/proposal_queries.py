"""SQL for each lever that shows the calls a proposal is about, to be run on the copy for analysts."""

from datetime import date

from aiops_pipelines.periods import next_month

_CALLS = """from (
  select i.* replace (
    coalesce(i.endpoint, t.endpoint, 'unknown') as endpoint,
    coalesce(i.session_id, t.session_id) as session_id
  ) from inference_log.inferences i left join inference_log.traces t using (system, trace_id)
)
where system = {system} and endpoint = {endpoint}
  and coalesce(model_served, model_requested, 'unknown')
    || coalesce(' (' || service_tier || ')', '') = {model}
  and occurred_at >= {first} and occurred_at < {end} and known_query_id is null"""
_SELECTED = {
    "prompt caching": (
        "prompt_version, count(*) as calls, "
        "median(system_prompt_tokens + coalesce(tools_tokens, 0)) as front_tokens, "
        "sum(cache_read) as cache_read, sum(cache_write) as cache_write, "
        "sum(input_uncached) as input_uncached",
        "group by prompt_version order by calls desc",
    ),
    "prompt compression": (
        "prompt_version, count(*) as calls, median(system_prompt_tokens) as system_prompt_tokens",
        "group by prompt_version order by calls desc",
    ),
    "unused tools": (
        "prompt_version, count(*) as calls, median(tools_tokens) as tools_tokens",
        "group by prompt_version order by calls desc",
    ),
    "semantic caching": (
        "lower(query) as question, occurred_at::date as day, count(*) as times, "
        "count(distinct answer) as different_answers",
        "group by all having count(*) > 1 order by times desc limit 50",
    ),
    "context pruning": (
        "len(retrieved) as chunks, count(*) as calls, median(context_tokens) as context_tokens",
        "group by chunks order by chunks",
    ),
    "history truncation": (
        "session_id, count(*) as turns, max(history_tokens) as history_tokens",
        "group by session_id order by history_tokens desc limit 50",
    ),
    "output length": (
        "event_id, output_visible, reasoning",
        "order by coalesce(output_visible, 0) + coalesce(reasoning, 0) desc limit 50",
    ),
    "tier routing": (
        "count(*) as calls, median(output_visible) as output_tokens, count(distinct user_id) as users",
        "",
    ),
}
LEVERS = tuple(_SELECTED)


def query(lever: str, system: str, month: date, endpoint: str, model: str) -> str:
    """Return the SQL of a lever for the calls of one model at one endpoint in a month."""
    what, order = _SELECTED[lever]
    where = _CALLS.format(
        system=_literal(system),
        endpoint=_literal(endpoint),
        model=_literal(model),
        first=_literal(month.isoformat()),
        end=_literal(next_month(month).isoformat()),
    )
    return f"select {what}\n{where}\n{order}".rstrip()


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
