"""Who was asked for which model, by the address of a recorded provider call."""

import re
from typing import Any

from aiops_pipelines.inference_log.makers import seller

HOSTS = {
    "openai.azure.com": "azure",
    "services.ai.azure.com": "azure",
    "cognitiveservices.azure.com": "azure",
    "inference.ai.azure.com": "azure",
    "azure-api.net": "azure",
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.cohere.com": "cohere",
    "api.cohere.ai": "cohere",
    "amazonaws.com": "aws",
    "api.aws": "aws",
    "googleapis.com": "google",
    "api.mistral.ai": "mistral",
    "api.groq.com": "groq",
    "api.together.xyz": "together",
    "api.together.ai": "together",
    "api.deepseek.com": "deepseek",
    "openrouter.ai": "openrouter",
    "api.x.ai": "x-ai",
    "api.perplexity.ai": "perplexity",
    "api.fireworks.ai": "fireworks",
    "api.cerebras.ai": "cerebras",
    "api.moonshot.ai": "moonshotai",
    "api.moonshot.cn": "moonshotai",
    "api.z.ai": "zai",
    "router.huggingface.co": "huggingface",
    "cloud.ibm.com": "ibm",
    "replicate.com": "replicate",
    "api.writer.com": "writer",
    "api.voyageai.com": "voyageai",
    "api.aleph-alpha.com": "aleph-alpha",
    "api.minimax.io": "minimax",
    "api.minimaxi.com": "minimax",
    "open.bigmodel.cn": "zhipuai",
    "api.novita.ai": "novita",
    "api.meta.ai": "meta",
    "api.arcee.ai": "arcee",
    "api.avian.io": "avian",
    "inference.baseten.co": "baseten",
    "databricks.com": "databricks",
    "azuredatabricks.net": "databricks",
    "api.githubcopilot.com": "github-copilot",
    "ai.cloud.ovh.net": "ovhcloud",
}
"""Providers by the end of their host's name; others keep the host as their name."""
OLLAMA_PORT = "11434"
_ADDRESS = re.compile(r"(?:\w+://)?([^/:]+(?::\d+)?)")
_MODEL = re.compile(
    r"/(?:models?|deployments|endpoints)/(arn:[^:/]+(?::[^:/]*){3}:[^/]+/[^/]+|[^/:]+(?::\d+)?)"
)

_OWN_MODEL = re.compile(r"^arn:.*:(?:foundation-model|inference-profile)/(.+)")
_KNOWN = {*HOSTS.values(), "ollama"}


def provider_of(host: str) -> str | None:
    """Return the provider that a host belongs to, or the host; Ollama is known by its port."""
    name, _, port = host.lower().partition(":")
    if port == OLLAMA_PORT:
        return "ollama"
    return next((provider for end, provider in HOSTS.items() if name.endswith(end)), name or None)


def asked_at(named: Any, address: Any, port: Any = None) -> Any:
    """Return who was asked: clients of OpenAI reach many others, whom only the address of the server tells.

    Where it tells nobody, as that of a gateway or of a machine of one's own, the model's name has to.
    """
    of_openai = named is None or (isinstance(named, str) and seller(named) == "openai")
    found = _ADDRESS.match(address) if of_openai and isinstance(address, str) else None
    if found is None:
        return named
    sold_by = provider_of(found[1] if ":" in found[1] or port is None else f"{found[1]}:{port}")
    return sold_by if sold_by in _KNOWN else None


def model_in(path: str) -> str | None:
    """Return the model that a path names.

    Of an ARN of Bedrock's own models and regions that is the last part; one of an account's own profile,
    endpoint or throughput stays whole.
    """
    found = _MODEL.search(path)
    if found is None:
        return None
    own = _OWN_MODEL.search(found[1])
    return own[1] if own else found[1]
