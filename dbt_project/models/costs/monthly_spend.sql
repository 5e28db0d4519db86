with spend as (
    select
        system,
        month,
        endpoint,
        model,
        sum(cost_usd) as cost_usd,
        count(*) as calls,
        count(*) filter (where cost_usd is null) as calls_unpriced
    from {{ ref('stg_inferences') }}
    left join {{ ref('stg_call_costs') }} using (system, event_id)
    group by system, month, endpoint, model
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
