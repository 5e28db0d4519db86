with scores as (
    select
        * exclude (value, judge),
        coalesce(judge, 'unknown') as judge,
        case when not isnan(value) then value end as score
    from {{ source('monitoring', 'quality_scores') }}
),

calls as (
    select
        system,
        event_id,
        month,
        coalesce(model_served, 'unknown') as model_served
    from {{ ref('stg_inferences') }}
)

select
    system,
    month,
    model_served,
    sample,
    metric,
    judge,
    {{ mean_with_interval('score') }}
from scores
inner join calls using (system, event_id)
group by system, month, model_served, sample, metric, judge
