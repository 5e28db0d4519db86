"""The texts of the newest state of a corpus, read as they are needed once: no table is asked or written."""

from contextlib import suppress
from datetime import datetime

from aiops_pipelines.resources import documents as corpora
from aiops_pipelines.resources.shadow import newest_snapshot
from aiops_pipelines.systems import System


def corpus_texts(system: System, clock: datetime) -> dict[str, str]:
    """Return text by document, without the files that cannot be read.

    Raises:
        CorpusError: no corpus is configured, or it cannot be listed.
    """
    snapshot, texts = newest_snapshot(system, clock), dict[str, str]()
    for file in corpora.listing(snapshot):
        if not file.refusal:
            with suppress(corpora.UnreadableFile):
                texts[file.document] = corpora.document(file, corpora.content(snapshot, file).data).text
    return texts
