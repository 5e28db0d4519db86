with masked as (
    select
        system,
        week,
        unnest(map_entries(pii_counts::json::map(varchar, bigint))) as found
    from {{ ref('stg_inferences') }}
),

counted as (
    select
        system,
        week,
        found.key as pii_type,
        sum(found.value) as masked
    from masked
    group by all
),

weeks as (
    select
        system,
        week,
        calls
    from {{ ref('weekly_traffic') }}
),

types as (
    select distinct
        system,
        pii_type
    from counted
)

select
    system,
    week,
    pii_type,
    coalesce(masked, 0)::bigint as masked,
    calls
from weeks
inner join types using (system)
left join counted using (system, week, pii_type)
