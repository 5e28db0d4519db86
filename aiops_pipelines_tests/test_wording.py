"""Figures as people read them: no signed zero, and no amount of money that reads as none."""

from decimal import Decimal

import pytest

from aiops_pipelines.wording import count, percent, usd


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (usd(-0.00001, signed=True), "$0.00"),
        (usd(1e-20, signed=True), "$0.00"),
        (usd(Decimal("0.00001")), "under $0.0001"),
        (usd(0.00005), "$0.0001"),
        (usd(0), "$0.00"),
        (usd(-0.0051, signed=True), "\u2212$0.0051"),
        (usd(1234.5, signed=True), "+$1,234.50"),
        (percent(-0.0001, signed=True), "0.0\u00a0%"),
        (percent(0.0001, signed=True), "0.0\u00a0%"),
        (percent(-0.001, signed=True), "\u22120.1\u00a0%"),
        (percent(0.25, signed=True), "+25.0\u00a0%"),
        (count(-0.3), "0"),
        (count(-5700), "\u22125,700"),
    ],
)
def test_what_is_written_as_zero_has_no_sign(written: str, expected: str) -> None:
    assert written == expected
