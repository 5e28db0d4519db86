{# Share of a cost that falls on the first `tokens` of `total` tokens, rounded to the last digit and never above the cost. #}
{% macro cost_up_to(cost, tokens, total) -%}
    case
        when {{ tokens }} > 0
            then least({{ cost }}, ({{ cost }}::double * ({{ tokens }} / {{ total }}))::decimal(38, 12))
        else 0
    end
{%- endmacro %}
