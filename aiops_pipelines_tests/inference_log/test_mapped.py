"""Any fields by a mapping: places, constants, numbers as text, ratings apart, and what a mapping must name."""

import json

import pytest
from pydantic import ValidationError

from aiops_pipelines.inference_log.log_settings import Logs
from aiops_pipelines.inference_log.mapped import read

MAPPING = {
    "event_id": "request.id", "occurred_at": "ts", "provider": "=openai", "model_served": "model", "usage": "usage",
    "latency_ms": "ms", "query": "q", "context": "docs", "system_prompt": "sys", "rating": "stars", "answer": "a.b",
}  # fmt: skip
ROW = {
    "request": {"id": 7}, "ts": "1780315200", "model": "gpt-4o", "ms": "12.6", "q": "why is it so", "docs": ["it", "is"],
    "usage": '{"prompt_tokens": 20, "completion_tokens": 2}', "sys": "be brief", "a.b": "because", "colour": "red",
}  # fmt: skip


def words(text, model):
    return len(text.split()), True


def batch_of(*rows, mapping=MAPPING):
    return read(((number, json.dumps(row).encode()) for number, row in enumerate(rows, 1)), words, mapping)


def test_fields_are_found_by_their_places():
    batch = batch_of(ROW)
    [record] = batch.records
    assert (record["event_id"], record["provider"], record["latency_ms"]) == ("7", "openai", 13)
    assert record["occurred_at"].isoformat() == "2026-06-01T12:00:00+00:00"
    assert (record["query"], record["answer"], record["tokens_total"]) == ("why is it so", "because", 22)
    parts = ("system_prompt_tokens", "context_tokens", "user_tokens")
    # 2, 2 and 4 words of 8 share the provider's 20 tokens.
    assert [record[part] for part in parts] == [5, 5, 10]
    assert batch.ignored == {"colour": 1}


def test_fields_that_are_null_do_not_tell_whose_usage_it_is():
    """Parquet pads each row with the fields of all rows; Anthropic counts cached input beside the input."""
    anthropic = {"input_tokens": 6_000, "output_tokens": 100, "cache_read_input_tokens": 5_000}
    gemini = {"promptTokenCount": 600, "candidatesTokenCount": 100, "thoughtsTokenCount": 50}
    openai = {"prompt_tokens": None, "prompt_tokens_details": {"cached_tokens": None}}
    nothing = dict.fromkeys([*anthropic, *gemini])
    rows = [ROW | {"usage": nothing | openai | usage} for usage in (anthropic, gemini)]
    one, other = batch_of(*rows).records
    assert (one["input_uncached"], one["cache_read"], one["token_convention"]) == (6_000, 5_000, "disjoint")
    assert (one["tokens_total"], other["tokens_total"], other["reasoning"]) == (11_100, 750, 50)
    assert json.loads(one["usage_raw"]) == anthropic


@pytest.mark.parametrize("nothing", ["NULL", "\\N", "nan", "None", " "])
def test_what_tools_write_for_nothing_is_nothing(nothing):
    mapping = MAPPING | {"user_id": "who", "usage": "used"}
    [record] = batch_of(
        ROW | {"who": nothing, "model": nothing, "ms": nothing, "used": nothing}, mapping=mapping
    ).records
    assert (
        record["user_id"] is record["model_served"] is record["latency_ms"] is record["tokens_total"] is None
    )


def test_na_is_no_number_but_may_be_a_group_or_an_answer():
    [record] = batch_of(
        ROW | {"ms": "NA", "region": "NA", "a.b": "None"}, mapping=MAPPING | {"user_group": "region"}
    ).records
    assert (record["latency_ms"], record["user_group"], record["answer"]) == (None, "NA", "None")


def test_ids_that_became_floats_are_the_numbers_they_were():
    mapping = MAPPING | {"user_id": "who"}
    batch = batch_of(ROW | {"who": 12_345.0}, ROW | {"who": 2.0**53 + 2}, mapping=mapping)
    assert [record["user_id"] for record in batch.records] == ["12345"]
    assert [r.reason for r in batch.rejections] == [
        "user_id is the number 9007199254740994.0, of which digits may be lost; export it as text."
    ]


def test_a_place_may_go_through_a_list():
    mapping = MAPPING | {"answer": "resp.choices.0.message.content"}
    said = {"choices": [{"message": {"content": "because"}}]}
    one, other = batch_of(ROW | {"resp": said}, ROW | {"resp": {"choices": []}}, mapping=mapping).records
    assert (one["answer"], other["answer"]) == ("because", None)


