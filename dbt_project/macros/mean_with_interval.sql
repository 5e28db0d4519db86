{# Mean of the measured scores and its 95 % t interval, cut at the ends of the scale from 0 to 1. #}
{% macro mean_with_interval(score) -%}
        count({{ score }}) as scored,
        count(*) - count({{ score }}) as unmeasured,
        avg({{ score }}) as mean,
        {{ interval_end(score, "-") }} as low,
        {{ interval_end(score, "+") }} as high
{%- endmacro %}

{# One score has no spread, so it has no interval. #}
{% macro interval_end(score, sign) -%}
        case
            when count({{ score }}) > 1
                then least(1, greatest(0, avg({{ score }}) {{ sign }} {{ t_quantile("count(" ~ score ~ ") - 1") }} * stddev_samp({{ score }}) / sqrt(count({{ score }}))))
        end
{%- endmacro %}
