"""Runbooks: for each cause what it means, what to ask the tables, how to decide, what to do, did it help.

A runbook is a YAML file, so that it is reviewed like code and its queries run in the tests. Running the
queries of an incident is the warehouse's part; which causes there are is said in `rules`.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from aiops_pipelines.incidents.reported import REPORTED
from aiops_pipelines.incidents.rules import CAUSES
from aiops_pipelines.mendable import Mendable
from aiops_pipelines.part import Part
from aiops_pipelines.wording import listed

CHANGES_DATA = re.compile(r"\b(insert|update|delete|merge)\b", re.IGNORECASE)
"""All that can still follow `with`; every other statement that changes something starts with its own word."""
KNOWN = (*CAUSES, REPORTED)
"""Every cause that an incident can have."""
QUOTED = re.compile(r"'(?:[^']|'')*'")
RUNS = {
    "reindex": "brings the index up to date with its corpus, as `aiops reindex` does",
    "roll-back-index": "serves the index from before the last switch, as `aiops migrate rollback` does",
}
"""What `aiops incident remedy --run` can do by itself."""


class RunbookError(Mendable, ValueError):
    """Runbooks cannot be used as they are; the message names the file and says what to change."""


class Query(Part):
    """A question to the published tables; $system stands for the system's name."""

    question: str = Field(min_length=1)
    sql: str = Field(min_length=1)

    @field_validator("sql")
    @classmethod
    def _read_only(cls, sql: str) -> str:
        bare = QUOTED.sub("''", sql).strip()
        if not re.match(r"(select|with|from)\b", bare, re.IGNORECASE) or ";" in bare:
            raise ValueError("write one query that starts with select, with or from, without a semicolon")
        if found := CHANGES_DATA.search(bare):
            raise ValueError(f"a runbook only reads, so its query cannot hold {found.group()!r}")
        if "$system" not in bare:
            raise ValueError("every table holds all systems: filter with system = $system")
        return sql


class Runbook(Part):
    """What to do about an incident of one of its causes."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    title: str = Field(min_length=1)
    causes: tuple[str, ...] = Field(min_length=1)
    owner: str = Field(min_length=1)
    meaning: str = Field(min_length=1)
    diagnosis: tuple[Query, ...] = Field(min_length=1)
    decide: tuple[str, ...] = Field(min_length=1)
    remedy: str = Field(min_length=1)
    verify: Query
    rollback: str = Field(min_length=1)
    run: str | None = None
    """What of RUNS is the remedy; left out where it lies in the application."""

    @field_validator("run")
    @classmethod
    def _can_be_run(cls, run: str | None) -> str | None:
        if run is not None and run not in RUNS:
            each = "; ".join(f"{name} {does}" for name, does in RUNS.items())
            raise ValueError(f"{run!r} cannot be run here: {each}. Leave it out for any other remedy")
        return run

    @field_validator("decide")
    @classmethod
    def _if_then(cls, decide: tuple[str, ...]) -> tuple[str, ...]:
        for sentence in decide:
            if not re.match(r"If .+, .+\.$", sentence, re.DOTALL):
                raise ValueError(
                    f"write each decision as 'If <what is seen>, <what to do>.', not {sentence!r}"
                )
        return decide

    @model_validator(mode="after")
    def _known_causes(self) -> "Runbook":
        if unknown := [cause for cause in self.causes if cause not in KNOWN]:
            raise ValueError(f"no rule gives the cause {unknown[0]!r}; causes are {', '.join(KNOWN)}")
        return self

    @property
    def queries(self) -> tuple[Query, ...]:
        """All its queries, the one that verifies last."""
        return (*self.diagnosis, self.verify)


def load_runbooks(folder: Path) -> tuple[dict[str, Runbook], list[str]]:
    """Return the usable runbooks of a folder by name, and a sentence for each file that is set aside.

    A file is set aside when it is no runbook, or claims a cause that a file before it in the alphabet has.
    """
    runbooks: dict[str, Runbook] = {}
    mistakes: list[str] = []
    owners: dict[str, str] = {}
    for file in sorted(folder.glob("*.yaml")):
        try:
            runbook = load_runbook(file)
        except RunbookError as error:
            mistakes.append(str(error))
            continue
        if twice := [cause for cause in runbook.causes if cause in owners]:
            first = owners[twice[0]]
            mistakes.append(f"{first}.yaml and {file.name} both claim the cause {twice[0]}; keep one.")
            continue
        runbooks[file.stem] = runbook
        owners |= dict.fromkeys(runbook.causes, file.stem)
    return runbooks, mistakes


def uncovered(runbooks: Mapping[str, Runbook]) -> str:
    """Return a sentence on the causes that have no runbook; a folder can be older than a cause."""
    claimed = by_cause(runbooks)
    missing = [cause for cause in KNOWN if cause not in claimed]
    return f"The runbooks have none for {listed(missing)}; write one for each." if missing else ""


def by_cause(runbooks: Mapping[str, Runbook]) -> Mapping[str, str]:
    """Return the name of the runbook of every cause."""
    return {cause: name for name, runbook in runbooks.items() for cause in runbook.causes}


def digests(folder: Path) -> Mapping[str, str]:
    """Return the SHA-256 of each runbook's file by its name; of one that cannot be read there is none."""
    found = {}
    for file in sorted(folder.glob("*.yaml")):
        with suppress(OSError):
            found[file.stem] = sha256(file.read_bytes()).hexdigest()
    return found


def load_runbook(file: Path) -> Runbook:
    """Return the runbook of a file.

    Raises:
        RunbookError: it is none.
    """
    try:
        runbook = Runbook.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RunbookError(f"{file.name} cannot be read as YAML: {error}") from error
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in error.errors()]
        raise RunbookError(f"{file.name}: " + "; ".join(lines)) from error
    if runbook.name != file.stem:
        raise RunbookError(
            f"{file.name}: its name is {runbook.name!r}, so the file must be {runbook.name}.yaml."
        )
    return runbook
