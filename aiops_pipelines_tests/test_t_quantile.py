import duckdb
import pytest
from jinja2 import Environment
from scipy.special import stdtrit

from aiops_pipelines.project import ROOT

MACROS = Environment(autoescape=False).from_string((ROOT / "dbt_project/macros/t_quantile.sql").read_text())


def test_the_quantile_of_an_interval_is_students() -> None:
    sql = f"select {MACROS.module.t_quantile('n')} from range(1, 201) as of(n)"
    quantiles = [float(row[0]) for row in duckdb.sql(sql).fetchall()]
    assert quantiles == pytest.approx([float(stdtrit(n, 0.975)) for n in range(1, 201)], abs=6e-4)
