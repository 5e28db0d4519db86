"""LlamaIndex's metadata filters as SQL conditions over a column of JSON; values are always parameters."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llama_index.core.vector_stores.types import MetadataFilter, MetadataFilters

Condition = tuple[str, list[Any]]
"""SQL and the values of its parameters."""

_COMPARED = {"==": "=", "!=": "is distinct from", ">": ">", ">=": ">=", "<": "<", "<=": "<="}


def quoted(name: str) -> str:
    """Return a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def where(
    filters: "MetadataFilters | None",
    node_ids: Sequence[str] | None = None,
    documents: Sequence[str] | None = None,
) -> Condition:
    """Return the condition of rows that fit the filters and, where these are given, the ids and documents.

    Raises:
        ValueError: an operator for lists; metadata here has none.
    """
    found = [] if filters is None else [_all(filters)]
    for column, names in (("node_id", node_ids), ("document", documents)):
        if names is not None:
            found.append((f"{column} in (select unnest(?::varchar[]))", [list(names)]))
    return _joined(found, " and ")


def _all(filters: "MetadataFilters") -> Condition:
    parts = [_all(one) if hasattr(one, "filters") else _one(one) for one in filters.filters]
    condition = filters.condition.value if filters.condition else "and"
    if not parts:
        return "true", []
    if condition == "not":
        sql, values = _joined(parts, " or ")
        return f"not ({sql})", values
    return _joined(parts, f" {condition} ")


def _one(one: "MetadataFilter") -> Condition:
    """A missing key fits != and nin only, as elsewhere in LlamaIndex."""
    operator, value = one.operator.value, one.value
    path = "/" + one.key.replace("~", "~0").replace("/", "~1")
    text = "json_extract_string(metadata, ?)"
    field = f"try_cast({text} as double)" if _numeric(value) else text
    if operator in _COMPARED:
        return f"coalesce({field} {_COMPARED[operator]} ?, false)", [path, value]
    if operator in ("in", "nin"):
        kind = "double" if _numeric(value) else "varchar"
        inside = f"coalesce({field} in (select unnest(?::{kind}[])), false)"
        return (inside if operator == "in" else f"not {inside}"), [path, value]
    if operator.startswith("text_match"):
        folded = "lower" if operator.endswith("insensitive") else ""
        return f"coalesce(contains({folded}({text}), {folded}(?)), false)", [path, value]
    if operator == "is_empty":
        return f"coalesce({text}, '') = ''", [path]
    raise ValueError(f"Metadata here holds no lists, so there is no filter {operator!r}.")


def _numeric(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(map(_numeric, value))
    return isinstance(value, int | float) and not isinstance(value, bool)


def _joined(parts: Sequence[Condition], word: str) -> Condition:
    if not parts:
        return "true", []
    return word.join(f"({sql})" for sql, _ in parts), [value for _, values in parts for value in values]
