with spend as (
    select
        system,
        date_trunc('week', day)::date as week,
        endpoint,
        part,
        sum(tokens)::bigint as tokens,
        sum(cost_usd) as cost_usd
    from {{ ref('daily_spend') }}
    group by all
),

-- traffic is about chats; embeddings may be spent on in weeks without any
weeks as (
    select
        system,
        week
    from {{ ref('weekly_traffic') }}
    union
    select
        system,
        week
    from spend
),

lines as (
    select distinct
        system,
        endpoint,
        part
    from spend
)

select
    system,
    week,
    endpoint,
    part,
    coalesce(tokens, 0) as tokens,
    case when tokens is null then 0 else cost_usd end::decimal(38, 12) as cost_usd
from weeks
inner join lines using (system)
left join spend using (system, week, endpoint, part)
