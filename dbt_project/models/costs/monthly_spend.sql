with spend as (
    select
        system,
        date_trunc('month', hour)::date as month,
        endpoint,
        model,
        sum(cost_usd) as cost_usd,
        sum(calls)::bigint as calls,
        sum(calls_unpriced)::bigint as calls_unpriced
    from {{ ref('hourly_usage') }}
    group by all
)

select
    system,
    month,
    endpoint,
    model,
    cost_usd,
    calls,
    calls_unpriced,
    cost_usd::double / nullif(sum(cost_usd) over (partition by system, month), 0)::double as share
from spend
