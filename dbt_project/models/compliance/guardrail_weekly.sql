with weeks as (
    select
        system,
        week,
        calls
    from {{ ref('weekly_traffic') }}
),

categories as (
    select distinct
        system,
        category
    from {{ ref('guardrail_daily') }}
),

counted as (
    select
        system,
        date_trunc('week', day)::date as week,
        category,
        sum(events) as events,
        sum(events) filter (where action in ('block', 'blocked')) as blocks
    from {{ ref('guardrail_daily') }}
    group by all
)

select
    system,
    week,
    category,
    coalesce(blocks, 0)::bigint as blocks,
    coalesce(events, 0)::bigint as events,
    calls
from weeks
inner join categories using (system)
left join counted using (system, week, category)
