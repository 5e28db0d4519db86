{# A model's DuckDB schema is its folder's name, exactly. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- if node.resource_type == "model" and node.fqn | length > 2 -%}
        {{ node.fqn[1] }}
    {%- else -%}
        {{ custom_schema_name or target.schema }}
    {%- endif -%}
{%- endmacro %}
