with calls as (
    select
        system,
        event_id,
        occurred_at,
        endpoint,
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

compared as (
    select
        *,
        lag(version) over (
            partition by system, endpoint, what
            order by occurred_at, event_id
        ) as previous_version,
        lag(occurred_at) over (
            partition by system, endpoint, what, version
            order by occurred_at, event_id
        ) as last_seen_at
    from versions
)

-- a version that was served within the last week runs beside the other one: going back and forth is no change
select
    system,
    occurred_at,
    endpoint,
    what,
    previous_version as before,
    version as after
from compared
where
    previous_version <> version
    and (last_seen_at is null or last_seen_at <= occurred_at - interval 7 days)
