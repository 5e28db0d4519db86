"""Who sells a model: by what a log calls the provider, or by the model's name where it names none."""

import re
from typing import Any

MAKERS = {
    "openai": ("gpt-", "chatgpt", "o1", "o3", "o4", "text-embedding-", "davinci", "codex", "computer-use"),
    "anthropic": ("claude",),
    "google": ("gemini", "gemma"),
    "mistral": (
        *("mistral", "mixtral", "ministral", "codestral", "magistral", "devstral", "pixtral", "voxtral"),
        *("open-mistral", "open-mixtral"),
    ),
    "cohere": ("command-", "embed-english", "embed-multilingual", "embed-v", "rerank-"),
    "deepseek": ("deepseek",),
    "x-ai": ("grok",),
}
"""Providers by the start of their models' names."""
_SELLERS = {
    "aws.bedrock": "aws",
    "bedrock": "aws",
    "aws_bedrock": "aws",
    "amazon-bedrock": "aws",
    "amazon_bedrock": "aws",
    "amazon bedrock": "aws",
    "aws bedrock": "aws",
    "bedrock_converse": "aws",
    "az.ai.openai": "azure",
    "az.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "azure.ai.inference": "azure",
    "azure_openai": "azure",
    "azure-openai": "azure",
    "azure openai": "azure",
    "azureopenai": "azure",
    "azure_ai": "azure",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "gemini": "google",
    "vertexai": "google",
    "vertex_ai": "google",
    "vertex": "google",
    "google_ai": "google",
    "google_vertexai": "google",
    "anthropic_vertexai": "google",
    "mistral_ai": "mistral",
    "mistralai": "mistral",
    "x_ai": "x-ai",
    "xai": "x-ai",
    "cohere_chat": "cohere",
    "fireworks_ai": "fireworks",
    "together_ai": "together",
    "togetherai": "together",
}
_GATEWAYS = frozenset({"azure", "cerebras", "groq", "openrouter", "perplexity", "replicate"})
"""Further sellers that gateways write in front of a model, as LiteLLM does: `groq/llama-3.1-8b-instant`."""
_INTERFACE = re.compile(r"\.(chat|completion|messages|responses|embedding|generative-ai|vertex(\.\w+)?)$")
"""What the AI SDK adds to the provider: `openai.responses`, `google.generative-ai`."""
_FRAMEWORKS = frozenset({
    "strands-agents", "gcp.vertex.agent", "microsoft.agent_framework", "semantic_kernel", "langchain",
    "langgraph", "llama_index", "llamaindex", "crewai", "autogen", "ag2", "agno", "haystack", "dspy",
    "litellm", "litellm_proxy", "gateway", "pydantic_ai", "openai_agents", "unknown",
})  # fmt: skip
"""What is written for a provider and sells no model."""
_BEDROCK = re.compile(
    r"arn:aws[\w-]*:bedrock:|((us|us-gov|eu|apac|jp|au|global)\.)?"
    r"(anthropic|amazon|meta|mistral|cohere|ai21|deepseek|openai|qwen|writer)\.\w"
)
PUBLISHED = re.compile(r"(projects/[^/]+/locations/[^/]+/)?publishers/[^/]+/models/")
"""How Vertex AI writes the path of a model that it sells."""
_ANYBODYS = re.compile(r"gpt-oss|^mixtral|distill|^(?!ft:).*:(?!\d+$)")
"""Open weights, which anybody serves under their maker's name; a colon begins a tag, as Ollama's."""


def maker(model: Any) -> str | None:
    """Return the provider that sells a model under that name: `claude-3-haiku` is anthropic.

    A name may say it: `openai/gpt-4o` is openai, `us.anthropic.claude-3-haiku-20240307-v1:0` is aws. One that
    anybody serves does not: `deepseek-r1:7b` runs on a machine of one's own.
    """
    name = str(model or "").lower()
    if _BEDROCK.match(name):
        return "aws"
    if PUBLISHED.match(name):
        return "google"
    front, slash, rest = name.partition("/")
    if slash and front == "models":
        return maker(rest)
    sold_by = _SELLERS.get(front, front if front in MAKERS.keys() | _GATEWAYS else None) if slash else None
    if sold_by is None:
        rest, own = name, name.removeprefix("ft:")
        sold_by = next((provider for provider, starts in MAKERS.items() if own.startswith(starts)), None)
    return None if sold_by in MAKERS and _ANYBODYS.search(rest) else sold_by


def seller(named: str) -> str | None:
    """Return a provider as price books write it; a framework that asked for somebody is none."""
    name = named.lower()
    given = "" if name in _FRAMEWORKS else _INTERFACE.sub("", name)
    return _SELLERS.get(given, given) or None
