"""The log formats that can be imported, by name, and which of them a file is in."""

from collections.abc import Iterable
from functools import partial
from types import ModuleType
from typing import Any

from aiops_pipelines.inference_log import (
    aiops_jsonl,
    langfuse,
    litellm,
    mapped,
    mlflow,
    openinference,
    otlp_json,
    provider_http,
)
from aiops_pipelines.inference_log.places import Mapped
from aiops_pipelines.inference_log.record import Importer
from aiops_pipelines.mendable import Mendable

_RECOGNISED: dict[str, ModuleType] = {
    "aiops_jsonl": aiops_jsonl,
    "openinference": openinference,
    "otlp_json": otlp_json,
    "langfuse": langfuse,
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
