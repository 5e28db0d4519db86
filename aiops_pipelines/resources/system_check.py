"""What is wrong with a system before anything is run: its corpus, log, known queries, baseline and prices.

Mistakes in the YAML itself are `systems`' sentences. Nothing is stored here.
"""

import os
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from aiops_pipelines.compliance.controls import kept_too_short
from aiops_pipelines.incidents.settings import SECRETS
from aiops_pipelines.inference_log.formats import IMPORTERS
from aiops_pipelines.periods import midnight
from aiops_pipelines.rag.known_queries import (
    adversarial_queries,
    attacks_in_force,
    in_force,
    parse_known_queries,
)
from aiops_pipelines.resources.checks import Check
from aiops_pipelines.resources.documents import CorpusError, File, Snapshot, listing, snapshots
from aiops_pipelines.resources.extraction import FORMATS
from aiops_pipelines.resources.judge_check import check_judge
from aiops_pipelines.resources.log_folder import LogFolderError
from aiops_pipelines.resources.log_sample import LogSample, log_sample
from aiops_pipelines.resources.prices import PriceBook, agreed_names
from aiops_pipelines.resources.query_file import QueryFileError, content
from aiops_pipelines.resources.vector_store import StoreError, look_over
from aiops_pipelines.resources.witness import Witness, WitnessError
from aiops_pipelines.systems import System
from aiops_pipelines.wording import count, day, inert, listed, moment, some

NAMED = 3


def check_system(system: System, clock: datetime) -> Iterator[Check]:
    """Yield what was found, in the order in which it would be mended."""
    now = system.now(clock)
    corpus = _newest(system, now)
    files = _files(corpus)
    yield from _corpus(corpus, files)
    try:
        sample = log_sample(system.inference_log)
    except LogFolderError:
        folder = system.inference_log.folder
        yield Check(
            "bad", f"The log folder {folder} does not exist; create it, or change inference_log.folder."
        )
    else:
        yield from _logs(system, sample)
        if sample.calls:
            yield from _baseline(system, sample, now)
            yield from _prices(system, sample)
        yield from _clock(system, sample, clock)
    yield from _known_queries(system, files, now)
    yield from _publish(system)
    yield from _notifications(system)
    yield from _witnesses(system)
    yield from _retention(system)
    if system.judge:
        yield from check_judge(system.judge)


def _newest(system: System, now: datetime) -> Snapshot | CorpusError | None:
    """Return the state of the corpus that holds now, or why there is none."""
    if system.corpus is None:
        return None
    try:
        return snapshots(system.corpus, now)[-1]
    except CorpusError as error:
        return error


def _files(corpus: Snapshot | CorpusError | None) -> list[File] | CorpusError:
    """Return the files of a state, those refused by their name, kind or size with the reason."""
    if not isinstance(corpus, Snapshot):
        return corpus or []
    try:
        return listing(corpus)
    except CorpusError as error:
        return error


def _corpus(corpus: Snapshot | CorpusError | None, files: list[File] | CorpusError) -> Iterator[Check]:
    if corpus is None:
        yield Check("warn", "No corpus is given, so retrieval and freshness are not judged; add corpus.")
        return
    if isinstance(files, CorpusError) or isinstance(corpus, CorpusError):
        yield Check("bad", inert(str(files)))
        return
    documents = [file for file in files if not file.refusal]
    if not documents:
        said = f"{corpus.source.place} holds no document; formats read are {', '.join(FORMATS)}."
        yield Check("bad", inert(said[0].upper() + said[1:]))
        return
    state = f" in the snapshot {corpus.label}" if corpus.valid_from else ""
    yield Check("good", f"Corpus: {some(len(documents), 'document')}{state}.")
    yield from _aside([file for file in files if file.refusal])
    if not corpus.valid_from and all(re.match(r"\d{4}-\d\d-\d\d/", file.document) for file in files):
        yield Check("warn", "The corpus folder holds one folder a date; say so with corpus.dated: true.")


def _aside(files: list[File]) -> Iterator[Check]:
    """Name what will be set aside: files of other formats by their endings, the others one by one."""
    formats = [file for file in files if Path(file.document).suffix.lower() not in FORMATS]
    if formats:
        others = sorted({Path(file.document).suffix or "no ending" for file in formats})
        said = f"{some(len(formats), 'file')} of the corpus will be set aside: {listed(others)}."
        yield Check("warn", inert(said))
    refused = [file for file in files if file not in formats]
    for file in refused[:NAMED]:
        yield Check("warn", inert(f"{file.document} will be set aside. {file.refusal}"))
    if len(refused) > NAMED:
        yield Check("warn", f"{some(len(refused) - NAMED, 'more file')} of the corpus will be set aside.")


