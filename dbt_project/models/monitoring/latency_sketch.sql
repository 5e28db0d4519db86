with calls as (
    select
        system,
        hour,
        endpoint,
        latency_ms,
        time_to_first_token_ms
    from {{ ref('stg_inferences') }}
),

timed as (
    select
        system,
        hour,
        endpoint,
        'latency' as metric,
        {{ sketch_bucket('latency_ms') }} as bucket
    from calls
    where latency_ms is not null

    union all

    select
        system,
        hour,
        endpoint,
        'time_to_first_token' as metric,
        {{ sketch_bucket('time_to_first_token_ms') }} as bucket
    from calls
    where time_to_first_token_ms is not null
)

select
    system,
    hour,
    endpoint,
    metric,
    bucket,
    count(*) as calls
from timed
group by system, hour, endpoint, metric, bucket
