"""What some models price apart: audio, images and cache writes for an hour in a call's counts, and tiers.

They are read from the usage as its source states it, whatever the format.
"""

import json
from collections import defaultdict

import polars as pl

from aiops_pipelines.inference_log.cache_lives import hour_writes
from aiops_pipelines.inference_log.modalities import modal_tokens
from aiops_pipelines.inference_log.provider_outcome import counted_tier, stated_tier
from aiops_pipelines.inference_log.record import APART_COLUMNS, service_tier

MODAL_HINT, HOUR_HINT = "(?i)audio|image", r'1h\D*[1-9]|"1h"'
"""What a usage holds that is worth parsing; Anthropic's states 0 for an hour in most calls."""
TIER_HINT = r'"(?:service_?[tT]ier|trafficType)": ?(?:"(?:[^sdaoSDAO"]|sc|ON_DEMAND_)|\{)|"speed": ?"fast"'
TIER_HINT += r'|"(?:input_)?(?:flex|priority)": ?\d'
"""A tier that is not called as the standard one is; Anthropic states that one in each call."""


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


def with_stated_tier(calls: pl.DataFrame) -> pl.DataFrame:
    """Give calls that name no service tier the one their usage states; it may halve or double the price."""
    texts, open_so_far = calls["usage_raw"], calls["service_tier"].is_null()
    rows = (texts.str.contains(TIER_HINT) & open_so_far).arg_true()
    told = calls["service_tier"].to_list() if len(rows) else []
    for row in rows:
        usage = json.loads(texts[row])
        found = (stated_tier(usage) or counted_tier(usage)) if isinstance(usage, dict) else None
        told[row] = service_tier("usage.service_tier", found) if found else None
    return calls.with_columns(service_tier=pl.Series(told, dtype=pl.String())) if told else calls


def _at_most(part: str, whole: str) -> pl.Expr:
    """Keep a count while all that is priced apart of its token column fits into it."""
    inside = pl.sum_horizontal(name for name, of in APART_COLUMNS.items() if of == whole)
    tokens = pl.col("output_visible") + pl.col("reasoning") if whole == "output" else pl.col(whole)
    return pl.when((inside <= tokens) & (pl.col(part) >= 0)).then(part).alias(part)
