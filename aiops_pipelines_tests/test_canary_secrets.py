"""Secrets of the environment and of prompts, planted and then looked for in every byte that work leaves behind."""

import os
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import duckdb
import pytest

from aiops_pipelines.project import ROOT, Project
from aiops_pipelines.resources.leftovers import hits, produced
from aiops_pipelines.resources.redaction import redacted, secrets_of
from aiops_pipelines.systems import load_system, load_systems
from aiops_pipelines_tests.commands.small_run import call, write_inputs, write_system

pytestmark = pytest.mark.filterwarnings("ignore:.*is currently in beta")
HOOK = "https://hooks.example/services/T0CANARY/Bq7hookcanary?sig=zzcanaryzz"
STORE = "https://reader:pw7storecanary@vectors.example/c"
JUDGE = "judge-canary-5f1c"
ENVIRONMENT = {
    "CANARY_HOOK": HOOK,
    "CANARY_STORE": STORE,
    "CANARY_JUDGE": JUDGE,
    "CANARY_PAGER": "pager-canary-77",
}
PARTS = ("Bq7hookcanary", "zzcanaryzz", "pw7storecanary", JUDGE, "pager-canary-77")
STORE_CLASS = "aiops_pipelines_tests.resources.lying_stores.TellsItsAddress"
SETTINGS = {
    "publish": {"store": STORE_CLASS, "arguments": {"table": "{collection}"}, "secrets": {"file": "CANARY_STORE"}},
    "judge": {"kind": "openai_compatible", "base_url": "http://127.0.0.1:9/v1", "model": "m", "dated_name": "m-2026-01-01", "secrets": {"api_key": "CANARY_JUDGE"}},
    "notifications": [
        {"kind": "slack", "secrets": {"url": "CANARY_HOOK"}},
        {"kind": "pagerduty", "url": "http://127.0.0.1:9/in", "secrets": {"routing_key": "CANARY_PAGER"}},
        {"kind": "log"},
    ],
}  # fmt: skip
PROMPTS = {
    "openai": "sk-proj-Canary0aBcDeFgHiJkLmNoPqRsT",
    "aws": "AKIACANARY7EXAMPLE99",
    "github": "ghp_Canary1234567890abcdefghijABCDEFGH",
    "bearer": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlY2FuYXJ5",
    "password": "hunter2canary9",
    "mail": "canary.person@example.org",
}
SAID = {
    "openai": "My key is {}, does it work?",
    "aws": "aws_access_key_id {} is ours",
    "github": "git clone with {}",
    "bearer": "Authorization: Bearer {}",
    "password": "password: {}",
    "mail": "Write to {} please",
}


def system_with_secrets(data: Path) -> None:
    write_inputs(data)
    write_system(data, **SETTINGS)


def stored_texts(file: Path) -> Iterable[str]:
    """Every row of every table of a DuckDB file, as text: DuckDB compresses what it stores."""
    with duckdb.connect(str(file), read_only=True) as connection:
        for schema, table in connection.execute(
            "select schema_name, table_name from duckdb_tables()"
        ).fetchall():
            for row in connection.execute(f'select * from {schema}."{table}"').fetchall():
                yield str(row)


def found(data: Path, canaries: Iterable[str]) -> dict[str, list[str]]:
    """Where canaries stand, in the bytes of every file that was produced and in the rows of DuckDB's."""
    project = Project(data)
    systems = load_systems(project.systems, project.data)[0].values()
    where = {}
    for file in produced(project, systems):
        texts = "\n".join(stored_texts(file)) if file.suffix == ".duckdb" else ""
        named = [one for one in canaries if one in texts or hits(file, {one.encode(): False})]
        if named:
            where[file.relative_to(data).as_posix()] = named
    return where


# --- what an error says


