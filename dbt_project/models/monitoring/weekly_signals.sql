with production as (
    select
        system,
        event_id,
        week
    from {{ ref('stg_inferences') }}
    where is_production
),

signals as (
    select distinct
        system,
        event_id,
        signal
    from {{ source('monitoring', 'user_signals') }}
),

weeks as (
    select
        system,
        week,
        calls - probes as production_calls
    from {{ ref('weekly_traffic') }}
),

kinds as (
    select distinct
        system,
        signal
    from signals
),

counted as (
    select
        system,
        week,
        signal,
        count(*) as calls
    from signals
    inner join production using (system, event_id)
    group by system, week, signal
)

select
    system,
    week,
    signal,
    coalesce(calls, 0) as calls,
    production_calls,
    coalesce(calls, 0) / nullif(production_calls, 0) as share
from weeks
inner join kinds using (system)
left join counted using (system, week, signal)
