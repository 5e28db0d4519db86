"""Texts of system prompts and tools of some calls, read again from the log files; the warehouse keeps none.

What is looked for in them is `costs.prompt_texts`'; they are held in memory while that is done.
"""

from collections.abc import Iterator
from datetime import date

import polars as pl

from aiops_pipelines.costs.prompt_texts import PROMPTS, definitions
from aiops_pipelines.inference_log.call_record import KeptTexts
from aiops_pipelines.inference_log.formats import importer
from aiops_pipelines.inference_log.reading import begin, plan
from aiops_pipelines.periods import next_month
from aiops_pipelines.resources.log_folder import LogFolder
from aiops_pipelines.resources.warehouse import Warehouse
from aiops_pipelines.systems import System

FILES, PIECE_BYTES, LINES = 4, 4_000_000, 1_000
"""Files that are opened, and how much of the beginning of each is read: some seconds at most."""
LARGEST_DOCUMENT = 16_000_000
"""Bytes of a file that is one JSON document, from which it is not read again."""
WITHOUT_TEXTS = "aiops_jsonl"
"""The format that carries no prompts."""
SOURCES = """
    select source_file from inference_log.inferences
    where system = $1 and occurred_at >= $2 and occurred_at < $3
    group by source_file order by md5(source_file) limit $4
"""


def read_prompts(warehouse: Warehouse, system: System, month: date) -> pl.DataFrame:
    """Return PROMPTS, without prompt versions, of calls that stand first in a few log files of the month.

    What cannot be read again, as a file that is gone, is left out.
    """
    if system.inference_log.format == WITHOUT_TEXTS:
        return pl.DataFrame(schema=PROMPTS)
    names = warehouse.read(SOURCES, [system.name, month, next_month(month), FILES])["source_file"]
    rows = [row for name in names for row in _of_file(system, name)]
    return pl.DataFrame(rows, schema=PROMPTS, orient="row").unique("event_id", keep="first")


def _of_file(system: System, name: str) -> Iterator[dict[str, object]]:
    logs = system.inference_log
    folder, read = LogFolder(logs.folder), importer(logs.format, logs.mapping)
    try:
        file = folder.file(logs.folder / name)
        if not file.appended and file.size_bytes > LARGEST_DOCUMENT:
            return
        whole = plan(file, None)
        piece = next(iter(folder.pieces(whole, begin(file, whole, None), PIECE_BYTES)), None)
    except OSError:
        return
    for line in piece.lines[:LINES] if piece else ():
        kept = KeptTexts()
        read([line], kept)
        yield from _prompts(kept, line[1])


def _prompts(kept: KeptTexts, raw: bytes) -> Iterator[dict[str, object]]:
    """Return the calls of a line; a tool is mentioned where its name stands outside of the definitions."""
    line = raw.decode(errors="replace")
    declared = [tools for _, tools in kept.by_event.values()]
    for event_id, (system_prompt, tools) in kept.by_event.items():
        names = [name for name, _ in definitions(tools)]
        mentioned = [n for n in names if line.count(n) > sum(text.count(n) for text in declared)]
        yield {
            "event_id": event_id,
            "prompt_version": None,
            "system_prompt": system_prompt or None,
            "tools": tools or None,
            "mentioned": mentioned,
        }