def _logs(system: System, sample: LogSample) -> Iterator[Check]:
    logs = system.inference_log
    for name, why in sorted(sample.unread.items()):
        yield Check("warn", inert(f"{name} is not read: {why}."))
    if not sample.files:
        yield Check(
            "bad", f"The log folder {logs.folder} holds no log file; let the application write there."
        )
    elif not sample.calls:
        first = f"; {sample.first_rejection}" if sample.rejected else ""
        kinds = " or ".join(IMPORTERS)
        yield Check(
            "bad", inert(f"No line of the log can be read as {logs.format} (formats are {kinds}){first}")
        )
    else:
        assert sample.first and sample.last  # there are calls
        span = f"from {day(sample.first)} to {day(sample.last)}"
        read = f" (only the first {count(sample.lines)} lines were read)" if sample.capped else ""
        yield Check(
            "good", f"Log: {some(sample.calls, 'call')} in {some(sample.files, 'file')}, {span}{read}."
        )
        if sample.rejected:
            said = f"{some(sample.rejected, 'line')} of the log will be set aside, the first:"
            yield Check("warn", inert(f"{said} {sample.first_rejection}"))


def _baseline(system: System, sample: LogSample, now: datetime) -> Iterator[Check]:
    wanted, rows = system.baseline.weeks, system.baseline.minimum_rows
    complete = [week for week in sample.weeks if midnight(week + timedelta(days=7)) <= now]
    if len(complete) < wanted and not sample.capped:
        have = some(len(complete), "complete week")
        yield Check(
            "warn", f"The log holds {have}; a baseline needs {wanted}, and until then no week is judged."
        )
        return
    first = complete[:wanted]
    counts = {"production calls": sample.production, "answers to known queries": sample.known}
    found = {name: sum(weekly[week] for week in first) for name, weekly in counts.items()}
    held = listed([f"{count(n)} {name}" for name, n in found.items()])
    short = [name for name, n in found.items() if n < rows]
    said = f"Baseline: the first {some(len(first), 'week')} hold {held}"
    if not short:
        yield Check("good", f"{said}.")
        return
    none = "no week can be judged" if len(short) == len(found) else f"{short[0]} are not judged"
    yield Check("warn", f"{said}; with fewer than {rows} {none}. Log more, or lower baseline.minimum_rows.")


def _prices(system: System, sample: LogSample) -> Iterator[Check]:
    price_of = PriceBook(system.prices).price_of
    priced = {key for key, at in sample.models.items() if key[1] and price_of(key[0], key[1], at) is not None}
    unnamed = sum(n for key, n in sample.calls_of_model.items() if not all(key) and key not in priced)
    if unnamed:
        said = f"{some(unnamed, 'call')} without a model, or with a name that tells no provider"
        yield Check("warn", f"{said}: the cost is unknown. Log the model and its provider.")
    logged = {
        name for provider, model in sample.models if model for name in agreed_names(provider, model.lower())
    }
    idle = sorted({price.model for price in system.prices if price.model.lower() not in logged})
    if idle and logged and not sample.capped:
        said = f"The contract price of {listed([inert(name) for name in idle])} is for no call in the log"
        yield Check("warn", f"{said}; write the model's name as the log does.")
    unknown = {
        model: sample.calls_of_model[provider, model]
        for provider, model in sample.models
        if provider and model and (provider, model) not in priced
    }
    if unknown:
        named = listed(
            [f"{inert(model)} ({some(n, 'call')})" for model, n in sorted(unknown.items())[:NAMED]]
        )
        more = f" and {len(unknown) - NAMED} more" if len(unknown) > NAMED else ""
        yield Check("warn", f"No price is known for {named}{more}; add a contract price under prices.")
    elif not sample.models:
        yield Check("warn", "No call logs its token usage, so nothing can be priced.")
    elif not unnamed:
        yield Check("good", f"Prices: known for {some(len(sample.models), 'model')} in the log.")


