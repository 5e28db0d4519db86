select
    system,
    hour::date as day,
    endpoint,
    model,
    user_group,
    part,
    sum(tokens)::bigint as tokens,
    sum(cost_usd) as cost_usd,
    sum(calls_unpriced)::bigint as calls_unpriced
from {{ ref('hourly_spend') }}
group by all
