with calls as (
    select
        system,
        day,
        endpoint,
        model,
        coalesce(price_status, 'pending') as price_status,
        cost_usd,
        cost_low_usd,
        cost_high_usd
    from {{ ref('stg_inferences') }}
    left join {{ ref('stg_call_costs') }} using (system, event_id)
)

select
    system,
    day,
    endpoint,
    model,
    price_status,
    count(*) as calls,
    sum(cost_usd) as cost_usd,
    sum(cost_low_usd) as cost_low_usd,
    sum(cost_high_usd) as cost_high_usd
from calls
group by system, day, endpoint, model, price_status
