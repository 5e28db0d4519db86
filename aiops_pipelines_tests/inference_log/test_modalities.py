"""Audio and images inside token counts, against usage objects as providers write them."""

import pytest

from aiops_pipelines.inference_log.modalities import modal_tokens

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
