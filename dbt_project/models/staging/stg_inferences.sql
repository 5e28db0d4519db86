with calls as (
    select * from {{ source('inference_log', 'inferences') }}
),

traces as (
    select * from {{ source('inference_log', 'traces') }}
),

source as (
    select
        calls.* replace (
            coalesce(calls.session_id, traces.session_id) as session_id,
            coalesce(calls.user_id, traces.user_id) as user_id,
            coalesce(calls.endpoint, traces.endpoint) as endpoint
        )
    from calls
    left join traces using (system, trace_id)
),

attacks as (
    select distinct
        system,
        query_id
    from {{ source('rag', 'adversarial_queries') }}
),

derived as (
    select
        ---------- ids
        source.system,
        event_id,
        session_id,
        user_id,
        coalesce(user_group, 'unknown') as user_group,
        known_query_id is not null as is_probe,
        not is_probe as is_production,
        attacks.query_id is not null as is_attack,

        ---------- times
        occurred_at,
        date_trunc('hour', occurred_at) as hour,
        occurred_at::date as day,
        date_trunc('week', occurred_at)::date as week,
        date_trunc('month', occurred_at)::date as month,

        ---------- what was asked for, and what answered
        coalesce(operation, 'chat') as operation,
        coalesce(endpoint, 'unknown') as endpoint,
        coalesce(model_served, model_requested, 'unknown') as model,
        model_served,
        prompt_version,
        index_version,
        status,
        answered,

        ---------- how long it took
        latency_ms,
        time_to_first_token_ms,

        ---------- tokens
        case
            when coalesce(input_uncached, cache_read, cache_write) is not null
                then coalesce(input_uncached, 0) + coalesce(cache_read, 0) + coalesce(cache_write, 0)
        end as input_tokens,
        cache_read as cache_read_tokens,
        cache_write as cache_write_tokens,
        system_prompt_tokens,
        tools_tokens,
        context_tokens,
        history_tokens,
        user_tokens,
        case
            when input_tokens is not null
                then greatest(
                    0,
                    input_tokens - coalesce(system_prompt_tokens, 0) - coalesce(tools_tokens, 0)
                    - coalesce(context_tokens, 0) - coalesce(history_tokens, 0) - coalesce(user_tokens, 0)
                )
        end as unsplit_input_tokens,
        case
            when coalesce(output_visible, reasoning) is not null
                then coalesce(output_visible, 0) + coalesce(reasoning, 0)
            else completion_tokens
        end as output_tokens,

        ---------- what was logged with it
        retrieved,
        guardrail_events,
        pii_counts
    from source
    left join attacks
        on
            source.system = attacks.system
            and source.known_query_id = attacks.query_id
)

select * from derived
