with calls as (
    select *
    from {{ ref('stg_inferences') }}
    left join {{ ref('stg_call_costs') }} using (system, event_id)
)

select
    system,
    day,

    {{ traffic_figures() }},
    quantile_cont(time_to_first_token_ms, 0.50) as ttft_p50_ms,

    sum(input_tokens)::bigint as input_tokens,
    sum(output_tokens)::bigint as output_tokens,

    sum(cost_usd) as cost_usd,
    count(*) filter (where cost_usd is null) as calls_unpriced
from calls
group by system, day
