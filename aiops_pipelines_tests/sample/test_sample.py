"""The sample's generator, and the committed logs against the story they tell."""

import gzip
import json
import shutil
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from aiops_pipelines.compliance.privacy import mask
from aiops_pipelines.inference_log.formats import IMPORTERS
from aiops_pipelines.project import ROOT, Project
from aiops_pipelines.rag.chunking import BY_STRUCTURE
from aiops_pipelines.rag.known_queries import parse_known_queries
from aiops_pipelines.rag.reindex import wanted_chunks
from aiops_pipelines.rag.versions import index_version_id
from aiops_pipelines.resources.documents import read, snapshots
from aiops_pipelines.resources.embedder import embedder
from aiops_pipelines.sample.__main__ import make, questions
from aiops_pipelines.sample.assistant import (
    REFUSAL,
    Answer,
    Assistant,
    Retrieved,
    ServedIndex,
    search,
    sentences,
)
from aiops_pipelines.sample.formats import jsonl_line, otlp_line, token_parts, usage
from aiops_pipelines.sample.story import (
    Model,
    Story,
    at_day,
    deployment_at,
    load_story,
    model_on,
    prompt_texts,
    start_of,
)
from aiops_pipelines.sample.traffic import _PII_TEXT, INJECTIONS, PLANTED_PII, Call
from aiops_pipelines.systems import System, load_systems

DATA = ROOT / "data"
SYSTEMS = load_systems(DATA / "systems", DATA)[0]
NAMES = ("support", "handbook")
WEEK = timedelta(days=7)
VALUES = [(kind, value) for kind, values in PLANTED_PII.items() for value in values]


@pytest.fixture(scope="module")
def stories() -> dict[str, Story]:
    return {name: load_story(DATA / "stories" / f"{name}.yaml") for name in NAMES}


# --- personal data


@pytest.mark.parametrize(("kind", "value"), VALUES)
def test_every_planted_value_is_masked_as_what_it_is(kind: str, value: str) -> None:
    masked, counts = mask(f"how long is the return window {_PII_TEXT[kind].format(value)}")
    assert counts == {kind: 1}
    assert masked == f"how long is the return window {_PII_TEXT[kind].format(f'[{kind}]')}"


def test_nothing_else_in_the_questions_is_taken_for_personal_data() -> None:
    texts = [
        q.text for name in NAMES for q in questions(DATA / "stories" / f"{name}_questions.jsonl", "question")
    ]
    assert len(texts) > 500
    assert [text for text in [*texts, *INJECTIONS] if mask(text)[1]] == []


# --- the story


@pytest.mark.parametrize("name", NAMES)
def test_a_story_and_its_questions_belong_together(name: str, stories: dict[str, Story]) -> None:
    story, system = stories[name], SYSTEMS[name]
    assert story.system == name
    assert story.first_week.isoweekday() == 1
    assert sum(story.traffic.endpoints.values()) == pytest.approx(1)
    assert sum(story.traffic.user_groups.values()) == pytest.approx(1)
    assert system.known_queries is not None and system.corpus is not None
    known, _, problems = parse_known_queries(name, system.known_queries.read_text().splitlines())
    assert problems == []
    asked = questions(DATA / "stories" / f"{name}_questions.jsonl", "question")
    assert {question.query_id for question in asked} <= set(known["query_id"])
    labels = {snapshot.label for snapshot in snapshots(system.corpus)}
    assert {str(deployment.snapshot) for deployment in story.index_deployed} <= labels
    assert set(story.system_prompt.values()) <= prompt_texts(DATA / "stories" / "prompts.yaml", name).keys()


