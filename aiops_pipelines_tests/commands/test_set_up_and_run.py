"""The command line: help, setting a system up, running, and the queries to start with."""

import os
import socket
import subprocess
import sys
from datetime import UTC, datetime

import pytest
import typer

from aiops_pipelines.cli import PANELS, app
from aiops_pipelines.commands.operate import show_outputs
from aiops_pipelines.incidents.settings import BusinessHours
from aiops_pipelines.project import ROOT, Project
from aiops_pipelines.rag.index_settings import Index
from aiops_pipelines.resources.published import ReadOnlyWarehouse
from aiops_pipelines.systems import Baseline, Limits, Retention, System, load_system
from aiops_pipelines_tests.commands.small_run import TABLES, call, refused, write_inputs, write_system

QUERIES = sorted((ROOT / "docs" / "queries").glob("*.sql"))

# Help


def test_every_command_stands_in_its_panel_with_a_sentence(aiops, tmp_path):
    group = typer.main.get_command(app)
    names = group.list_commands(None)
    assert names == [
        *["init", "check", "import", "run", "reindex", "publish", "ui"],
        *["status", "incidents", "problems", "trace"],
        *["costs", "prices", "rag", "erase", "incident", "baseline", "migrate", "quarantine"],
        *["gameday", "restore", "audit", "witness", "backup"],
    ]
    text = aiops(tmp_path, "--help").text
    positions = [text.index(f"─ {panel} ─") for panel in PANELS]
    assert positions == sorted(positions)
    inner = [command for one in names for command in getattr(group.commands[one], "commands", {}).values()]
    for command in [*group.commands.values(), *inner]:
        assert command.help and command.help.strip().endswith("."), command.name
    for name in names:
        assert f"│ {name} " in text


