"""Audio and images inside token counts, against usage objects as providers write them."""

import json

import polars as pl
import pytest

from aiops_pipelines.inference_log.modalities import modal_tokens, with_modalities
from aiops_pipelines.inference_log.record import MODAL_COLUMNS, TOKEN_COLUMNS

OPENAI = {
    "prompt_tokens": 120,
    "prompt_tokens_details": {
        "audio_tokens": 100,
        "cached_tokens": 84,
        "cached_tokens_details": {"text_tokens": 4, "audio_tokens": 80},
    },
    "completion_tokens_details": {"audio_tokens": 30, "reasoning_tokens": 0},
}
GEMINI = {
    "usageMetadata": {
        "promptTokensDetails": [
            {"modality": "TEXT", "tokenCount": 9},
            {"modality": "AUDIO", "tokenCount": 150},
            {"modality": "IMAGE", "tokenCount": 258},
        ],
        "cacheTokensDetails": [{"modality": "IMAGE", "tokenCount": 200}],
        "toolUsePromptTokensDetails": [{"modality": "AUDIO", "tokenCount": 5}],
        "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
    }
}


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (OPENAI, {"input_uncached_audio": 20, "cache_read_audio": 80, "output_audio": 30}),
        (
            GEMINI,
            {
                **{"input_uncached_audio": 155, "input_uncached_image": 58},
                **{"cache_read_image": 200, "output_image": 1290},
            },
        ),
        ({"input_token_details": {"audio": 7}, "output_token_details": {"audio": 0}}, {"input_uncached_audio": 7, "output_audio": 0}),
        ({"input": 4, "input_audio": 6, "output_image_tokens": 3}, {"input_uncached_audio": 6, "output_image": 3}),
        ({"llm.token_count.prompt_details.audio": 5}, {"input_uncached_audio": 5}),
        ({"prompt_tokens_details": None, "input_audio": "6"}, {}),
        ({"prompt_tokens_details": {"audio_tokens": None}, "promptTokensDetails": [{"modality": "AUDIO"}, 3]}, {}),
        ([OPENAI], {}),
    ],
)  # fmt: skip
def test_stated_modalities_are_read(usage, expected):
    assert modal_tokens(usage) == expected


def columns(usage, *five):
    row = dict(zip(TOKEN_COLUMNS, five, strict=True)) | {"usage_raw": usage and json.dumps(usage)}
    schema = dict.fromkeys(TOKEN_COLUMNS, pl.Int64) | {"usage_raw": pl.String}
    found = with_modalities(pl.DataFrame([row], schema=schema)).select(*MODAL_COLUMNS).row(0, named=True)
    return {name: value for name, value in found.items() if value is not None}


def test_counts_stand_beside_the_tokens_they_are_part_of():
    expected = {"input_uncached_audio": 20, "cache_read_audio": 80, "output_audio": 30}
    assert columns(OPENAI, 36, 84, 0, 20, 10) == expected
    assert columns(None, 1, 0, 0, 1, 0) == columns({"input": 1}, 1, 0, 0, 1, 0) == {}


def test_more_audio_than_tokens_is_a_contradiction_and_counts_as_unknown():
    assert columns(OPENAI, 19, 84, 0, 30, 0) == {"cache_read_audio": 80, "output_audio": 30}
    assert columns(OPENAI, 20, 79, 0, 29, 0) == {"input_uncached_audio": 20}
    both = {"input_audio": 6, "input_image": 5}
    assert columns(both, 10, 0, 0, 0, 0) == {}
    assert columns(both, 11, 0, 0, 0, 0) == {"input_uncached_audio": 6, "input_uncached_image": 5}
    assert columns({"input_audio": 1, "input_cached_audio": 2}, 9, 9, 0, 0, 0) == {"cache_read_audio": 2}