@pytest.mark.parametrize("name", NAMES)
def test_what_the_tests_compare_with_follows_from_what_happens(name: str, stories: dict[str, Story]) -> None:
    story = stories[name]
    weeks = [story.first_week + i * WEEK for i in range(story.weeks)]
    truths = story.truths
    assert truths.baseline_weeks == weeks[:4]
    judged = [*truths.stable_weeks, *truths.degraded_weeks, *truths.stale_weeks]
    assert len(judged) == len(set(judged))
    assert set(judged) <= set(weeks[4:])
    usual = story.models[0].served
    assert set(truths.degraded_weeks) == {week for week in weeks if model_on(story, week).served != usual}
    assert truths.injection_days == sorted(story.injection_attempts.burst)
    corpus = SYSTEMS[name].corpus
    assert corpus is not None
    stale = []
    for week in weeks:
        served = str(deployment_at(story, start_of(week + WEEK) - timedelta(seconds=1)).snapshot)
        dated = [s.label for s in snapshots(corpus) if s.valid_from and s.valid_from < start_of(week + WEEK)]
        if dated and served != max(dated):
            stale.append(week)
    assert truths.stale_weeks == stale


def test_steps_hold_until_the_next_one() -> None:
    steps = {date(2026, 6, 1): "a", date(2026, 7, 6): "b"}
    assert [at_day(steps, date(2026, m, d)) for m, d in ((6, 1), (7, 5), (7, 6), (12, 1))] == [
        "a",
        "a",
        "b",
        "b",
    ]


def test_an_index_is_live_from_its_moment_on(stories: dict[str, Story]) -> None:
    moment = datetime(2026, 7, 13, 6, tzinfo=UTC)
    story = stories["support"]
    assert str(deployment_at(story, moment).snapshot) == "2026-07-13"
    assert str(deployment_at(story, moment - timedelta(seconds=1)).snapshot) == "2026-05-25"


# --- what a call looks like

GPT = Model(requested="gpt", served="gpt-1", provider="openai", care=1)
CLAUDE = Model(requested="claude", served="claude-1", provider="anthropic", care=1)
CHUNKS = (Retrieved("c1", "a.md", 0.9, "ten " * 10), Retrieved("c2", "b.md", 0.8, "twenty " * 20))
TURNS = ("word " * 30, "word " * 50)
PROMPT = "rule " * 1000


def count(text: str, model: str) -> int:
    return len(text.split())


def call(model: Model = GPT, history: tuple[str, ...] = TURNS, **changes: Any) -> Call:
    made = {
        "event_id": "e1",
        "occurred_at": datetime(2026, 6, 1, 12, 0, 5, tzinfo=UTC),
        "endpoint": "ask",
        "model": model,
        "prompt_version": "v1",
        "index_version": "ix-1",
        "session_id": "s1",
        "user_id": "u1",
        "user_group": "shop",
        "query": "how long is it exactly",
        "answer": Answer("It is thirty days.", "ok", CHUNKS, True),
        "history": history,
        "latency_ms": 900,
        "time_to_first_token_ms": 300,
    }
    return Call(**{**made, **changes})


def test_token_parts_are_counted_on_the_text_that_was_sent() -> None:
    assert token_parts(call(), PROMPT, count) == {
        "system_prompt": 1000,
        "context": 30,
        "history": 80,
        "user": 5,
    }


def test_usage_is_written_as_each_provider_writes_it() -> None:
    # a prefix of 1000 + 80 tokens: 8 steps of 128 are cached
    parts = token_parts(call(), PROMPT, count)
    assert usage(call(), parts, 4) == {
        "prompt_tokens": 1115,
        "completion_tokens": 4,
        "total_tokens": 1119,
        "prompt_tokens_details": {"cached_tokens": 1024},
    }
    assert usage(call(CLAUDE), parts, 4) == {
        "input_tokens": 91,
        "cache_read_input_tokens": 1024,
        "cache_creation_input_tokens": 0,
        "output_tokens": 4,
    }


@pytest.mark.parametrize(
    ("history", "prompt", "cached"), [(TURNS, 943, 0), (TURNS, 944, 1024), (TURNS, 1072, 1152), ((), 2000, 0)]
)
def test_a_prefix_is_cached_from_1024_tokens_on_and_not_in_the_first_turn(
    history: tuple[str, ...], prompt: int, cached: int
) -> None:
    made = call(history=history)
    parts = token_parts(made, "rule " * prompt, count)
    assert usage(made, parts, 1)["prompt_tokens_details"] == {"cached_tokens": cached}