def test_a_secret_is_taken_out_whole_and_in_the_parts_that_errors_show(tmp_path, monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    system_with_secrets(tmp_path)
    secrets = secrets_of([load_system(tmp_path / "systems" / "support.yaml", tmp_path)])
    for said in (
        HOOK,
        "Max retries exceeded with url: /services/T0CANARY/Bq7hookcanary?sig=zzcanaryzz (refused)",
        f"ValueError({STORE!r})",
        "cannot log in with pw7storecanary at vectors.example",
        f"{{'Authorization': 'Bearer {JUDGE}'}}",
        "https%3A//hooks.example/services/T0CANARY/Bq7hookcanary%3Fsig%3Dzzcanaryzz",
    ):
        assert not [part for part in PARTS if part in redacted(said, secrets)], said
    monkeypatch.setenv("CANARY_STORE", "https://reader:pw7%40store%2Fcanary@vectors.example/c")
    secrets = secrets_of([load_system(tmp_path / "systems" / "support.yaml", tmp_path)])
    assert redacted("cannot log in with pw7@store/canary", secrets) == "cannot log in with [CANARY_STORE]"
    assert (
        redacted("the judge did not answer; see m-2026-01-01", secrets)
        == "the judge did not answer; see m-2026-01-01"
    )
    assert redacted(f"key {JUDGE}", secrets) == "key [CANARY_JUDGE]"


@pytest.mark.parametrize("named", [True, False], ids=["named by the system's file", "control"])
def test_what_a_library_says_of_a_secret_is_not_logged(
    instance, tmp_path, project, warehouse, monkeypatch, named
):
    from aiops_pipelines.defs.bodies import Work
    from aiops_pipelines.defs.runs import RunFailed, _Runner

    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    write_inputs(project.data)
    write_system(project.data, **(SETTINGS if named else {}))

    @dg.asset
    def calls(context: dg.AssetExecutionContext) -> None:
        work = Work(context, project, warehouse, "calls")
        for system in work.operated():
            with work.guarding(system.name, KeyError):
                raise KeyError(f"no bucket at {HOOK}")
            with work.guarding(system.name):
                try:
                    raise ConnectionError(f"cannot reach {STORE}")
                except ConnectionError as error:
                    raise ValueError({"headers": f"Bearer {JUDGE}"}) from error
        work.close()

    definitions = dg.Definitions(assets=[calls], jobs=[dg.define_asset_job("continuous", [calls])])
    with pytest.raises(RunFailed) as told:
        _Runner(definitions, instance, tmp_path, print)("continuous", {})
    left = [path for path in tmp_path.rglob("*") if path.is_file() and "systems" not in path.parts]
    texts = [
        str(told.value),
        *stored_texts(project.warehouse),
        *(p.read_bytes().decode("latin-1") for p in left),
    ]
    seen = {part for part in PARTS for text in texts if part in text}
    assert seen == (set() if named else {"Bq7hookcanary", "zzcanaryzz", "pw7storecanary", JUDGE})


# --- the work of a system


@pytest.mark.slow
def test_after_the_work_of_a_system_no_secret_stands_in_any_file(tmp_path):
    data = tmp_path / "data"
    system_with_secrets(data)
    first = datetime(2026, 6, 1, 13, tzinfo=UTC)
    lines = [
        call(1_000 + number, first, **{field: SAID[kind].format(PROMPTS[kind])}) + "\n"
        for number, (kind, field) in enumerate(
            (kind, field) for kind in PROMPTS for field in ("query", "answer")
        )
    ]
    lines += [f'{{"broken": "{SAID[kind].format(PROMPTS[kind])}"\n' for kind in PROMPTS]
    with (data / "log" / "june.jsonl").open("a") as log:
        log.writelines(lines)
    environment = {key: value for key, value in os.environ.items() if key != "DAGSTER_HOME"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", "from aiops_pipelines.cli import app; app()", "run"],
        cwd=ROOT, env=environment | ENVIRONMENT | {"AIOPS_DATA": str(data)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    canaries = [*PARTS, *PROMPTS.values()]
    assert not [one for one in canaries if one in done.stdout + done.stderr]
    keys = Project(data).keys / "support"
    canaries += [form for file in keys.rglob("*.key") for form in (file.read_bytes().hex(),)]
    canaries += (keys / "checkpoint.pem").read_text().splitlines()[1:-1]
    where = found(data, canaries)
    assert {file: named for file, named in where.items() if not file.startswith("keys/")} == {}
    rows = list(stored_texts(Project(data).warehouse))
    assert sum("[SECRET]" in row for row in rows) >= 10 and any("[EMAIL]" in row for row in rows)
    assert any("publish.arguments" in row for row in rows)  # the store failed, and was told of
    project = Project(data)
    (project.reports / "left.txt").write_text(f"{JUDGE} in a file that somebody left")  # the control
    assert found(data, canaries).keys() - where.keys() == {"reports/left.txt"}
