with traffic as (
    select
        system,
        hour,
        endpoint,
        {{ traffic_figures() }},
        quantile_cont(time_to_first_token_ms, 0.50) as ttft_p50_ms
    from {{ ref('stg_inferences') }}
    where operation = 'chat'
    group by system, hour, endpoint
),

usage as (
    select
        system,
        hour,
        endpoint,
        sum(input_tokens)::bigint as input_tokens,
        sum(system_prompt_tokens)::bigint as system_prompt_tokens,
        sum(tools_tokens)::bigint as tools_tokens,
        sum(context_tokens)::bigint as context_tokens,
        sum(history_tokens)::bigint as history_tokens,
        sum(user_tokens)::bigint as user_tokens,
        sum(unsplit_input_tokens)::bigint as unsplit_input_tokens,
        sum(output_tokens)::bigint as output_tokens,
        sum(cost_usd) as cost_usd,
        sum(calls_unpriced)::bigint as calls_unpriced
    from {{ ref('hourly_usage') }}
    where operation = 'chat'
    group by system, hour, endpoint
)

select *
from traffic
left join usage using (system, hour, endpoint)
