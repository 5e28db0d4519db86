{# The figures of a group of calls that every traffic table shows. #}
{% macro traffic_figures() -%}
        count(*) as calls,
        count(*) filter (where is_probe) as probes,
        count(*) filter (where status = 'error') as errors,
        count(*) filter (where status = 'refused') as refusals,
        count(*) filter (where status = 'blocked') as blocked,
        quantile_cont(latency_ms, 0.50) as latency_p50_ms,
        quantile_cont(latency_ms, 0.95) as latency_p95_ms,
        quantile_cont(latency_ms, 0.99) as latency_p99_ms
{%- endmacro %}
