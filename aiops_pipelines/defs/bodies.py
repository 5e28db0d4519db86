"""What every asset body shares: labels, systems and periods, and how it reports what stands in the way."""

import base64
import re
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Any

import dagster as dg
import polars as pl

from aiops_pipelines.defs.cadences import utc_now
from aiops_pipelines.defs.dead_runs import HOST_TAG, this_host
from aiops_pipelines.document import Chart
from aiops_pipelines.mendable import Mendable, about
from aiops_pipelines.periods import judged_months, judged_weeks
from aiops_pipelines.project import Project
from aiops_pipelines.resources.charts import draw
from aiops_pipelines.resources.redaction import redacted, secrets_of
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System, load_systems
from aiops_pipelines.wording import inert

MARKDOWN = re.compile(r"[\\`*_\[\]<>!|~]")
"""Characters that mean something in Markdown within a cell."""
OWNER = "team:ai-operations"
ROWS_SHOWN = 12


def labels(pillar: str, cadence: str, *kinds: str) -> dict[str, Any]:
    """Return group, cadence tag, kinds and owner of an asset."""
    return {
        "group_name": pillar,
        "tags": {"cadence": cadence},
        "kinds": {"python", "duckdb", *kinds},
        "owners": [OWNER],
    }


def spec(
    name: str, description: str, deps: Sequence[str | dg.AssetDep], labelled: Mapping[str, Any]
) -> dg.AssetSpec:
    """Return one table of an asset that writes several."""
    return dg.AssetSpec(name, deps=deps, description=description, **labelled)


def table(frame: pl.DataFrame, rows: int = ROWS_SHOWN) -> dg.MarkdownMetadataValue:
    """Return the first rows of a frame as a small table for the UI."""
    shown = frame.head(rows).select(
        pl.col(name)
        if dtype.is_numeric() or dtype == pl.String
        else pl.col(name).cast(pl.String, strict=False)
        for name, dtype in frame.schema.items()
        if not dtype.is_nested() and dtype != pl.Binary
    )
    head = "| " + " | ".join(shown.columns) + " |\n|" + " --- |" * shown.width
    lines = ["| " + " | ".join(_cell(value) for value in row) + " |" for row in shown.iter_rows()]
    more = [f"\n{frame.height - rows} more rows."] if frame.height > rows else []
    return dg.MetadataValue.md("\n".join([head, *lines, *more]))


def plot(chart: Chart) -> dg.MarkdownMetadataValue:
    """Return a chart as a picture for the UI."""
    picture = base64.b64encode(draw(chart).encode()).decode()
    return dg.MetadataValue.md(f"![{_escaped(chart.title)}](data:image/svg+xml;base64,{picture})")


def _cell(value: object) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
    return _escaped(text.replace("\n", " ")[:120])


def _escaped(text: str) -> str:
    """Return text from outside as Markdown that shows it: no picture is fetched, no words hide a link."""
    return MARKDOWN.sub(r"\\\g<0>", inert(text))


class Work:
    """An asset body at work on its systems, one after another; one that fails does not stop the others."""

    def __init__(self, context: dg.AssetExecutionContext, project: Project, warehouse: Warehouse, area: str):
        self.context, self.project, self.warehouse, self.area = context, project, warehouse, area
        self.systems, self.mistakes = load_systems(project.systems, project.data)
        self.clock = utc_now()
        self._secrets = secrets_of(self.systems.values())
        if HOST_TAG not in context.run.tags:  # a schedule's, or started in the UI
            context.instance.add_run_tags(context.run.run_id, {HOST_TAG: this_host()})
        self._problems: dict[str, list[str]] = {}
        self._unexpected: dict[str, str] = {}

    def system_keys(self) -> list[str]:
        """Return the systems of this run's partitions, or all of them for an asset without partitions."""
        if not self.context.has_partition_key and not self.context.has_partition_key_range:
            return list(self.systems)
        return sorted({_system_of(key) for key in self.context.partition_keys})

    def operated(self) -> Iterator[System]:
        """Yield the run's systems that have a usable file; the others are reported.

        The warehouse stays open in between, so leave the loop by its end: dbt waits for the file.
        """
        with self.warehouse.held():
            for name in self.system_keys():
                self._problems.setdefault(name, [])
                if system := self.systems.get(name):
                    yield system
                else:
                    gone = f"{name}.yaml is gone; restore it or ignore this partition."
                    self.problem(name, self.mistakes.get(name, gone))

    def weeks(self, system: System) -> list[date]:
        """Return the weeks of this run that are due for a system."""
        return self._periods(system, judged_weeks)

    def months(self, system: System) -> list[date]:
        """Return the months of this run that are due for a system."""
        return self._periods(system, judged_months)

    def _periods(self, system: System, due: Any) -> list[date]:
        first = self.warehouse.read(
            "select min(occurred_at) as first from inference_log.inferences where system = ?", [system.name]
        )["first"][0]
        if first is None:
            return []
        wanted = {
            date.fromisoformat(key.keys_by_dimension["period"])
            for key in self.context.partition_keys
            if isinstance(key, dg.MultiPartitionKey) and _system_of(key) == system.name
        }
        return [period for period in due(system, first, self.clock) if period in wanted]

    def problem(self, system: str, sentence: str) -> None:
        """Report what stands in the way of a system, in a sentence that says what to do."""
        sentence = redacted(sentence, self._secrets)
        self.context.log.warning(f"{system}: {sentence}")
        self._problems.setdefault(system, []).append(sentence)

    @contextmanager
    def guarding(self, system: str, *expected: type[Exception]) -> Iterator[None]:
        """Report an error of one system and go on; an unexpected one fails the step at its end."""
        try:
            yield
        except expected as error:
            self.problem(system, str(error))
        except Exception as error:
            self.context.log.error(redacted(traceback.format_exc(), self._secrets))
            mendable = str(error) if isinstance(error, Mendable) else ""
            mendable = about(error) if isinstance(error, OSError) else mendable
            unexpected = f"{self.area} stopped with an unexpected {type(error).__name__}: {error}"
            self.problem(system, mendable or unexpected)
            self._unexpected[system] = redacted(mendable or unexpected, self._secrets)

    def close(self) -> None:
        """Store the problems of this run's systems; fail when something unexpected happened."""
        declared = self.warehouse.tables["operations.problems"]
        rows = [
            (name, self.area, sentence, self.clock)
            for name, sentences in self._problems.items()
            for sentence in dict.fromkeys(sentences)
        ]
        frame = pl.DataFrame(rows, schema=declared.schema, orient="row")
        if self._problems:
            self.warehouse.replace("operations.problems", frame, system=list(self._problems), area=self.area)
        if self._unexpected:
            said = " ".join(f"{name}: {sentence}" for name, sentence in self._unexpected.items())
            raise dg.Failure(
                f"{self.area} stopped for {', '.join(self._unexpected)}; the other systems are done. {said}"
            )


def _system_of(key: str) -> str:
    return key.keys_by_dimension["system"] if isinstance(key, dg.MultiPartitionKey) else key
