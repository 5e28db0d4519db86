"""Tokens inside the counts of a call that some models price apart: audio, images, cache writes for an hour.

They are read from the usage as its source states it, whatever the format.
"""

import json
from collections import defaultdict

import polars as pl

from aiops_pipelines.inference_log.cache_lives import hour_writes
from aiops_pipelines.inference_log.modalities import modal_tokens
from aiops_pipelines.inference_log.record import APART_COLUMNS

MODAL_HINT, HOUR_HINT = "(?i)audio|image", r'1h\D*[1-9]|"1h"'
"""What a usage holds that is worth parsing; Anthropic's states 0 for an hour in most calls."""


def with_priced_apart(calls: pl.DataFrame) -> pl.DataFrame:
    """Add APART_COLUMNS to calls that have `usage_raw` and token columns; null where the source states none.

    A source that states more of them than tokens contradicts itself: these counts are null.
    """
    texts = calls["usage_raw"]
    found: defaultdict[str, list[int | None]] = defaultdict(lambda: [None] * calls.height)
    for hint, tokens in ((MODAL_HINT, modal_tokens), (HOUR_HINT, hour_writes)):
        for row in texts.str.contains(hint).fill_null(value=False).arg_true():
            for name, value in tokens(json.loads(texts[row])).items():
                found[name][row] = value
    stated = (pl.Series(name, counts, dtype=pl.Int64) for name, counts in found.items())
    nothing = (pl.lit(None, pl.Int64).alias(name) for name in APART_COLUMNS if name not in found)
    counted = calls.with_columns(*stated, *nothing)
    return counted.with_columns(_at_most(part, APART_COLUMNS[part]) for part in found)


def _at_most(part: str, whole: str) -> pl.Expr:
    """Keep a count while all that is priced apart of its token column fits into it."""
    inside = pl.sum_horizontal(name for name, of in APART_COLUMNS.items() if of == whole)
    tokens = pl.col("output_visible") + pl.col("reasoning") if whole == "output" else pl.col(whole)
    return pl.when((inside <= tokens) & (pl.col(part) >= 0)).then(part).alias(part)
