{# Passes when the fact holds in every row; a row where it cannot be decided (null) passes. #}
{% test always(model, fact) %}
select *
from {{ model }}
where not ({{ fact }})
{% endtest %}
