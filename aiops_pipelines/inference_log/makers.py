"""Who sells a model, by its name alone, for logs that do not name the provider."""

import re
from typing import Any

MAKERS = {
    "openai": ("gpt-", "chatgpt", "o1", "o3", "o4", "text-embedding-", "davinci", "codex"),
    "anthropic": ("claude",),
    "google": ("gemini", "gemma"),
    "mistral": ("mistral", "mixtral", "ministral", "codestral", "magistral", "devstral", "pixtral"),
    "cohere": ("command-", "embed-english", "embed-multilingual", "rerank-"),
    "deepseek": ("deepseek",),
    "x-ai": ("grok",),
}
"""Providers by the start of their models' names."""
_BEDROCK = re.compile(
    r"((us|us-gov|eu|apac|jp|au|global)\.)?(anthropic|amazon|meta|mistral|cohere|ai21|deepseek)\.\w"
)


def maker(model: Any) -> str | None:
    """Return the provider that sells a model under that name: `claude-3-haiku` is anthropic.

    A name may say it: `openai/gpt-4o` is openai, `us.anthropic.claude-3-haiku-20240307-v1:0` is aws.
    """
    name = str(model or "").lower()
    front, slash, _ = name.partition("/")
    if slash and front in MAKERS:
        return front
    if _BEDROCK.match(name):
        return "aws"
    return next((provider for provider, starts in MAKERS.items() if name.startswith(starts)), None)