@pytest.mark.parametrize(
    ("command", "heavy"),
    [
        ("--help", ["dagster", "duckdb", "polars", "pydantic", "yaml"]),
        ("status", ["altair", "dagster", "dbt", "llama_index", "onnxruntime", "scipy.stats", "tokenizers"]),
    ],
)
def test_a_command_imports_nothing_heavy_that_it_does_not_use(finished, command, heavy):
    code = (
        "import sys; from typer.testing import CliRunner; from aiops_pipelines.cli import app;"
        f"done = CliRunner().invoke(app, ['--data', {str(finished)!r}, {command!r}]);"
        f"print(done.exit_code, sorted(set({heavy}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0 []"


# Set up


def test_init_writes_one_file_that_states_every_default_and_says_what_goes_where(aiops, tmp_path):
    answer = aiops(tmp_path, "init", "desk-help")
    assert answer.code == 0
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [tmp_path / "systems/desk-help.yaml"]
    for place in ("corpus/desk-help", "inference_log/desk-help", "queries/desk-help.jsonl"):
        assert place in answer.text
    system = load_system(tmp_path / "systems/desk-help.yaml", tmp_path)
    assert (system.limits, system.baseline, system.retention) == (Limits(), Baseline(), Retention())
    assert system.index == Index()
    assert system.business_hours == BusinessHours()
    assert system.notifications == System.model_fields["notifications"].default


def test_a_data_folder_that_cannot_be_is_a_sentence(aiops, tmp_path):
    (tmp_path / "file").write_text("")
    refused(aiops(tmp_path / "file" / "data", "init"), "data/systems cannot be used: Not a directory.")


def test_init_explains_every_key(aiops, tmp_path):
    aiops(tmp_path, "init", "desk")
    lines = (tmp_path / "systems/desk.yaml").read_text().splitlines()
    parts = [System, Index, Limits, Baseline, Retention, BusinessHours]
    for key in sorted({name for part in parts for name in part.model_fields}):
        at = next(n for n, line in enumerate(lines) if line.lstrip("# ").startswith(f"{key}:"))
        assert lines[at - 1].lstrip().startswith("# "), key


def test_init_overwrites_nothing(aiops, data):
    before = (data / "systems/support.yaml").read_text()
    refused(aiops(data, "init", "support"), "is there already")
    assert (data / "systems/support.yaml").read_text() == before


@pytest.mark.parametrize("name", ["Support", "../up", "no", "a" * 41, "1st", ""])
def test_init_refuses_a_name_and_leaves_nothing(aiops, tmp_path, name):
    refused(aiops(tmp_path, "init", name), "cannot be a system's name")
    assert not list(tmp_path.rglob("*.yaml"))


def test_check_finds_nothing_wrong(aiops, data):
    answer = aiops(data, "check")
    assert answer.code == 0
    assert answer.raw.count("✓") == 6 and "✗" not in answer.raw and "!" not in answer.raw
    assert "Log: 30 calls in 1 file, from 1 Jun 2026 to 29 Jun 2026." in answer.text
    assert "the first 2 weeks hold 6 production calls and 6 answers to known queries" in answer.text
    assert "a recorded story that ends 6 Jul 2026 06:00 UTC" in answer.text


CHECKS = [
    ({"inference_log": {"folder": "log", "format": "csv"}}, 1, "✗ support.yaml: inference_log.format"),
    ({"corpus": {"folder": "nowhere"}}, 1, "nowhere does not exist; create it"),
    ({"corpus": None}, 0, "! No corpus is given"),
    (
        {"inference_log": {"folder": "nowhere"}},
        1,
        "nowhere does not exist; create it, or change inference_log",
    ),
    ({"inference_log": {"folder": "corpus"}}, 1, "holds no log file"),
    (
        {"inference_log": {"folder": "log", "format": "otlp_json"}},
        1,
        "No line of the log can be read as otlp_json",
    ),
    ({"known_queries": None}, 0, "! No known_queries are given"),
    ({"known_queries": "nothing.jsonl"}, 1, "nothing.jsonl does not exist"),
    ({"known_queries": "log/june.jsonl"}, 1, "30 lines of june.jsonl cannot be read, the first: Line 1"),
    (
        {"baseline": {"weeks": 6, "minimum_rows": 1}},
        0,
        "! The log holds 5 complete weeks; a baseline needs 6",
    ),
    ({"baseline": {"weeks": 2, "minimum_rows": 7}}, 0, "with fewer than 7 no week can be judged"),
    ({"as_of": "2026-06-30T06:00:00Z", "baseline": {"weeks": 5}}, 0, "! The log holds 4 complete weeks"),
    ({"as_of": "2026-06-20T06:00:00Z"}, 0, "! The log goes on after as_of, until 29 Jun 2026"),
    ({"as_of": "2099-01-01T00:00:00Z"}, 0, "! as_of is 1 Jan 2099 00:00 UTC, which is still to come"),
    ({"as_of": None}, 0, "! The last call is of 29 Jun 2026 17:00 UTC: silence."),
    ({"notifications": [{"kind": "webhook"}]}, 1, "✗ A place of kind webhook in notifications has no url"),
    (
        {"notifications": [{"kind": "pagerduty"}]},
        1,
        "has no routing_key; add it (secrets: {routing_key: NAME}",
    ),
    ({"notifications": [{"kind": "email", "server": "x"}]}, 1, "in notifications has no sender and to; add"),
    (
        {"profile": "regulated", "retention": {"audit_days": 2191}},
        0,
        "! The audit log is kept for 2,191 days. The controls of a regulated system ask for more: "
        "R12 (HIPAA 164.316(b)(2)(i)) 2,192 and R16 (SEC 17a-4(f)",
    ),
    (
        {"notifications": [{"kind": "slack", "secrets": {"url": "NO_SUCH_VARIABLE"}}]},
        0,
        "! A place of kind slack in notifications needs the environment variable NO_SUCH_VARIABLE",
    ),
]


@pytest.mark.parametrize(("changed", "code", "said"), CHECKS)
def test_check_says_what_is_wrong_with_the_file(aiops, tmp_path, changed, code, said):
    write_inputs(tmp_path)
    write_system(tmp_path, **changed)
    answer = aiops(tmp_path, "check", "support")
    assert said in answer.text
    assert answer.code == code


def test_check_says_what_is_wrong_with_what_lies_there(aiops, tmp_path):
    write_inputs(tmp_path)
    at = datetime(2026, 6, 30, tzinfo=UTC)
    unnamed = call(91, at, provider=None, model_served="house-model")
    lines = ["not json", call(90, at, model_served="own-model"), unnamed, call(0, at)]
    (tmp_path / "log" / "more.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "corpus" / "returns.md").rename(tmp_path / "corpus" / "refunds.md")
    (tmp_path / "corpus" / "prices.xlsx").write_text("no document")
    answer = aiops(tmp_path, "check")
    assert answer.code == 0
    for said in (
        "Log: 32 calls in 2 files",  # e0 is there already
        "! 1 line of the log will be set aside, the first: line 1 of more.jsonl",
        "! No price is known for own-model (1 call)",
        "! 1 call without a model, or with a name that tells no provider: the cost is unknown.",
        "! 1 file of the corpus will be set aside: .xlsx.",
        "! Judgements name 1 document that the corpus does not hold: returns.md.",
    ):
        assert said in answer.text


def test_check_names_a_contract_price_that_is_for_no_call(aiops, tmp_path):
    write_inputs(tmp_path)
    dated = call(90, datetime(2026, 6, 30, tzinfo=UTC), provider=None, model_served="house-llm-2026-05-01")
    (tmp_path / "log" / "more.jsonl").write_text(dated + "\n")
    prices = [
        {"model": model, "valid_from": "2026-01-01", "input": 1, "output": 2}
        for model in ("GPT-4o-mini", "house-llm", "gpt4o")
    ]
    write_system(tmp_path, prices=prices)
    answer = aiops(tmp_path, "check", "support")
    assert "! The contract price of gpt4o is for no call in the log; write the model's name" in answer.text
    assert "Prices: known for 2 models" in answer.text


def test_check_reads_a_bounded_part_of_the_log(tmp_path):
    from aiops_pipelines.resources.log_sample import log_sample

    write_inputs(tmp_path)
    sample = log_sample(load_system(tmp_path / "systems/support.yaml", tmp_path).inference_log, limit=7)
    assert (sample.lines, sample.calls, sample.capped) == (7, 7, True)
    assert not log_sample(load_system(tmp_path / "systems/support.yaml", tmp_path).inference_log).capped


def test_check_without_a_system_says_how_to_write_one(aiops, tmp_path):
    refused(aiops(tmp_path, "check"), "No system is configured", "aiops init")


def test_check_names_the_systems_there_are(aiops, data):
    refused(aiops(data, "check", "other"), "There is no system other; there is support.")


# Run


def test_run_without_a_system_says_how_to_write_one(aiops, tmp_path):
    refused(aiops(tmp_path, "run"), "No system is configured", "aiops init")


def test_outputs_are_named_with_the_newest_pages(finished, tmp_path, capsys):
    for page in ("weekly/2026-06-22.html", "weekly/2026-06-29.html", "monthly/2026-06.html"):
        file = tmp_path / "reports/support" / page
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    show_outputs(Project(tmp_path), [load_system(finished / "systems/support.yaml", finished)])
    printed = capsys.readouterr().out
    for shown in ("aiops.duckdb", "2026-06-29.html", "2026-06.html", *(file.name for file in QUERIES)):
        assert shown in printed
    assert "2026-06-22.html" not in printed


@pytest.mark.slow
def test_run_does_what_is_due_and_says_what_was_found(tmp_path):
    write_inputs(tmp_path)
    command = [
        sys.executable,
        "-c",
        "from aiops_pipelines.cli import app; app()",
        "--data",
        str(tmp_path),
        "run",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Service" in done.stdout and "Where to look next:" in done.stdout
    assert Project(tmp_path).published.exists()


def test_ui_starts_dagster_in_its_home(tmp_path):
    """The executable beside the interpreter is started; here it is one that shows how."""
    stand_in = tmp_path / "bin" / "dagster"
    stand_in.parent.mkdir()
    stand_in.write_text('#!/bin/sh\necho "home=$DAGSTER_HOME data=$AIOPS_DATA arguments=$*"\n')
    stand_in.chmod(0o755)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = f"import sys; sys.executable = {str(stand_in.with_name('python'))!r}; from aiops_pipelines.cli import app; app()"
    command = [sys.executable, "-c", code, "--data", str(tmp_path), "ui", "--port", str(port)]
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert f"http://127.0.0.1:{port}" in done.stdout
    assert f"home={tmp_path}/dagster data={tmp_path} arguments=dev -w {ROOT}/workspace.yaml" in done.stdout
    assert f"-h 127.0.0.1 -p {port}" in done.stdout
    assert (tmp_path / "dagster/dagster.yaml").exists()


def test_ui_says_that_its_port_is_taken(aiops, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused(aiops(tmp_path, "ui", "--port", str(taken.getsockname()[1])), "listens on port", "--port")


# The example queries


@pytest.mark.parametrize("file", QUERIES, ids=lambda file: file.stem)
def test_an_example_query_runs_on_the_published_copy(finished, file):
    found = ReadOnlyWarehouse(Project(finished).published, TABLES).read(file.read_text())
    assert found.height == 1 and found["system"].to_list() == ["support"]
    assert None not in found.row(0)[:3]


def test_there_are_three_example_queries():
    assert len(QUERIES) == 3
