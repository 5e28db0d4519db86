"""Times as logs write them: what is certain is read, what is not is refused."""

import pytest

from aiops_pipelines.inference_log.record import RecordError
from aiops_pipelines.inference_log.times import clock_time


@pytest.mark.parametrize(
    "written",
    [
        "Wed, 01 Jul 2026 20:00:00 GMT",
        "Wednesday, 01-Jul-2026 20:00:00 GMT",
        "Wed Jul  1 20:00:00 2026",
        "Wed Jul  1 20:00:00 UTC 2026",
        "Wed, 1 Jul 2026 13:00 -0700 (PDT)",
        "Wed Jul 01 2026 22:00:00 GMT+0200 (Central European Summer Time)",
        "Jul 1, 2026, 8:00:00 PM",
        "July 1, 2026 at 8:00:00.000\u202fp.m. UTC",
        "2026-07-01 20:00:00 UTC",
        "2026-07-01 20:00:00.000000001 +0000 UTC",
        "2026-07-01 22:00:00 +0200 CEST",
    ],
)
def test_times_with_names_are_read_with_offset_and_half_of_the_day(written):
    assert clock_time("ts", written).isoformat() == "2026-07-01T20:00:00+00:00"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Wed, 01 Jul 2026 10:00:00 CEST", "time zone CEST, .*; write the offset, as in 2026"),
        ("Wed Jul  1 10:00:00 CST 2026", "time zone CST"),
        ("2026-07-01 10:00:00 CEST", "time zone CEST"),
        ("Jul 1, 2026, 13:00:00 PM", "not a time such as"),
        ("Jul 32, 2026, 10:00:00", "not a time such as"),
        ("Jul 1 10:00:00", "not a time such as"),
        ("Wed, 01 Jul 2026 10:00:00 GMT or so", "not a time such as"),
        ("2026-07-01 10:00:00 PM", "not an ISO 8601 time"),
    ],
)
def test_what_cannot_be_told_is_refused(written, said):
    with pytest.raises(RecordError, match=said):
        clock_time("ts", written)


def test_midnight_and_noon_are_12_am_and_12_pm():
    hours = [clock_time("ts", f"Jul 1, 2026, 12:30 {half}").hour for half in ("AM", "PM")]
    assert hours == [0, 12]
