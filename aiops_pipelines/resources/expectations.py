"""Great Expectations, met only here: a frame and a suite in, one plain result per expectation out.

Suites are data (`inference_log/expectations.yaml`). Whether a result blocks is decided by the asset check.
"""

import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import yaml
from polars import selectors

_POSITION = "position"


@dataclass(frozen=True)
class ExpectationResult:
    """What one expectation found; `exception` says that it could not be evaluated, which is not a failure."""

    name: str
    column: str
    success: bool
    observed: str
    unexpected_count: int | None
    exception: str | None


def load_suite(file: Path) -> list[dict[str, Any]]:
    """Return a suite: a list of {expectation, its meaning, and its arguments}."""
    suite: list[dict[str, Any]] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return suite


def validate(frame: pl.DataFrame, suite: Sequence[Mapping[str, Any]]) -> list[ExpectationResult]:
    """Evaluate a suite on a frame, in the suite's order.

    Args:
        frame: the rows; only the columns that the suite names are looked at, times as UTC without offset.
        suite: mappings with `expectation` (name in snake case), its arguments and its `meaning`.

    Raises:
        ValueError: the suite names an expectation that does not exist.
    """
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    logging.getLogger("great_expectations").setLevel(logging.ERROR)
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = gx.data_context.types.base.ProgressBarsConfig(globally=False)
    built = gx.ExpectationSuite(name="suite", expectations=_built(suite))
    batch = (
        context.data_sources.add_pandas("frames")
        .add_dataframe_asset("frame")
        .add_batch_definition_whole_dataframe("all")
        .get_batch({"dataframe": _pandas(frame, suite)})
    )
    found = {
        result.expectation_config.meta[_POSITION]: result
        for result in batch.validate(built, result_format="BASIC").results
    }
    return [_result(found[position], entry) for position, entry in enumerate(suite)]


def _built(suite: Sequence[Mapping[str, Any]]) -> list[Any]:
    import great_expectations.expectations as gxe

    built = []
    for position, entry in enumerate(suite):
        name = "".join(part.capitalize() for part in entry["expectation"].split("_"))
        if not hasattr(gxe, name):
            raise ValueError(
                f"Great Expectations has no expectation {entry['expectation']}; correct the suite."
            )
        arguments = {key: value for key, value in entry.items() if key not in ("expectation", "meaning")}
        built.append(getattr(gxe, name)(**arguments, meta={_POSITION: position}))
    return built


def _pandas(frame: pl.DataFrame, suite: Sequence[Mapping[str, Any]]) -> Any:
    named = {value for entry in suite for value in _columns(entry)}
    kept = frame.select(name for name in frame.columns if name in named)
    # Great Expectations drops time zones with a deprecation warning; all our times are UTC.
    return kept.with_columns(selectors.datetime(time_zone="*").dt.replace_time_zone(None)).to_pandas()


def _columns(entry: Mapping[str, Any]) -> list[str]:
    keys = ("column", "column_A", "column_B", "sum_columns", "row_condition")
    found = [entry.get(key) for key in keys]
    return [str(name) for name in [*found, *entry.get("column_list", ())] if name is not None]


def _result(result: Any, entry: Mapping[str, Any]) -> ExpectationResult:
    details = result.result or {}
    unexpected = details.get("unexpected_count")
    return ExpectationResult(
        name=entry["expectation"],
        column=", ".join(_columns(entry)),
        success=bool(result.success),
        observed=_observed(details),
        unexpected_count=None if unexpected is None else int(unexpected),
        exception=_exception(result.exception_info),
    )


def _observed(details: Mapping[str, Any]) -> str:
    if "observed_value" in details:
        return str(details["observed_value"])
    if details.get("unexpected_percent") is not None:
        return f"{details['unexpected_count']} of {details['element_count']} unexpected"
    return ""


def _exception(info: Any) -> str | None:
    """Return the message of the first exception; one level deep for simple expectations, two for metrics."""
    if not isinstance(info, Mapping):
        return None
    if info.get("raised_exception"):
        return str(info.get("exception_message"))
    return next((message for part in info.values() if (message := _exception(part))), None)