@given(
    st.sampled_from([GPT, CLAUDE]),
    st.lists(st.integers(0, 900).map("w ".__mul__), max_size=4).map(tuple),
    st.integers(0, 3000),
    st.integers(0, 500),
)
def test_the_importer_adds_up_what_the_generator_wrote(
    model: Model, history: tuple[str, ...], prompt: int, said: int
) -> None:
    made = call(model, history, answer=Answer("w " * said, "ok", CHUNKS, True))
    line = jsonl_line(made, "rule " * prompt, count)
    (record,) = IMPORTERS["aiops_jsonl"]([(1, line.encode())]).records
    sent = prompt + 30 + sum(count(text, "") for text in history) + 5
    assert record["input_uncached"] + record["cache_read"] + record["cache_write"] == sent
    parts = ("system_prompt_tokens", "context_tokens", "history_tokens", "user_tokens")
    assert sum(record[part] for part in parts) == sent
    assert record["output_visible"] == said
    assert record["tokens_total"] == sent + said


@pytest.mark.parametrize(("name", "write"), [("aiops_jsonl", jsonl_line), ("otlp_json", otlp_line)])
def test_both_formats_say_the_same(name: str, write: Any) -> None:
    made = call(rating=1, known_query_id="q1")
    batch = IMPORTERS[name]([(1, write(made, PROMPT, count).encode())])
    (record,) = batch.records
    assert batch.rejections == []
    expected = {
        "occurred_at": made.occurred_at,
        "endpoint": "ask",
        "provider": "openai",
        "model_requested": "gpt",
        "model_served": "gpt-1",
        "prompt_version": "v1",
        "index_version": "ix-1",
        "status": "ok",
        "session_id": "s1",
        "user_id": "u1",
        "user_group": "shop",
        "query": made.query,
        "answer": "It is thirty days.",
        "known_query_id": "q1",
        "rating": 1,
        "latency_ms": 900,
        "time_to_first_token_ms": 300,
        "tokens_total": 1119,
    }
    assert {key: record[key] for key in expected} == expected
    assert [(chunk["chunk_id"], chunk["score"]) for chunk in record["retrieved"]] == [
        ("c1", 0.9),
        ("c2", 0.8),
    ]


@pytest.mark.parametrize(("name", "write"), [("aiops_jsonl", jsonl_line), ("otlp_json", otlp_line)])
def test_a_failed_call_has_no_answer_and_no_usage(name: str, write: Any) -> None:
    failed = call(answer=Answer("", "error", (), False), error_type="provider_timeout")
    (record,) = IMPORTERS[name]([(1, write(failed, PROMPT, count).encode())]).records
    nothing = ("model_served", "answer", "tokens_total", "input_uncached")
    assert {key: record[key] for key in nothing} == dict.fromkeys(nothing)
    assert (record["status"], record["error_type"]) == ("error", "provider_timeout")


# --- the assistant

EAST, NORTH = np.array([1, 0], np.float32), np.array([0, 1], np.float32)
BETWEEN = (EAST + NORTH) / np.float32(2**0.5)
FEE = "The fee is 30 euros for every label that you send."
TIME = "A parcel may stay in the locker for 48 hours at most."
LATE = "After 48 hours a fee of 2 euros is charged."
INDEX = ServedIndex(
    "ix", ["c1", "c2", "c3"], ["a.md", "b.md", "b.md"], [FEE, TIME, LATE], np.stack([EAST, NORTH, BETWEEN])
)
VECTORS = {"fee?": EAST, "time?": NORTH, FEE: EAST, TIME: NORTH, LATE: BETWEEN, "moon?": -BETWEEN}


def answers(question: str, care: float, times: int = 200) -> Counter[str]:
    random = np.random.default_rng(1)
    return Counter(Assistant(INDEX, VECTORS).answer(question, care, random).text for _ in range(times))


def test_the_nearest_chunks_come_first_and_ties_by_id() -> None:
    found = [(hit.chunk_id, hit.score) for hit in search(INDEX, NORTH)]
    assert found == [("c2", 1), ("c3", 0.7071), ("c1", 0)]
    assert [hit.chunk_id for hit in search(INDEX, BETWEEN, k=2)] == ["c3", "c1"]


