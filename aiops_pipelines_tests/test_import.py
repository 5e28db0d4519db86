"""`aiops import` as a person types it: what is stored, what is only looked at, what is refused."""

import json

import pytest
from typer.testing import CliRunner

from aiops_pipelines.cli import app
from aiops_pipelines.project import Project
from aiops_pipelines.resources.tables import declared_tables
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines_tests.inference_log.renderings import Call, aiops, http, litellm
from aiops_pipelines_tests.inference_log.test_exports import OPIK_CALL, OPIK_OTHERS, OPIK_TRACE

CALL = Call("openai", "gpt-4o-mini", 700, 300, 0, 90, 10)
FIELDS = {
    "event_id",
    "trace_id",
    "occurred_at",
    "provider",
    "model_requested",
    "model_served",
    "input_uncached",
    "cache_read",
    "cache_write",
    "output_visible",
    "reasoning",
    "tokens_total",
    "token_convention",
    "cost_usd",
    "cost_low_usd",
    "cost_high_usd",
    "price_status",
    "latency_ms",
    "time_to_first_token_ms",
    "status",
    "session_id",
    "user_id",
}


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data"
    (folder / "systems").mkdir(parents=True)
    (folder / "systems/desk.yaml").write_text("name: desk\ntitle: Desk\ninference_log: {folder: log}\n")
    return folder


def run(folder, *arguments):
    return CliRunner().invoke(app, ["--data", str(folder), "import", *map(str, arguments)])


def log(folder, name, *lines):
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder / name


def text(rendered):
    return rendered[0][1].decode() if isinstance(rendered, list) else rendered.decode()


def test_a_file_is_stored_once_and_counted(data, tmp_path):
    file = log(tmp_path, "calls.jsonl", text(aiops(CALL)), "{broken", text(aiops(CALL)))
    first = run(data, file, "--system", "desk")
    assert first.exit_code == 0, first.output
    assert "Stored" in first.output and "1 call" in first.output
    assert "1: The line is not JSON" in first.output
    again = run(data, file, "--system", "desk")
    assert "0 calls" in again.output
    rows = Warehouse(Project(data).warehouse, declared_tables(Project(data).dbt)).rows(
        "inference_log.inferences"
    )
    assert rows.select("input_uncached", "cache_read", "tokens_total").rows() == [(700, 300, 1100)]


def test_an_export_is_found_out_and_what_is_no_call_in_it_is_counted(data, tmp_path):
    document = {"trace": OPIK_TRACE, "spans": [*OPIK_OTHERS, OPIK_CALL], "project_name": "p"}
    done = run(data, log(tmp_path, "trace_t1.json", json.dumps(document, indent=2)), "--system", "desk")
    assert done.exit_code == 0, done.output
    assert "1 call" in done.output and "trace (1), general (1), tool (1)" in done.output
    books = Warehouse(Project(data).warehouse, declared_tables(Project(data).dbt))
    stored = books.rows("inference_log.inferences").select("source_format", "cache_read", "trace_id").rows()
    assert stored == [("opik", 1_536, "t1")]
    assert books.rows("inference_log.traces").select("trace_id", "session_id").rows() == [("t1", "thread-1")]


def test_a_dry_run_prints_one_priced_call_a_line_and_stores_nothing(tmp_path):
    file = log(tmp_path, "gateway.jsonl", text(litellm(CALL)))
    shown = run(tmp_path / "none", file, "--dry-run", "--json")
    assert shown.exit_code == 0, shown.output
    [record] = [json.loads(line) for line in shown.stdout.splitlines()]
    assert record.keys() >= FIELDS
    assert record["cost_usd"] == pytest.approx((700 * 0.15 + 300 * 0.075 + 100 * 0.60) / 1e6, abs=1e-12)
    assert record["price_status"] == "priced"
    assert not (tmp_path / "none").exists()
    spoken = run(tmp_path / "none", file, "--dry-run")
    assert "litellm; nothing is stored" in spoken.output
    assert "1,100" in spoken.output


def test_a_dry_run_prices_cache_writes_for_an_hour(tmp_path):
    """Sonnet 4.5: 456 x 3.75 + 100 x 6 USD a million written, in all 0.016539 USD."""
    call = Call("anthropic", "claude-sonnet-4-5", 2_048, 1_800, 556, 503, 0, hour=100)
    shown = run(tmp_path, log(tmp_path, "calls.jsonl", text(http(call))), "--dry-run", "--json")
    [record] = [json.loads(line) for line in shown.stdout.splitlines()]
    assert (record["cache_write"], record["cache_write_1h"], record["tokens_total"]) == (556, 100, 4_907)
    assert record["cost_usd"] == pytest.approx(0.016539, abs=1e-12)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name the system they belong to"),
        (["--system", "desk", "--json"], "add --dry-run"),
        (["--system", "nobody"], "There is no system nobody"),
        (["--dry-run", "--format", "xml"], "there is no format xml"),
    ],
)
def test_what_cannot_be_done_is_said(data, tmp_path, arguments, said):
    refused = run(data, log(tmp_path, "calls.jsonl", text(aiops(CALL))), *arguments)
    assert refused.exit_code != 0
    assert said in " ".join(refused.output.replace("│", " ").split())


def test_an_unknown_file_is_told_what_was_looked_for_and_the_others_are_read(data, tmp_path):
    odd, good = log(tmp_path, "odd.jsonl", '{"a": 1}'), log(tmp_path, "good.jsonl", text(aiops(CALL)))
    done = run(data, odd, good, tmp_path / "gone.jsonl", "--system", "desk")
    assert done.exit_code == 1
    said = " ".join(done.output.split())
    assert "odd.jsonl: No known format was found. Looked for aiops_jsonl" in said
    assert "gone.jsonl: it cannot be used: No such file or directory." in said
    assert "1 call" in said


def test_a_torn_last_line_is_said_to_wait_and_is_read_once_it_has_ended(data, tmp_path):
    """C05."""
    file = log(tmp_path, "calls.jsonl", text(aiops(CALL)))
    whole = text(aiops(CALL)).replace('"e1"', '"e2"') + "\n"
    with file.open("a") as growing:
        growing.write(whole[:50])
    waits = "50 bytes without an end"
    assert waits in " ".join(run(tmp_path, file, "--dry-run").output.split())
    assert waits in " ".join(run(data, file, "--system", "desk").output.split())
    with file.open("a") as growing:
        growing.write(whole[50:])
    ended = run(data, file, "--system", "desk")
    assert "1 call" in ended.output and "without an end" not in ended.output


def test_a_dry_run_says_what_an_export_lacks(tmp_path):
    listed = [{"key": "observations.jsonl", "table": "observations", "rowCount": 3}]
    manifest = {"version": 1, "window": {"minTimestamp": "a", "maxTimestamp": "b"}, "files": listed}
    said = run(tmp_path, log(tmp_path, "manifest.json", json.dumps(manifest)), "--dry-run")
    assert said.exit_code == 1
    assert "observations.jsonl is listed in manifest.json and is not there" in " ".join(said.output.split())
