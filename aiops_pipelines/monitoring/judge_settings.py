"""What a system's file says about a judge of one's own: a language model behind an OpenAI-compatible address.

What it is asked is decided in `judging`; it is met in `resources.model_judge`.
"""

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from aiops_pipelines.part import Part

API_KEY = "api_key"
_SECRET = re.compile("secret|password|token$|key|credential|authorization", re.IGNORECASE)
_OURS = ("model", "messages", "temperature", "seed", "max_tokens", "response_format", "stream", "n")


class JudgeSettings(Part):
    """A judge; the metrics without a model are computed beside it as they are without one."""

    kind: Literal["openai_compatible"]
    base_url: str
    """Where `chat/completions` is, for instance https://api.openai.com/v1."""
    model: str = Field(min_length=1)
    """The name it is asked by."""
    dated_name: str = Field(min_length=1)
    """What the provider calls the weights as of a date; an answer of another model is no score."""
    secrets: dict[str, str] = Field(default_factory=dict)
    """api_key to the environment variable that holds it; left out for a server that wants none."""
    temperature: float | None = Field(default=0, ge=0, le=2)
    seed: int | None = 0
    max_tokens: int | None = Field(default=2048, ge=64)
    parameters: dict[str, Any] = Field(default_factory=dict)
    """More of what is sent with each request."""
    sample_size: int = Field(default=100, ge=1, le=400)
    """Production answers of a week, out of those that are scored without a model."""
    calls_per_week: int = Field(default=4000, ge=1)
    """Requests about one week, at most."""
    monthly_budget_usd: Decimal | None = Field(default=None, gt=0)
    """Of a calendar month, all weeks together."""
    input_usd_per_million: Decimal | None = Field(default=None, ge=0)
    output_usd_per_million: Decimal | None = Field(default=None, ge=0)
    concurrency: int = Field(default=4, ge=1, le=64)
    timeout_seconds: float = Field(default=60, gt=0, le=600)

    @model_validator(mode="after")
    def _address(self) -> Self:
        try:
            parts = urlsplit(self.base_url)
            named = parts.scheme in ("http", "https") and parts.hostname and parts.port is not False
        except ValueError:
            named = False
        if not named or parts.query or parts.fragment:
            raise ValueError("base_url is an address such as https://api.openai.com/v1, without ? and #")
        if parts.username or parts.password:
            raise ValueError("base_url holds a password; name the environment variable that holds it instead")
        return self

    @model_validator(mode="after")
    def _no_secrets(self) -> Self:
        if unknown := sorted(self.secrets.keys() - {API_KEY}):
            raise ValueError(f"{unknown[0]} is no secret of a judge; there is {API_KEY}")
        if any(not re.fullmatch(r"[A-Z_][A-Z0-9_]*", name) for name in self.secrets.values()):
            raise ValueError(f"secrets names the environment variable of {API_KEY}, in capitals")
        if named := sorted(key for key in _keys(self.parameters) if _SECRET.search(key)):
            raise ValueError(
                f"parameters holds {named[0]}; name the environment variable that holds it instead, "
                f"secrets: {{{API_KEY}: NAME}}"
            )
        return self

    @model_validator(mode="after")
    def _own_keys(self) -> Self:
        if taken := sorted(set(self.parameters) & set(_OURS)):
            raise ValueError(f"parameters holds {taken[0]}, which is set by the judge itself")
        return self

    @model_validator(mode="after")
    def _priced(self) -> Self:
        prices = (self.input_usd_per_million, self.output_usd_per_million)
        if self.monthly_budget_usd is not None and None in prices:
            raise ValueError(
                "monthly_budget_usd is counted by input_usd_per_million and output_usd_per_million; give both"
            )
        return self

    @property
    def host(self) -> str:
        """Who gets the texts that are judged."""
        return urlsplit(self.base_url).hostname or ""

    @property
    def longest_answer(self) -> int:
        """Tokens that an answer may have; 0 where no limit is sent."""
        sent = self.max_tokens or self.parameters.get("max_completion_tokens")
        return sent if isinstance(sent, int) else 0

    def cost_usd(self, input_tokens: int, output_tokens: int) -> Decimal | None:
        """Return what tokens cost, or None without prices."""
        if self.input_usd_per_million is None or self.output_usd_per_million is None:
            return None
        spent = input_tokens * self.input_usd_per_million + output_tokens * self.output_usd_per_million
        return spent / 1_000_000


def _keys(value: Any) -> Iterator[str]:
    """Yield the keys of an object and of all that is in it."""
    if isinstance(value, dict):
        yield from map(str, value)
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for one in inside:
        yield from _keys(one)
