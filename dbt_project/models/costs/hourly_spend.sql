{% set parts = {
    'system_prompt': 'system_prompt', 'tools': 'tools', 'context': 'context', 'history': 'history', 'user': 'user',
    'input': 'unsplit_input', 'completion': 'output'
} %}

with usage as (
    select * exclude (cost_usd, calls_unpriced) from {{ ref('hourly_usage') }}
),

by_part as (
    from usage
    unpivot include nulls (
        (tokens, cost_usd, calls_unpriced) for part in (
            {%- for part, columns in parts.items() %}
            ({{ columns }}_tokens, {{ columns }}_usd, {{ columns }}_calls_unpriced) as '{{ part }}'{{ "," if not loop.last }}
            {%- endfor %}
        )
    )
)

select
    system,
    hour,
    endpoint,
    model,
    user_group,
    operation,
    part,
    coalesce(tokens, 0) as tokens,
    cost_usd,
    calls_unpriced
from by_part
where tokens > 0 or cost_usd <> 0
