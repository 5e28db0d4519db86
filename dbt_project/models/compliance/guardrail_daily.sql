with verdicts as (
    select
        system,
        day,
        unnest(guardrail_events) as verdict
    from {{ ref('stg_inferences') }}
    where is_attack is not true
)

select
    system,
    day,
    coalesce(verdict.guardrail, 'unknown') as guardrail,
    coalesce(verdict.category, 'unknown') as category,
    coalesce(verdict.action, 'unknown') as action,
    count(*) as events
from verdicts
group by all
