{% set parts = ['system_prompt', 'tools', 'context', 'history', 'user', 'unsplit', 'completion'] %}

with calls as (
    select
        system,
        hour,
        endpoint,
        model,
        user_group,
        cost_usd,
        input_usd,
        output_usd,
        coalesce(system_prompt_tokens, 0) as system_prompt_tokens,
        coalesce(tools_tokens, 0) as tools_tokens,
        coalesce(context_tokens, 0) as context_tokens,
        coalesce(history_tokens, 0) as history_tokens,
        coalesce(user_tokens, 0) as user_tokens,
        coalesce(unsplit_input_tokens, 0) as unsplit_tokens,
        coalesce(output_tokens, 0) as completion_tokens
    from {{ ref('stg_inferences') }}
    left join {{ ref('stg_call_costs') }} using (system, event_id)
),

running_tokens as (
    select
        *,
        system_prompt_tokens as up_to_system_prompt,
        up_to_system_prompt + tools_tokens as up_to_tools,
        up_to_tools + context_tokens as up_to_context,
        up_to_context + history_tokens as up_to_history,
        up_to_history + user_tokens as up_to_user,
        up_to_user + unsplit_tokens as all_input
    from calls
),

-- a part without tokens adds nothing, which is most of them and cheaper to see than to compute
running_cost as (
    select
        *,
        {{ cost_up_to('input_usd', 'up_to_system_prompt', 'all_input') }} as usd_up_to_system_prompt,
        {%- set before = namespace(part='system_prompt') %}
        {%- for part in ['tools', 'context', 'history', 'user'] %}
        case
            when {{ part }}_tokens = 0 then usd_up_to_{{ before.part }}
            else {{ cost_up_to('input_usd', 'up_to_' ~ part, 'all_input') }}
        end as usd_up_to_{{ part }}{{ "," if not loop.last }}
        {%- set before.part = part %}
        {%- endfor %}
    from running_tokens
),

-- a part costs what it adds to the running cost and unsplit input takes what is left, so nothing is lost to rounding
split as (
    select
        *,
        usd_up_to_system_prompt as system_prompt_usd,
        usd_up_to_tools - usd_up_to_system_prompt as tools_usd,
        usd_up_to_context - usd_up_to_tools as context_usd,
        usd_up_to_history - usd_up_to_context as history_usd,
        usd_up_to_user - usd_up_to_history as user_usd,
        input_usd - usd_up_to_user as unsplit_usd,
        output_usd as completion_usd
    from running_cost
),

-- calls without the part are left out of its cost, else their 0 would hide that the others have no price
totals as (
    select
        {%- for part in parts %}
        sum({{ part }}_tokens)::bigint as {{ part }}_tokens,
        sum({{ part }}_usd) filter (where {{ part }}_tokens > 0 or {{ part }}_usd <> 0) as {{ part }}_usd,
        count(*) filter (where {{ part }}_tokens > 0 and cost_usd is null) as {{ part }}_unpriced,
        {%- endfor %}
        system,
        hour,
        endpoint,
        model,
        user_group
    from split
    group by system, hour, endpoint, model, user_group
),

by_part as (
    from totals
    unpivot include nulls (
        (tokens, cost_usd, calls_unpriced) for part in (
            {%- for part in parts %}
            ({{ part }}_tokens, {{ part }}_usd, {{ part }}_unpriced) as '{{ "input" if part == "unsplit" else part }}'
            {{- "," if not loop.last }}
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
    part,
    tokens,
    cost_usd,
    calls_unpriced
from by_part
where tokens > 0 or cost_usd <> 0
