"""The commands about retrieval."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from aiops_pipelines.cli import app


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "run").write_text("q1 Q0 a 1 2 x\nq1 Q0 b 2 1 x\n", encoding="utf-8")
    (tmp_path / "qrels").write_text("q1 0 b 1\n", encoding="utf-8")
    return ["rag", "metrics", "--qrels", str(tmp_path / "qrels"), "--run", str(tmp_path / "run")]


def test_metrics_of_a_run(files: list[str]) -> None:
    done = CliRunner().invoke(app, [*files, "-k", "1", "--json"])
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert found["metrics"]["reciprocal_rank"] == 0.5 and found["metrics"]["hit_at_1"] == 0
    assert found["queries"] == 1 and found["bad_lines"] == []
    shown = CliRunner().invoke(app, files)
    assert "ndcg_cut_10" in shown.stdout and "0.6309" in shown.stdout


def test_bad_lines_are_named_and_end_with_1(files: list[str], tmp_path: Path) -> None:
    with (tmp_path / "run").open("a") as run:
        run.write("nonsense\n")
    done = CliRunner().invoke(app, files)
    assert done.exit_code == 1
    assert "run, line 3: 1 fields" in done.output and "0.6309" in done.output


def test_nothing_in_common_is_a_sentence(files: list[str], tmp_path: Path) -> None:
    (tmp_path / "qrels").write_text("q9 0 b 1\n", encoding="utf-8")
    done = CliRunner().invoke(app, files)
    assert done.exit_code == 1 and "both ranked and judged" in done.output
