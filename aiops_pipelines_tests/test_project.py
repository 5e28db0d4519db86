from pathlib import Path

import pytest

from aiops_pipelines.project import ROOT, Project


def test_the_data_folder_is_the_one_the_environment_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIOPS_DATA", str(tmp_path / "x" / ".." / "data"))
    assert Project.here().data == tmp_path.resolve() / "data"


@pytest.mark.parametrize("value", [None, ""])
def test_without_one_it_is_the_projects_own(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIOPS_DATA")
    if value is not None:
        monkeypatch.setenv("AIOPS_DATA", value)
    assert Project.here().data == Path(__file__).parents[1] / "data"


def test_a_relative_folder_does_not_move_with_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AIOPS_DATA", "here")
    project = Project.here()
    monkeypatch.chdir("/")
    assert project.systems == tmp_path.resolve() / "here" / "systems"


def test_everything_but_dbt_lies_below_the_data_folder(tmp_path: Path) -> None:
    project = Project(tmp_path)
    places = [
        project.systems,
        project.warehouse,
        project.published,
        project.reports,
        project.audit,
        project.keys,
        project.notifications,
        project.dagster_home,
    ]
    assert [str(place.relative_to(tmp_path)) for place in places] == [
        "systems",
        "warehouse/aiops.duckdb",
        "aiops.duckdb",
        "reports",
        "audit",
        "keys",
        "notifications",
        "dagster",
    ]
    assert project.dbt == ROOT / "dbt_project"
    assert (project.dbt / "dbt_project.yml").is_file()


def test_runbooks_are_the_projects_own_until_the_data_folder_has_some(tmp_path: Path) -> None:
    project = Project(tmp_path)
    assert project.runbooks == ROOT / "data" / "runbooks"
    (tmp_path / "runbooks").mkdir()
    assert project.runbooks == tmp_path / "runbooks"
