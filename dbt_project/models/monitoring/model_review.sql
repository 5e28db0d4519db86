with drifted as (
    select distinct
        system,
        week,
        judge
    from {{ source('drift', 'judge_drift') }}
    where verdict = 'DRIFTED'
),

judged as (
    select
        system,
        event_id,
        judge,
        value < 1 as has_unsupported
    from {{ source('monitoring', 'quality_scores') }}
    anti join drifted using (system, week, judge)
    where metric = 'faithfulness' and sample = 'production' and value is not null
),

calls as (
    select
        * exclude (model_served),
        coalesce(model_served, 'unknown') as model_served
    from {{ ref('stg_inferences') }}
    left join {{ ref('stg_call_costs') }} using (system, event_id)
    left join judged using (system, event_id)
)

select
    system,
    month,
    model_served,

    count(*) as calls,
    count(*) filter (where status = 'error') as errors,
    min(occurred_at) as first_seen,
    max(occurred_at) as last_seen,
    quantile_cont(latency_ms, 0.95) as latency_p95_ms,

    sum(cost_usd) as cost_usd,
    count(*) filter (where cost_usd is null) as calls_unpriced,
    (sum(cost_usd) / count(cost_usd))::decimal(38, 12) as cost_per_call_usd,

    count(has_unsupported) as answers_judged,
    case
        when count(has_unsupported) >= 30 and count(distinct judge) = 1
            then avg(has_unsupported::int)
    end as hallucination_rate
from calls
group by system, month, model_served
