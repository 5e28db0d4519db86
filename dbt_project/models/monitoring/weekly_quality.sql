with scores as (
    select
        * exclude (value),
        case when not isnan(value) then value end as score
    from {{ source('monitoring', 'quality_scores') }}
),

weeks as (
    select
        system,
        week
    from {{ ref('weekly_traffic') }}
    union
    select
        system,
        week
    from scores
),

metrics as (
    select distinct
        system,
        sample,
        metric
    from scores
),

measured as (
    select
        system,
        week,
        sample,
        metric,
        {{ mean_with_interval('score') }},
        count(distinct judge) filter (where score is not null) as judges
    from scores
    group by system, week, sample, metric
)

select
    system,
    week,
    sample,
    metric,

    coalesce(scored, 0) as scored,
    coalesce(unmeasured, 0) as unmeasured,
    mean,
    low,
    high,
    coalesce(judges, 0) as judges
from weeks
inner join metrics using (system)
left join measured using (system, week, sample, metric)
