"""The page on log formats names every field that can be logged."""

import re
from pathlib import Path

from aiops_pipelines.inference_log.aiops_jsonl import FEEDBACK_FIELDS, FIELDS
from aiops_pipelines.inference_log.formats import IMPORTERS
from aiops_pipelines.inference_log.mapped import TARGETS

PAGE = Path(__file__).parents[2] / "docs" / "log-formats.md"


def test_every_field_and_format_is_on_the_page():
    named = set(re.findall(r"`([a-z_0-9]+)`", PAGE.read_text()))
    assert {*FIELDS, *TARGETS, *FEEDBACK_FIELDS, *IMPORTERS} <= named
