{# Passes when a column adds up, system by system, to exactly what another table says. #}
{% test same_total(model, total, table, table_total) %}
with here as (
    select
        system,
        {{ total }} as total
    from {{ model }}
    group by system
),

there as (
    select
        system,
        {{ table_total }} as total
    from {{ table }}
    group by system
)

select
    system,
    here.total as total_here,
    there.total as total_there,
from here
full join there using (system)
where coalesce(here.total, 0) is distinct from coalesce(there.total, 0)  -- no row and nothing to add are the same
{% endtest %}
