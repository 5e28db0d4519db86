{# USD in units of their last digit, 0.000000000001: whole numbers add up exactly and are cheaper than decimals. A double holds them exactly below 9,007 USD, a bigint below 9.2 million; a call that costs more is a slip in a price, and null here. #}
{% macro last_digits(usd) -%}
    case
        when {{ usd }} < 9000 then ({{ usd }}::double * 1000000000000)::bigint
        when {{ usd }} < 9000000 then ({{ usd }} * 1000000000000)::bigint
    end
{%- endmacro %}

{% macro usd_of(last_digits) -%}
    (coalesce({{ last_digits }}, 0)::decimal(26, 0) * 0.000000000001::decimal(12, 12))::decimal(38, 12)
{%- endmacro %}
