{# The figures of a group of calls that every traffic table shows. The percentiles are one aggregate, written three times: DuckDB keeps the values of each different one apart. #}
{% macro traffic_figures() -%}
        count(*) as calls,
        count(*) filter (where is_probe) as probes,
        count(*) filter (where status = 'error') as errors,
        count(*) filter (where status = 'refused' and is_attack is not true) as refusals,
        count(*) filter (where status = 'blocked' and is_attack is not true) as blocked,
        count(*) filter (where status = 'ok' and answered) as answered,
        count(*) filter (where status = 'ok' and not answered) as unanswered,
        quantile_cont(latency_ms, [0.50, 0.95, 0.99])[1] as latency_p50_ms,
        quantile_cont(latency_ms, [0.50, 0.95, 0.99])[2] as latency_p95_ms,
        quantile_cont(latency_ms, [0.50, 0.95, 0.99])[3] as latency_p99_ms
{%- endmacro %}