def test_a_place_may_go_through_names_with_dots():
    """Opik flattens what a provider states within its own usage."""
    usage = {"prompt_tokens": 20, "completion_tokens": 2, "original.prompt_tokens_details.cached_tokens": 15}
    given = {"input_tokens": "spent.prompt_tokens", "output_tokens": "spent.completion_tokens"}
    cached = {"cache_read_tokens": "spent.original.prompt_tokens_details.cached_tokens"}
    mapping = {name: place for name, place in MAPPING.items() if name != "usage"} | given | cached
    [record] = batch_of(
        ROW | {"spent": {**usage, "total_tokens": 22}},
        mapping=mapping | {"total_tokens": "spent.total_tokens"},
    ).records
    assert (record["input_uncached"], record["cache_read"], record["tokens_total"]) == (5, 15, 22)


def test_a_row_that_states_a_kind_of_error_is_one_unless_it_says_otherwise():
    """Opik, Weave and Braintrust have a field for the error and none for the outcome."""
    mapping = MAPPING | {"error_type": "error_info.exception_type", "status": "outcome"}
    failed = ROW | {"error_info": {"exception_type": "BadRequestError"}}
    rows = [failed, ROW | {"error_info": None}, failed | {"outcome": "refused"}]
    assert [r["status"] for r in batch_of(*rows, mapping=mapping).records] == ["error", "ok", "refused"]


def test_only_rows_that_say_so_are_calls_and_the_others_are_counted():
    mapping = MAPPING | {"only": {"kind.type": ["llm", "chat"], "dry": ["", "false"]}}
    kinds = ["llm", "tool", "chat", "tool", None]
    rows = [ROW | {"kind": {"type": kind}, "request": {"id": str(n)}} for n, kind in enumerate(kinds)]
    rows += [ROW | {"kind": {"type": "llm"}, "dry": dry} for dry in (True, False)]
    batch = batch_of(*rows, {"kind": {"type": "tool"}, "ts": "soon"}, mapping=mapping)
    assert [record["event_id"] for record in batch.records] == ["0", "2", "7"]
    assert batch.ignored == {"tool": 3, "no kind.type": 1, "true": 1, "colour": 3}
    assert batch.rejections == []


def test_of_several_places_the_first_with_a_value_counts():
    mapping = MAPPING | {"model_served": ["served", "model", "=none"], "latency_ms": ["a.ms", "ms"]}
    rows = [ROW | {"served": "NULL"}, ROW | {"served": "gpt-5", "a": {"ms": 5}}, ROW | {"model": ""}]
    found = [(r["model_served"], r["latency_ms"]) for r in batch_of(*rows, mapping=mapping).records]
    assert found == [("gpt-4o", 13), ("gpt-5", 5), ("none", 13)]


def test_fields_that_a_table_flattened_are_one_object_again():
    flat = {"usage.prompt_tokens": "20", "usage.completion_tokens": "2"}
    flat |= {"usage.prompt_tokens_details.cached_tokens": "15", "usage.total_tokens": None}
    row = {name: value for name, value in ROW.items() if name != "usage"} | flat
    batch = batch_of(row)
    [record] = batch.records
    assert (record["input_uncached"], record["cache_read"], record["tokens_total"]) == (5, 15, 22)
    assert batch.ignored == {"colour": 1}


def test_a_star_is_the_only_field_of_an_object():
    mapping = MAPPING | {"usage": "by.*.usage"}
    one = {"gpt-4.1": {"usage": {"input_tokens": 7, "output_tokens": 1}}}
    records = batch_of(ROW | {"by": one}, ROW | {"by": {**one, "b": {}}}, mapping=mapping).records
    assert [record["tokens_total"] for record in records] == [8, None]


@pytest.mark.parametrize(
    ("places", "row", "times"),
    [
        ({"ended_at": "end"}, {"end": 1780315201.5}, (1500, None)),
        ({"ended_at": "end", "latency_ms": "ms"}, {"end": 1780315201.5}, (13, None)),
        ({"ended_at": "end"}, {"end": 1780315199}, (None, None)),
        ({"latency_s": "s", "time_to_first_token_s": "f"}, {"s": "2.5", "f": 0.25}, (2500, 250)),
        ({"latency_ms": "ms", "latency_s": "s"}, {"s": 2.5}, (13, None)),
    ],
)
def test_latency_is_also_read_from_the_end_and_from_seconds(places, row, times):
    mapping = {name: place for name, place in MAPPING.items() if name != "latency_ms"} | places
    [record] = batch_of(ROW | row, mapping=mapping).records
    assert (record["latency_ms"], record["time_to_first_token_ms"]) == times


