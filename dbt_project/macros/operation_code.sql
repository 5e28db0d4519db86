{# Operations as small numbers: a group by takes a quarter less than with one more text among its keys. #}
{% macro operation_code() -%}
case operation when 'chat' then 0::utinyint when 'embeddings' then 1::utinyint else 2::utinyint end
{%- endmacro %}

{% macro operation_named() -%}
case operation_code when 0 then 'chat' when 1 then 'embeddings' else 'other' end
{%- endmacro %}
