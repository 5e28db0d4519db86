"""The log formats that can be imported, by the name a system's file gives them."""

from aiops_pipelines.inference_log import aiops_jsonl, otlp_json
from aiops_pipelines.inference_log.record import Importer

IMPORTERS: dict[str, Importer] = {"aiops_jsonl": aiops_jsonl.read, "otlp_json": otlp_json.read}