@pytest.mark.parametrize(
    ("code", "error", "expected"),
    [
        ("429", None, ("error", "HTTP 429")),
        (500.0, "Timeout: no answer in 30 s", ("error", "Timeout")),
        (200, None, ("ok", None)),
        (None, {"type": "rate_limit", "message": "jane@example.com"}, ("error", "rate_limit")),
        (None, '{"message": "slow down"}', ("error", "slow down")),
        (None, True, ("error", "error")),
        (None, False, ("ok", None)),
        (None, "Traceback (most recent call last):\n  File x\na.B: c\n\nDuring\n  File\nd.E: f\ng: h", ("error", "d.E")),
    ],
)  # fmt: skip
def test_an_http_status_and_an_error_make_a_call_a_failed_one(code, error, expected):
    mapping = MAPPING | {"http_status": "code", "error_type": "failed"}
    [record] = batch_of(ROW | {"code": code, "failed": error}, mapping=mapping).records
    assert (record["status"], record["error_type"]) == expected


def test_bodies_of_a_provider_tell_texts_usage_and_how_the_answer_ended():
    places = {"event_id": "id", "occurred_at": "ts", "request": "asked", "response": "got"}
    asked = {
        "system": "be brief",
        "messages": [{"role": "user", "content": "why is it so"}],
        "tools": [{"name": "t"}],
    }
    got = {"content": [{"type": "text", "text": "because"}], "stop_reason": "refusal"}
    got["usage"] = {"input_tokens": 20, "output_tokens": 2}
    for written in (lambda body: body, json.dumps):
        row = {"id": "1", "ts": ROW["ts"], "asked": written(asked), "got": written(got)}
        [record] = batch_of(row, mapping=places).records
        assert (record["query"], record["answer"], record["status"]) == ("why is it so", "because", "refused")
        assert (record["tokens_total"], record["system_prompt_tokens"]) == (22, 5)


def test_definitions_of_tools_are_part_of_the_prompt_as_text_and_as_objects():
    tools = [{"type": "function", "function": {"name": "track"}}]
    rows = [ROW | {"offered": written} for written in (tools, json.dumps(tools), "track: follow a parcel")]
    records = batch_of(*rows, mapping=MAPPING | {"tools": "offered"}).records
    assert all(record["tools_tokens"] > 0 for record in records)


def test_scores_on_a_row_are_feedback_on_its_call():
    mapping = MAPPING | {"scores": "scores"}
    listed = [{"name": "user_feedback", "value": 1, "source": "ui"}, {"name": "tone", "label": "kind"}, "odd"]
    batch = batch_of(
        ROW | {"scores": {"exact": 0.5, "none": None}}, ROW | {"scores": listed}, mapping=mapping
    )
    said = [
        (one["event_id"], one["name"], one["value"], one["label"], one["rating"]) for one in batch.feedback
    ]
    assert said == [
        ("7", "exact", 0.5, None, None),
        ("7", "user_feedback", 1, None, 1),
        ("7", "tone", None, "kind", None),
    ]
    batch = batch_of(ROW | {"scores": {"exact": [1]}}, mapping=mapping)
    assert (len(batch.records), len(batch.feedback), len(batch.rejections)) == (0, 0, 1)


def test_a_row_with_a_rating_and_no_time_is_feedback():
    [said] = batch_of({"request": {"id": "7"}, "stars": "-1"}).feedback
    assert (said["event_id"], said["rating"]) == ("7", -1)


def test_what_is_no_number_or_no_time_is_set_aside():
    batch = batch_of(ROW | {"ms": "slow"}, ROW | {"ts": "soon"}, ROW | {"ts": ""}, ROW)
    assert [r.reason.split(";")[0] for r in batch.rejections] == [
        "latency_ms must be a number, not the text 'slow'.",
        "occurred_at is not a time such as 2026-06-01T12:00:00Z.",
        "occurred_at is missing",
    ]
    assert len(batch.records) == 1