def test_sentences_lose_their_marks_and_short_ones_are_left_out() -> None:
    text = "# Fees\n\n**The fee** is 30 euros.\n\nSo\n- it is due at once\n- No\n\n> Is it paid monthly? Yes, `it` is."
    assert sentences(text) == ["The fee is 30 euros.", "it is due at once", "Is it paid monthly?"]


def test_a_careful_assistant_answers_from_what_it_was_given_and_seldom_wavers() -> None:
    # one short sentence is too little, so the next follows; 3 in 100 times the best one is left out
    said = answers("time?", care=1, times=1000)
    assert said.keys() == {f"{TIME} {LATE}", f"{LATE} {FEE}"}
    assert 10 < said[f"{LATE} {FEE}"] < 60


def test_a_careless_one_invents_figures() -> None:
    said = answers("time?", care=0)
    assert not {TIME, FEE, LATE} & said.keys()
    assert all(any(part in text for part in ("may stay", "The fee is", "is charged")) for text in said)


def test_it_refuses_what_nothing_was_found_for() -> None:
    assert answers("moon?", care=0) == {REFUSAL: 200}


# --- making logs


@pytest.fixture
def desk(tmp_path: Path) -> tuple[Project, System, Story]:
    """A tiny system: two documents, the known queries of one, two weeks of a few sessions."""
    project = Project(tmp_path)
    for folder in ("corpus/desk", "queries", "stories"):
        (tmp_path / folder).mkdir(parents=True)
    lines = (DATA / "queries" / "handbook.jsonl").read_text().splitlines()
    known = [json.loads(line) for line in lines]
    chosen = [
        row for row in known if row["relevant"] and row["relevant"][0]["document"].endswith("travel.md")
    ]
    ids = {row["query_id"] for row in chosen}
    (tmp_path / "queries" / "desk.jsonl").write_text("\n".join(map(json.dumps, chosen)))
    asked = (DATA / "stories" / "handbook_questions.jsonl").read_text().splitlines()
    kept = [line for line in asked if json.loads(line)["query_id"] in ids]
    (tmp_path / "stories" / "desk_questions.jsonl").write_text("\n".join(kept))
    for name in ("travel.md", "working-hours.md"):
        shutil.copy(DATA / "corpus" / "handbook" / name, tmp_path / "corpus" / "desk")
    prompts = {"blocks": {"a": "Be brief."}, "versions": {"desk": {"v1": ["a"]}}}
    (tmp_path / "stories" / "prompts.yaml").write_text(yaml.safe_dump(prompts))
    content = {
        "name": "desk",
        "title": "t",
        "corpus": {"folder": "corpus/desk"},
        "inference_log": {"folder": "log"},
        "known_queries": "queries/desk.jsonl",
    }
    told = yaml.safe_load((DATA / "stories" / "handbook.yaml").read_text())
    told |= {"system": "desk", "weeks": 2, "compressed": True}
    told["traffic"] |= {"sessions_per_week": 8, "pii_share": 0.5, "error_share": 0.2}
    told["injection_attempts"] = {"background_per_week": 1, "burst": {date(2026, 6, 3): 3}}
    return project, System.model_validate(content).rooted(tmp_path), Story.model_validate(told)


def test_a_week_is_the_same_bytes_every_time_it_is_made(desk: tuple[Project, System, Story]) -> None:
    project, system, story = desk
    made = []
    for _ in range(2):
        make(project, system, story)
        files = sorted(system.inference_log.folder.iterdir())
        made.append([file.read_bytes() for file in files])
        for file in files:
            file.unlink()
    assert [file.name for file in files] == ["2026-06-01.jsonl.gz", "2026-06-08.jsonl.gz"]
    assert made[0] == made[1]

    batch = IMPORTERS["aiops_jsonl"](enumerate(gzip.decompress(made[0][0]).splitlines(), 1))
    assert batch.rejections == []
    moments = [record["occurred_at"] for record in batch.records]
    assert moments == sorted(moments)
    assert len({record["event_id"] for record in batch.records}) == len(batch.records)
    assert system.known_queries is not None
    probes = [record["known_query_id"] for record in batch.records if record["known_query_id"]]
    assert sorted(probes) == sorted(q.query_id for q in questions(system.known_queries, "query"))
    attacks = Counter(r["occurred_at"].date() for r in batch.records if r["status"] == "blocked")
    assert sum(attacks.values()) == 4
    assert attacks[date(2026, 6, 3)] >= 3
    assert {kind for record in batch.records for kind in mask(record["query"])[1]} & PLANTED_PII.keys()


