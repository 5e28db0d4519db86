with calls as (
    select
        system,
        endpoint,
        occurred_at::date as day,
        {'at': occurred_at, 'event_id': event_id} as place,
        model_served,
        prompt_version,
        index_version
    from {{ ref('stg_inferences') }}
    where operation = 'chat'
),

versions as (
    from calls
    unpivot (version for what in (model_served, prompt_version, index_version))
),

by_day as (
    select
        system,
        endpoint,
        what,
        version,
        day,
        min(place) as first_place,
        max(place) as last_place
    from versions
    group by all
),

seen as (
    select
        *,
        lag(last_place.at) over (partition by system, endpoint, what, version order by day) as last_seen_at
    from by_day
),

-- a version that was served within the last week runs beside the other one: going back and forth is no change
new_versions as (
    select *
    from seen
    where last_seen_at is null or last_seen_at <= first_place.at - interval 7 days
),

served_before as (
    select
        new_versions.system,
        new_versions.endpoint,
        new_versions.what,
        new_versions.version,
        new_versions.first_place,
        by_day.version as earlier_version,
        by_day.last_place as earlier_place
    from new_versions
    inner join by_day
        on
            new_versions.system = by_day.system
            and new_versions.endpoint = by_day.endpoint
            and new_versions.what = by_day.what
            and by_day.day < new_versions.day
    union all
    select
        new_versions.system,
        new_versions.endpoint,
        new_versions.what,
        new_versions.version,
        new_versions.first_place,
        versions.version as earlier_version,
        versions.place as earlier_place
    from new_versions
    inner join versions
        on
            new_versions.system = versions.system
            and new_versions.endpoint = versions.endpoint
            and new_versions.what = versions.what
            and new_versions.day = versions.day
            and versions.place < new_versions.first_place
)

select
    system,
    first_place.at as occurred_at,
    endpoint,
    what,
    arg_max(earlier_version, earlier_place) as before,
    version as after
from served_before
group by system, endpoint, what, version, first_place
having before <> after
