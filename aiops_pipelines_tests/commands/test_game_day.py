"""A game day is held on a copy: what would be found is said, and nothing of it happened."""

import hashlib
import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from aiops_pipelines.resources.practice import LEFT_OUT
from aiops_pipelines.resources.warehouse import PRACTICE
from aiops_pipelines.systems import System
from aiops_pipelines_tests.commands.small_run import call, refused, stored, write_inputs, write_system

START = datetime(2026, 6, 1, tzinfo=UTC)
WEEKS, PER_DAY = 5, 30


def test_a_fault_that_there_is_not_is_told_with_those_there_are(aiops, data):
    answer = aiops(data, "gameday", "support", "--fault", "fire")
    assert answer.code == 2
    assert "There is no fault fire; there are outage, errors," in answer.error.replace("│ ", "")


def test_a_log_without_a_whole_week_has_nothing_to_play_again(aiops, data):
    refused(aiops(data, "gameday", "support"), "support has no whole week of calls yet")
    assert not list((data / "warehouse").glob(f"{PRACTICE}*"))


def test_before_the_first_run_there_is_nothing_to_copy(aiops, tmp_path):
    write_inputs(tmp_path / "data")
    refused(aiops(tmp_path / "data", "gameday", "support"), "aiops run")


def test_a_damaged_copy_of_a_killed_game_day_goes_with_the_next(aiops, data):
    ended = subprocess.Popen(["true"])
    ended.wait()
    for left in (data / "warehouse" / f"{PRACTICE}{name}" for name in ("killed", f"{ended.pid}-x")):
        left.mkdir()
        (left / "half.jsonl").write_text("{")
        aiops(data, "gameday", "support")
        assert not left.exists()


def test_the_copy_of_a_game_day_that_is_being_held_stays(aiops, data):
    held = data / "warehouse" / f"{PRACTICE}{os.getpid()}-x"
    held.mkdir()
    aiops(data, "gameday", "support")
    assert held.exists()


def test_every_key_of_a_system_is_practised_with_or_left_out_on_purpose():
    kept = {"name", "title", "owner", "profile", "as_of", "corpus", "index", "inference_log", "known_queries"}
    kept |= {"baseline", "limits", "prices", "retention", "business_hours"}
    assert set(System.model_fields) - LEFT_OUT == kept


@pytest.fixture(scope="module")
def operated(tmp_path_factory) -> Path:
    """The data folder of a real run over five weeks of calls."""
    from typer.testing import CliRunner

    from aiops_pipelines.cli import app

    data = tmp_path_factory.mktemp("operated") / "data"
    write_inputs(data)
    moments = [
        START + timedelta(days=n // PER_DAY, minutes=40 * (n % PER_DAY)) for n in range(WEEKS * 7 * PER_DAY)
    ]
    calls = [
        call(
            n,
            at,
            user_id=f"u{n % 40}",
            session_id=f"s{n // 3}",
            latency_ms=900 + n % 200,
            answer="Within 30 days.",
        )
        for n, at in enumerate(moments)
    ]
    (data / "log" / "june.jsonl").write_text("\n".join(calls) + "\n")
    write_system(data, as_of=(START + timedelta(weeks=WEEKS, hours=6)).isoformat())
    result = CliRunner().invoke(app, ["--data", str(data), "run"])
    assert result.exit_code == 0, result.output
    return data


def everything(data: Path) -> dict[str, str]:
    """Digest of every file that proves or tells something."""
    kept = [
        file
        for name in ("keys", "audit", "notifications", "systems", "log")
        for file in (data / name).rglob("*")
    ]
    return {str(file): hashlib.sha256(file.read_bytes()).hexdigest() for file in kept if file.is_file()}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_an_outage_is_found_on_a_copy_and_the_project_stays_as_it_was(aiops, operated):
    before, signals = everything(operated), stored(operated).rows("incidents.signals")
    answer = aiops(operated, "gameday", "support", "--fault", "outage", "--json")
    assert answer.code == 0, answer.error
    said = json.loads(answer.raw)
    assert (said["week"], said["played"]) == ("2026-07-06", "2026-06-29")
    [outage] = said["faults"]
    assert (outage["found"], outage["named"], outage["severity"]) == (True, True, "P1")
    assert outage["hours"] == 24
    assert everything(operated) == before
    assert stored(operated).rows("incidents.signals").equals(signals)
    assert not list((operated / "warehouse").glob(f"{PRACTICE}*"))
    [row] = stored(operated).rows("incidents.game_days").rows(named=True)
    assert (row["fault"], row["found"], row["causes"][0]) == ("outage", True, "errors")
    calls = stored(operated).rows("inference_log.inferences")
    assert calls.filter(pl.col("event_id").str.starts_with("game-day")).is_empty()