# --- the committed logs


@pytest.fixture(scope="module")
def logs(stories: dict[str, Story]) -> dict[str, dict[date, list[dict[str, Any]]]]:
    """The committed calls by system and week, as the pipelines import them."""
    found: dict[str, dict[date, list[dict[str, Any]]]] = {}
    for name in NAMES:
        log = SYSTEMS[name].inference_log
        for file in sorted(log.folder.iterdir()):
            content = file.read_bytes()
            packed = file.suffix == ".gz"
            assert packed == stories[name].compressed
            lines = (gzip.decompress(content) if packed else content).splitlines()
            batch = IMPORTERS[log.format](enumerate(lines, 1))
            assert batch.rejections == []
            found.setdefault(name, {})[date.fromisoformat(file.name.partition(".")[0])] = batch.records
    return found


def test_there_is_a_log_for_every_week_of_the_story(logs: Any, stories: dict[str, Story]) -> None:
    for name, story in stories.items():
        assert list(logs[name]) == [story.first_week + i * WEEK for i in range(story.weeks)]
        ids = [record["event_id"] for week in logs[name].values() for record in week]
        assert len(set(ids)) == len(ids)
        fewest = {"support": (350, 190), "handbook": (25, 24)}[name]
        for week, records in logs[name].items():
            asked = Counter(bool(record["known_query_id"]) for record in records)
            assert (asked[False] >= fewest[0], asked[True] >= fewest[1]) == (True, True), (name, week, asked)


def test_models_prompts_and_attacks_are_those_of_the_story(logs: Any, stories: dict[str, Story]) -> None:
    for name, story in stories.items():
        dear = story.dear_model.served if story.dear_model else None
        records = [record for week in logs[name].values() for record in week]
        for record in records:
            day = record["occurred_at"].date()
            assert record["prompt_version"] == at_day(story.system_prompt, day)
            if record["model_served"] not in (None, dear):
                assert record["model_served"] == model_on(story, day).served
            if record["model_served"] == dear is not None:
                assert (record["endpoint"], at_day(story.dear_share, day) > 0) == ("draft-reply", True)
        blocked = Counter(record["occurred_at"].date() for record in records if record["status"] == "blocked")
        burst, background = story.injection_attempts.burst, story.injection_attempts.background_per_week
        assert sum(blocked.values()) == sum(burst.values()) + background * story.weeks
        assert all(blocked[day] >= attempts for day, attempts in burst.items())


def test_token_parts_of_every_logged_call_add_up(logs: Any) -> None:
    parts = ("system_prompt_tokens", "context_tokens", "history_tokens", "user_tokens")
    answered = [r for week in logs["support"].values() for r in week if r["tokens_total"] is not None]
    assert len(answered) > 8000
    for record in answered:
        sent = record["input_uncached"] + record["cache_read"] + record["cache_write"]
        assert sum(record[part] for part in parts) == sent
        assert record["tokens_total"] == sent + record["output_visible"] + record["reasoning"]


def test_the_logs_name_the_indexes_that_are_built_from_the_corpus_today(
    logs: Any, stories: dict[str, Story]
) -> None:
    space, differing = embedder().space.version, []
    for name, story in stories.items():
        corpus = SYSTEMS[name].corpus
        assert corpus is not None
        versions = {}
        for snapshot in snapshots(corpus):
            texts = ((d.document, d.document_hash, d.text) for d in read(snapshot)[0])
            versions[snapshot.label] = index_version_id(wanted_chunks(texts), BY_STRUCTURE.version, space)
        for record in (record for week in logs[name].values() for record in week):
            built = versions[str(deployment_at(story, record["occurred_at"]).snapshot)]
            if record["index_version"] not in (None, built):
                differing.append((name, record["event_id"], record["index_version"], built))
    assert not differing, f"{len(differing)} calls name another index: run `make sample`; {differing[:3]}"
