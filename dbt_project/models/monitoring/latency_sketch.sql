{#- each time is counted by itself, for a group by is dearer with a metric among its keys -#}
{% set times = {'latency': 'latency_ms', 'time_to_first_token': 'time_to_first_token_ms'} %}

with calls as (
    select * from {{ ref('stg_inferences') }}
    where operation = 'chat'
),

{% for metric, time_ms in times.items() %}
{{ metric }} as (
    select
        system,
        hour,
        endpoint,
        {{ sketch_bucket(time_ms) }} as bucket,
        count(*) as calls
    from calls
    where {{ time_ms }} is not null
    group by system, hour, endpoint, bucket
){{ "," if not loop.last }}
{% endfor %}

{% for metric in times %}
select
    system,
    hour,
    endpoint,
    '{{ metric }}' as metric,
    bucket,
    calls
from {{ metric }}
{{ "union all" if not loop.last }}
{% endfor %}
