with observed as (
    select
        system,
        max(occurred_at) as observed_until
    from {{ ref('stg_inferences') }}
    group by system
),

-- who mitigates or resolves an incident has also acknowledged it
steps as (
    select
        *,
        date_trunc('month', opened_at)::date as month,
        coalesce(acknowledged_at, mitigated_at, resolved_at) as first_acknowledged_at,
        coalesce(mitigated_at, resolved_at) as first_mitigated_at
    from {{ source('incidents', 'incidents') }}
),

-- a clock that still runs is missed once the log has moved past it
clocks as (
    select
        *,
        date_diff('second', opened_at, first_acknowledged_at) / 3600 as hours_to_acknowledge,
        date_diff('second', opened_at, first_mitigated_at) / 3600 as hours_to_mitigate,
        date_diff('second', opened_at, resolved_at) / 3600 as hours_to_resolve,
        coalesce(first_acknowledged_at, observed_until) > acknowledge_due_at as acknowledge_missed,
        coalesce(first_mitigated_at, observed_until) > mitigate_due_at as mitigate_missed,
        coalesce(resolved_at, observed_until) > resolve_due_at as resolve_missed
    from steps
    left join observed using (system)
)

select
    system,
    month,
    severity,

    count(*) as opened,
    count(resolved_at) as resolved,
    count(*) filter (where source = 'person') as opened_by_people,
    count(*) filter (where reopened > 0) as reopened,

    avg(date_diff('second', began_at, opened_at)) filter (where source = 'rule') / 3600 as mean_hours_to_detect_by_rules,
    avg(date_diff('second', began_at, opened_at)) filter (where source = 'person') / 3600 as mean_hours_to_detect_by_people,

    {%- for step in ['acknowledge', 'mitigate', 'resolve'] %}
    {{ mean_hours('hours_to_' ~ step) }},
    {%- endfor %}

    count(*) filter (where acknowledge_missed)
    + count(*) filter (where mitigate_missed)
    + count(*) filter (where resolve_missed) as clocks_missed
from clocks
group by system, month, severity
