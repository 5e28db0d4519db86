{% set front = ['system_prompt', 'tools'] %}
{% set input_parts = front + ['context', 'history', 'user', 'unsplit_input'] %}
{% set parts = input_parts + ['output'] %}
{%- set parts_with_tokens -%}
    {%- for part in parts -%}
        {{ " | " if not loop.first }}if({{ part }}_tokens > 0, {{ 2 ** loop.index0 }}, 0)
    {%- endfor -%}
{%- endset %}

-- whole numbers before the join, for half of what it carries
with priced as (
    select
        system,
        event_id,
        cost_usd,
        output_usd,
        {{ last_digits('input_usd') }} as input_cost,
        {{ last_digits('cache_read_usd') }} as known_cache_read_cost,
        {{ last_digits('cache_write_usd') }} as known_cache_write_cost
    from {{ ref('stg_call_costs') }}
),

calls as (
    select
        system,
        hour,
        endpoint,
        model,
        user_group,
        {{ operation_code() }} as operation_code,
        cost_usd,
        output_usd,
        input_cost,
        case when cache_read_tokens > 0 then coalesce(known_cache_read_cost, 0) else 0 end as cache_read_cost,
        case when cache_write_tokens > 0 then coalesce(known_cache_write_cost, 0) else 0 end as cache_write_cost,
        cache_read_tokens,
        cache_write_tokens,
        input_tokens,
        {%- for part in parts %}
        {{ part }}_tokens{{ "," if not loop.last }}
        {%- endfor %}
    from {{ ref('stg_inferences') }}
    left join priced using (system, event_id)
),

running_tokens as (
    select
        *,
        case when cost_usd is null then {{ parts_with_tokens }} end as unpriced_parts,
        {%- for part in input_parts %}
        {{ "up_to_" ~ input_parts[loop.index0 - 1] ~ " + " if not loop.first }}coalesce({{ part }}_tokens, 0) as up_to_{{ part }}
        {{- "," if not loop.last }}
        {%- endfor %}
    from calls
),

-- a cache holds beginnings of prompts, so what it served is the system prompt and the tools first, written parts after read ones
cached as (
    select
        *,
        coalesce(cache_read_tokens, 0) + coalesce(cache_write_tokens, 0) as cached_tokens,
        least(coalesce(cache_read_tokens, 0), up_to_tools) as read_in_front,
        least(coalesce(cache_write_tokens, 0), up_to_tools - read_in_front) as written_in_front,
        case
            when cached_tokens > 0 and up_to_tools > 0
                then
                    coalesce(read_in_front / nullif(cache_read_tokens, 0) * cache_read_cost, 0)
                    + coalesce(written_in_front / nullif(cache_write_tokens, 0) * cache_write_cost, 0)
                    + coalesce(
                        (up_to_tools - read_in_front - written_in_front) / nullif(up_to_unsplit_input - cached_tokens, 0)
                        * (input_cost - cache_read_cost - cache_write_cost), 0
                    )
        end as cost_of_front
    from running_tokens
),

per_token as (
    select
        *,
        coalesce(cost_of_front / up_to_tools, input_cost::double / nullif(up_to_unsplit_input, 0)) as cost_of_a_token,
        case
            when cost_of_front is null then cost_of_a_token
            else (input_cost - cost_of_front) / nullif(up_to_unsplit_input - up_to_tools, 0)
        end as cost_of_a_token_behind,
        case when cost_of_front is null then 0 else coalesce(cost_of_front - cost_of_a_token_behind * up_to_tools, 0) end as behind_starts_at
    from cached
),

-- a part without tokens adds nothing, which is most of them and cheaper to see than to compute
running_cost as (
    select
        *,
        {%- for part in input_parts[:-1] %}
        {%- set before = "cost_up_to_" ~ input_parts[loop.index0 - 1] if not loop.first else "0" %}
        case
            when coalesce({{ part }}_tokens, 0) = 0 then {{ before }}
            {%- if part in front %}
            else least(input_cost, (cost_of_a_token * up_to_{{ part }})::bigint)
            {%- else %}
            else greatest({{ before }}, least(input_cost, (behind_starts_at + cost_of_a_token_behind * up_to_{{ part }})::bigint))
            {%- endif %}
        end as cost_up_to_{{ part }}{{ "," if not loop.last }}
        {%- endfor %}
    from per_token
),

-- most calls have a price, so one more key is cheaper than eight counts with a condition
by_unpriced_parts as (
    select
        system,
        hour,
        endpoint,
        model,
        user_group,
        operation_code,
        unpriced_parts,
        count(*) as calls,
        sum(cost_usd) as cost_usd,
        sum(output_usd) as output_usd,
        sum(input_tokens) as input_tokens,
        {%- for part in parts %}
        sum({{ part }}_tokens) as {{ part }}_tokens,
        {%- endfor %}
        {%- for part in input_parts[:-1] %}
        sum(cost_up_to_{{ part }}) as cost_up_to_{{ part }}{{ "," if not loop.last }}
        {%- endfor %}
    from running_cost
    group by system, hour, endpoint, model, user_group, operation_code, unpriced_parts
),

totals as (
    select
        system,
        hour,
        endpoint,
        model,
        user_group,
        operation_code,
        sum(calls)::bigint as calls,
        sum(case when unpriced_parts is null then 0 else calls end)::bigint as calls_unpriced,
        bit_or(case when unpriced_parts is null then {{ parts_with_tokens }} end) as priced_parts,
        sum(cost_usd) as cost_usd,
        sum(output_usd) as output_usd,
        sum(input_tokens)::bigint as input_tokens,
        {%- for part in parts %}
        sum({{ part }}_tokens)::bigint as {{ part }}_tokens,
        sum(case when unpriced_parts & {{ 2 ** loop.index0 }} > 0 then calls else 0 end)::bigint as {{ part }}_calls_unpriced,
        {%- endfor %}
        {%- for part in input_parts[:-1] %}
        {{ usd_of("sum(cost_up_to_" ~ part ~ ")") }} as usd_up_to_{{ part }}{{ "," if not loop.last }}
        {%- endfor %}
    from by_unpriced_parts
    group by system, hour, endpoint, model, user_group, operation_code
)

-- a part costs what it adds to the running cost and unsplit input takes what is left, so nothing is lost to rounding
select
    system,
    hour,
    endpoint,
    model,
    user_group,
    {{ operation_named() }} as operation,
    calls,
    calls_unpriced,
    cost_usd,
    input_tokens,
    {%- for part in parts %}
    {{ part }}_tokens,
    {%- endfor %}
    {%- for part in parts %}
    {{ part }}_calls_unpriced,
    {%- endfor %}
    {%- for part in parts %}
    {%- set usd -%}
        {%- if loop.first -%} usd_up_to_{{ part }}
        {%- elif part == 'unsplit_input' -%} cost_usd - output_usd - usd_up_to_user
        {%- elif part == 'output' -%} output_usd
        {%- else -%} usd_up_to_{{ part }} - usd_up_to_{{ parts[loop.index0 - 1] }}
        {%- endif -%}
    {%- endset %}
    case when priced_parts & {{ 2 ** loop.index0 }} > 0 or {{ usd }} <> 0 then {{ usd }} end as {{ part }}_usd{{ "," if not loop.last }}
    {%- endfor %}
from totals
