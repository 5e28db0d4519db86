"""What may be recorded as a remedy of an incident, and what is refused with a sentence."""

from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest

from aiops_pipelines.incidents.course import IncidentError
from aiops_pipelines.incidents.remedies import KINDS, REMEDIES, new_remedy

BEGAN, NOW = datetime(2026, 6, 8, tzinfo=UTC), datetime(2026, 6, 20, 12, tzinfo=UTC)
INCIDENT = {"system": "s", "incident_id": "INC-1", "began_at": BEGAN}
TOLD = {"kind": "prompt", "did": "Rolled the prompt\nback  to v12.", "at": NOW, "actor": " Mira "}
NONE = REMEDIES.to_frame()


def remedy(earlier: pl.DataFrame = NONE, **changed: Any) -> tuple[str, pl.DataFrame]:
    return new_remedy(INCIDENT, TOLD | {"run_id": None, "outcome": None} | changed, earlier, NOW)


def test_a_remedy_is_a_row_with_its_words_in_a_line() -> None:
    number, row = remedy()
    assert row.schema == REMEDIES
    assert row.row(0, named=True) == {
        **{"system": "s", "incident_id": "INC-1", "remedy_id": number, "at": NOW, "recorded_at": NOW},
        **{"kind": "prompt", "did": "Rolled the prompt back to v12.", "actor": "Mira"},
        **{"run_id": None, "outcome": None},
    }
    assert number.startswith("REM-") and len(number) == 12


def test_the_same_again_adds_nothing_and_another_time_or_other_words_are_another_remedy() -> None:
    number, row = remedy()
    again, nothing = remedy(row)
    assert (again, nothing.height) == (number, 0)
    others = {remedy(row, **changed)[0] for changed in ({"did": "Else."}, {"at": BEGAN})}
    assert len(others | {number}) == 3


def test_the_first_record_stands() -> None:
    _, row = remedy()
    with pytest.raises(IncidentError, match="by Mira as prompt; the first record stands"):
        remedy(row, kind="model")


def test_it_may_be_as_old_as_the_incident_and_as_young_as_now() -> None:
    assert remedy(at=BEGAN)[1].height == remedy(at=NOW)[1].height == 1


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"kind": "magic"}, f"'magic' is no kind of remedy; give --kind {KINDS[0]}, "),
        ({"did": " \n"}, "give --did"),
        ({"actor": ""}, "give --by"),
        ({"did": "x" * 2_001}, "--did has 2,001 characters; say it in 2,000"),
        ({"at": NOW + timedelta(minutes=1)}, "is still to come; it is 20 Jun"),
        ({"at": BEGAN - timedelta(minutes=1)}, "lies before INC-1 began, 8 Jun"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(IncidentError) as error:
        remedy(**changed)
    assert said in str(error.value).replace("\u00a0", " ")
