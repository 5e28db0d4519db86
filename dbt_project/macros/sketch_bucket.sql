{# Bucket of a latency in ms: gamma = 1.01 / 0.99, so that a bucket's value is within 1 % of all it holds (DDSketch). #}
{% macro sketch_bucket(latency_ms) -%}
    ceil(ln(greatest({{ latency_ms }}, 1)) / ln(1.01 / 0.99))::bigint
{%- endmacro %}
