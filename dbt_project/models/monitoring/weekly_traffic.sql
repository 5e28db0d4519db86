with calls as (
    select * from {{ ref('stg_inferences') }}
    where operation = 'chat'
),

weeks as (
    select
        system,
        unnest(generate_series(min(week), max(week), interval 7 days))::date as week
    from calls
    group by system
),

measured as (
    select
        system,
        week,
        {{ traffic_figures() }},
        count(distinct user_id) filter (where is_production) as users,
        count(distinct session_id) filter (where is_production) as sessions
    from calls
    group by system, week
)

select
    system,
    week,

    coalesce(calls, 0) as calls,
    coalesce(probes, 0) as probes,
    coalesce(errors, 0) as errors,
    coalesce(refusals, 0) as refusals,
    coalesce(blocked, 0) as blocked,
    coalesce(users, 0) as users,
    coalesce(sessions, 0) as sessions,

    latency_p50_ms,
    latency_p95_ms,
    latency_p99_ms
from weeks
left join measured using (system, week)