@pytest.mark.parametrize(
    ("logs", "said"),
    [
        ({"format": "mapped"}, "needs a mapping"),
        ({"format": "langfuse", "mapping": {"event_id": "id", "occurred_at": "at"}}, "needs a mapping"),
        ({"format": "mapped", "mapping": {"event_id": "id"}}, "lacks occurred_at"),
        (
            {"format": "mapped", "mapping": {"event_id": "id", "occurred_at": "at", "colour": "c"}},
            "no column colour",
        ),
        (
            {"format": "mapped", "mapping": {"event_id": "id", "occurred_at": "at", "only": "llm"}},
            r"mapping.only must say what stands where in a call, as {type: llm}",
        ),
        (
            {"format": "mapped", "mapping": {"event_id": {"id": "x"}, "occurred_at": "at"}},
            "mapping.event_id must be a field",
        ),
        ({"format": "mapped", "mapping": MAPPING | {"query": []}}, "mapping.query is empty"),
        ({"format": "mapped", "mapping": MAPPING | {"only": {}}}, "mapping.only is empty"),
        ({"format": "mapped", "mapping": MAPPING | {"only": {"type": []}}}, "mapping.only.type is empty"),
    ],
)
def test_a_mapping_that_cannot_work_is_said(logs, said):
    with pytest.raises(ValidationError, match=said):
        Logs(folder=".", **logs)
    mapping = {"event_id": ["id", "key"], "occurred_at": "at", "only": {"type": ["llm", "chat"]}}
    assert Logs(folder=".", format="mapped", mapping=mapping)


@pytest.mark.parametrize(
    "flag",
    [False, 0, 0.0, "false", "FALSE", "0", [], "[]", {}, {"code": 0, "message": ""}, {"a": {"b": None}}],
)
def test_what_only_says_that_there_was_no_error_is_none(flag):
    [record] = batch_of(ROW | {"err": flag}, mapping=MAPPING | {"error_type": "err"}).records
    assert (record["status"], record["error_type"]) == ("ok", None)


@pytest.mark.parametrize("flag", [True, "true", {"detail": "slow down"}, {"type": None, "status": 503}])
def test_an_error_of_no_kind_is_one(flag):
    [record] = batch_of(ROW | {"err": flag}, mapping=MAPPING | {"error_type": "err"}).records
    assert (record["status"], record["error_type"]) == ("error", "error")


def test_what_a_table_flattened_is_no_text():
    """A column of its own that only begins with the name of another."""
    mapping = MAPPING | {"user_id": "user", "answer": "said"}
    row = ROW | {"user.name": "Ann", "said.tokens": 7}
    batch = batch_of(row, row | {"user": "u-1", "said": "yes"}, mapping=mapping)
    assert [(r["user_id"], r["answer"]) for r in batch.records] == [(None, None), ("u-1", "yes")]
    assert batch.ignored["user.name"] == 2


@pytest.mark.parametrize("none", [[], "", "[]", None])
def test_without_messages_a_question_alone_is_not_the_whole_prompt(none):
    mapping = {name: place for name, place in MAPPING.items() if name not in ("context", "system_prompt")}
    [record] = batch_of(ROW | {"turns": none}, mapping=mapping | {"messages": "turns"}).records
    assert (record["user_tokens"], record["part_method"]) == (None, None)


@pytest.mark.parametrize("none", [{}, "{}", {"prompt_tokens": None}])
def test_a_usage_that_states_nothing_is_looked_for_elsewhere(none):
    row = ROW | {"first": none}
    [record] = batch_of(row, mapping=MAPPING | {"usage": ["first", "usage"]}).records
    assert record["tokens_total"] == 22


def test_an_address_at_the_end_of_what_is_kept_of_an_error_is_masked_whole():
    said = "no such mailbox " * 12 + "ann.example.person@example.com"
    [record] = batch_of(ROW | {"err": said}, mapping=MAPPING | {"error_type": "err"}).records
    assert record["error_type"] == "no such mailbox " * 12 + "[EMAIL]"


def test_what_is_no_number_is_told_without_names():
    batch = batch_of(ROW | {"ms": "ask ann.example.person@example.com"})
    assert batch.rejections[0].reason == "latency_ms must be a number, not the text 'ask [EMAIL]'."


def test_what_a_row_is_left_out_for_names_nobody():
    mapping = MAPPING | {"only": {"fault": ""}}
    batch = batch_of(ROW | {"fault": "no mailbox ann.example.person@example.com here"}, mapping=mapping)
    assert batch.ignored == {"no mailbox [EMAIL] here": 1}
