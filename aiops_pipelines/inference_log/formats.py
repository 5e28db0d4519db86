"""The log formats that can be imported, by name, and which of them a file is in."""

from collections.abc import Iterable
from functools import partial
from typing import Any, Protocol

from aiops_pipelines.inference_log import (
    aiops_jsonl,
    langfuse,
    langsmith,
    litellm,
    mapped,
    mlflow,
    openinference,
    otlp_json,
    provider_http,
)
from aiops_pipelines.inference_log.bedrock import BEDROCK
from aiops_pipelines.inference_log.braintrust import BRAINTRUST
from aiops_pipelines.inference_log.helicone import HELICONE
from aiops_pipelines.inference_log.opik import OPIK
from aiops_pipelines.inference_log.places import Mapped
from aiops_pipelines.inference_log.record import Batch, CountTokens, Importer
from aiops_pipelines.inference_log.weave import WEAVE
from aiops_pipelines.mendable import Mendable


class Format(Protocol):
    """What is asked of a format; a module of this package is one."""

    @property
    def LOOKED_FOR(self) -> str:
        """What its values are known by, for sentences."""

    def recognises(self, value: Any, /) -> bool:
        """Return whether a JSON value is of the format."""

    def read(self, raw: Iterable[tuple[int, bytes]], count_tokens: CountTokens | None = None) -> Batch:
        """Return the records of the lines."""


_RECOGNISED: dict[str, Format] = {
    "aiops_jsonl": aiops_jsonl,
    "openinference": openinference,
    "otlp_json": otlp_json,
    "opik": OPIK,  # before Langfuse, whose rows look like its
    "braintrust": BRAINTRUST,
    "weave": WEAVE,
    "helicone": HELICONE,
    "bedrock": BEDROCK,
    "langfuse": langfuse,
    "langsmith": langsmith,
    "litellm": litellm,
    "mlflow": mlflow,
    "provider_http": provider_http,
}
"""Formats that show in what they hold, in the order in which they are tried."""
IMPORTERS: dict[str, Importer] = {name: module.read for name, module in _RECOGNISED.items()} | {
    "mapped": mapped.read
}


class UnknownFormat(Mendable, ValueError):
    """What a file holds is none of the formats; the message lists what was looked for."""


def importer(name: str, mapping: Mapped | None = None) -> Importer:
    """Return the importer of a format; the mapping is that of the system, for `mapped`."""
    return partial(mapped.read, mapping=mapping) if name == "mapped" else IMPORTERS[name]


def detected(values: Iterable[Any]) -> str:
    """Return the format of a file, given some of the JSON values it holds.

    Raises:
        UnknownFormat: none of them is of a format that can be told.
    """
    for value in values:
        for name, module in _RECOGNISED.items():
            if module.recognises(value):
                return name
    looked_for = "; ".join(f"{name}: {module.LOOKED_FOR}" for name, module in _RECOGNISED.items())
    raise UnknownFormat(
        f"No known format was found. Looked for {looked_for}. Name the format, or describe the fields under "
        "inference_log.mapping in a system's file and use the format mapped."
    )
