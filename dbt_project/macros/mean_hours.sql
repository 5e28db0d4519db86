{# Mean of some hours and its 95 % t interval, cut at 0; one alone has no spread, so it has no interval. #}
{% macro mean_hours(hours) -%}
    avg({{ hours }}) as mean_{{ hours }},
    {%- for sign, bound in [('-', 'low'), ('+', 'high')] %}
    case
        when count({{ hours }}) > 1
            then greatest(0, avg({{ hours }}) {{ sign }} {{ t_quantile("count(" ~ hours ~ ") - 1") }} * stddev_samp({{ hours }}) / sqrt(count({{ hours }})))
    end as {{ hours }}_{{ bound }}{{ "," if not loop.last }}
    {%- endfor %}
{%- endmacro %}
