with traffic as (
    select
        system,
        day,
        {{ traffic_figures() }},
        quantile_cont(time_to_first_token_ms, 0.50) as ttft_p50_ms
    from {{ ref('stg_inferences') }}
    where operation = 'chat'
    group by system, day
),

usage as (
    select
        system,
        hour::date as day,
        sum(input_tokens)::bigint as input_tokens,
        sum(output_tokens)::bigint as output_tokens,
        sum(cost_usd) as cost_usd,
        sum(calls_unpriced)::bigint as calls_unpriced
    from {{ ref('hourly_usage') }}
    where operation = 'chat'
    group by all
)

select *
from traffic
left join usage using (system, day)