def _clock(system: System, sample: LogSample, clock: datetime) -> Iterator[Check]:
    last = sample.last
    if system.as_of is None:
        silent = timedelta(hours=system.limits.silent_hours)
        if last and clock - last > silent and not sample.capped:
            yield Check(
                "warn", f"The last call is of {moment(last)}: silence. For a recorded log, set as_of."
            )
        return
    until = moment(system.as_of)
    if system.as_of > clock:
        yield Check(
            "warn", f"as_of is {until}, which is still to come; weeks would be judged before they are over."
        )
        return
    days = (clock - system.as_of).days
    yield Check(
        "good", f"as_of: a recorded story that ends {until}, {some(days, 'day')} ago; a live system has none."
    )
    if last and last > system.as_of:
        yield Check(
            "warn", f"The log goes on after as_of, until {moment(last)}; nothing after as_of is judged."
        )


def _publish(system: System) -> Iterator[Check]:
    if system.publish is None:
        return
    try:
        look_over(system.publish)
    except StoreError as error:
        yield Check("bad", inert(str(error)))
    else:
        yield Check("good", f"The index will be published to {system.publish.store}.")


def _notifications(system: System) -> Iterator[Check]:
    for place in system.notifications:
        named = f"A place of kind {place.kind} in notifications"
        if place.missing:
            secret = next((name for name in place.missing if name in SECRETS), "")
            hint = (
                f" (secrets: {{{secret}: NAME}} names the environment variable that holds it)"
                if secret
                else ""
            )
            yield Check("bad", f"{named} has no {listed(place.missing)}; add it{hint}, or use kind: log.")
        for variable in sorted(set(place.secrets.values()) - os.environ.keys()):
            said = f"needs the environment variable {variable}, which is not set here"
            yield Check("warn", f"{named} {said}; set it where runs are made.")


def _known_queries(system: System, files: list[File] | CorpusError, now: datetime) -> Iterator[Check]:
    file = system.known_queries
    if file is None:
        yield Check(
            "warn", "No known_queries are given, so retrieval is not measured and quality less surely."
        )
        return
    if not file.exists():
        yield Check(
            "bad", f"The file of known queries {file} does not exist; write it, or change known_queries."
        )
        return
    try:
        known, judgements, problems = parse_known_queries(system.name, content(file).split("\n"))
    except QueryFileError as error:
        yield Check("bad", inert(str(error)))
        return
    if problems:
        lines = f"{some(len(problems), 'line')} of {file.name} cannot be read"
        yield Check("warn" if known.height else "bad", inert(f"{lines}, the first: {problems[0]}"))
    hostile = attacks_in_force(adversarial_queries(system.name, content(file).split("\n")), now)
    if hostile.height:
        yield Check("good", f"Attacks on purpose: {count(hostile.height)} in force.")
    if known.is_empty():
        yield Check("bad", f"{file.name} holds no known query; write one JSON object a line.")
        return
    queries, truth = in_force(known, judgements, now)
    yield Check(
        "good", f"Known queries: {count(queries.height)} in force, {some(truth.height, 'judgement')}."
    )
    if files and not isinstance(files, CorpusError):
        names = {file.document for file in files}
        dead = sorted({document for document in truth["document"] if document not in names})
        if dead:
            shown = listed(dead[:NAMED]) + (f" and {len(dead) - NAMED} more" if len(dead) > NAMED else "")
            said = f"Judgements name {some(len(dead), 'document')} that the corpus does not hold: {shown}."
            yield Check("warn", inert(f"{said} Give these queries a newer row."))


def _witnesses(system: System) -> Iterator[Check]:
    for place in system.witnesses.places:
        if place.folder is None:
            continue  # it is another's: a run says whether it answers
        try:
            found = Witness(place.folder).vkey
        except (WitnessError, OSError) as error:
            yield Check("warn", inert(f"The witness {place.name} cannot be asked: {error}"))
            continue
        if found != place.vkey:
            what = f"The witness in {place.folder} is not {place.vkey} but {found}"
            yield Check("warn", inert(f"{what}; correct witnesses."))


def _retention(system: System) -> Iterator[Check]:
    short = kept_too_short(system)
    if short:
        asked = listed([f"{one.id} ({one.law}) {count(one.kept_days or 0)}" for one in short])
        yield Check(
            "warn",
            f"The audit log is kept for {count(system.retention.audit_days)} days. The controls of a "
            f"{system.profile} system ask for more: {asked}. Raise retention.audit_days if they are yours.",
        )
