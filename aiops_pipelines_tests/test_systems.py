from datetime import UTC, date, datetime, time, timedelta, timezone
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from aiops_pipelines.systems import System, SystemFileError, load_system, load_systems, monday

LEAST = {"name": "shop", "title": "Shop assistant", "inference_log": {"folder": "logs"}}
SAMPLES = Path(__file__).parents[1] / "data" / "systems"


def written(folder: Path, content: object, name: str = "shop.yaml") -> Path:
    file = folder / name
    file.write_text(content if isinstance(content, str) else yaml.safe_dump(content), encoding="utf-8")
    return file


def test_three_keys_are_enough(tmp_path: Path) -> None:
    system = load_system(written(tmp_path, LEAST), tmp_path)
    assert (system.name, system.profile, system.as_of, system.corpus) == ("shop", "standard", None, None)
    assert system.inference_log.format == "aiops_jsonl"
    assert (system.baseline.weeks, system.limits.margin, system.limits.drop_that_matters) == (4, 0.02, 0.05)
    assert system.retention.audit_days == 2192
    assert [note.kind for note in system.notifications] == ["log"]


@pytest.mark.parametrize("profile", ["light", "standard", "regulated", "REGULATED", "Light"])
def test_a_profile_is_one_of_three_in_any_case(tmp_path: Path, profile: str) -> None:
    system = load_system(written(tmp_path, LEAST | {"profile": profile}), tmp_path)
    assert system.profile == profile.lower()


MISTAKES = {
    "limits.margn": {"limits": {"margn": 0.1}},
    "limits.margin": {"limits": {"margin": 0.5}},
    "limits.alpha": {"limits": {"alpha": 0}},
    "limits.drop_that_matters": {"limits": {"drop_that_matters": 1}},
    "limits.monthly_budget_usd": {"limits": {"monthly_budget_usd": float("nan")}},
    "limits.silent_hours": {"limits": {"silent_hours": 0}},
    "limits": {"limits": 3},
    "profile": {"profile": "strict"},
    "colour": {"colour": "blue"},
    "name": {"name": "Shop"},
    "inference_log.format": {"inference_log": {"folder": "logs", "format": "csv"}},
    "inference_log.folder": {"inference_log": {"format": "otlp_json"}},
    "corpus": {"corpus": {"dated": True}},
    "corpus.dated": {"corpus": {"folder": "c", "dated": "perhaps"}},
    "baseline.weeks": {"baseline": {"weeks": 14}},
    "retention.audit_days": {"retention": {"audit_days": 183}},
    "prices.0.valid_from": {"prices": [{"model": "m", "input": 1, "output": 2}]},
    "prices.0.input": {"prices": [{"model": "m", "valid_from": date(2026, 1, 1), "input": -1, "output": 2}]},
    "notifications.0.kind": {"notifications": [{"kind": "mail"}]},
    "notifications.0.secrets": {"notifications": [{"secrets": {"url": "https://example.com/hook"}}]},
    "notifications.0.changes.0": {"notifications": [{"changes": ["closed"]}]},
    "business_hours": {"business_hours": {"days": []}},
    "business_hours.closes": {"business_hours": {"closes": "late"}},
    "business_hours.days.0": {"business_hours": {"days": ["Mon"]}},
    "as_of": {"as_of": "tomorrow"},
    "known_queries": {"known_queries": 3},
    "title": {"title": None},
    "1": {1: 2},
}


@pytest.mark.parametrize("key", MISTAKES)
def test_a_mistake_is_a_sentence_that_names_file_and_key(tmp_path: Path, key: str) -> None:
    with pytest.raises(SystemFileError) as error:
        load_system(written(tmp_path, LEAST | MISTAKES[key]), tmp_path)
    file, found, message = str(error.value).split(": ", 2)
    assert (file, found) == ("shop.yaml", key)
    assert " " in message and "\n" not in message and "pydantic" not in message


def test_all_mistakes_of_a_file_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SystemFileError) as error:
        load_system(written(tmp_path, {"name": "shop", "profile": "big", "limits": {"alpha": 2}}), tmp_path)
    text = str(error.value)
    assert [key for key in ("title: ", "profile: ", "inference_log: ", "limits.alpha: ") if key in text] == [
        "title: ",
        "profile: ",
        "inference_log: ",
        "limits.alpha: ",
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"limit": {}}, "limit: There is no such key; did you mean limits?"),
        ({"limits": {"eror_rate": 0.1}}, "limits.eror_rate: There is no such key; did you mean error_rate?"),
        ({"notifications": [{"knd": "log"}]}, "notifications.0.knd: There is no such key; did you mean kind?"),
        ({"prices": [{"model": "m", "valid_form": "2026-01-01"}]}, "prices.0.valid_form: There is no such key; did you mean valid_from?"),
        ({"index": {"embedding": {"clas": "a.B"}}}, "index.embedding.clas: There is no such key; did you mean class?"),
        ({"colour": "red"}, "shop.yaml: colour: There is no such key"),
    ],
)  # fmt: skip
def test_a_key_that_looks_like_another_is_told_with_it(tmp_path: Path, content: dict, said: str) -> None:
    with pytest.raises(SystemFileError) as error:
        load_system(written(tmp_path, LEAST | content), tmp_path)
    assert said in str(error.value)
    assert ("did you mean" in str(error.value)) == ("did you mean" in said)


EMBEDDINGS = [
    ("nosuchmodel", ["index.embedding: Input should be {models}, or a mapping of keys"]),
    (None, ["index.embedding: Input should be {models}, or a mapping of keys"]),
    (
        {"class": "a.B", "model": "m", "provider": "p", "dated_name": "m-1", "dimension": 0, "colour": 1},
        [
            "index.embedding.dimension: Input should be greater than 0",
            "index.embedding.colour: There is no such key",
        ],
    ),
    (
        {"class": "a.B", "model": "m", "provider": "p", "dimension": 3},
        ["index.embedding.dated_name: Field required"],
    ),
]


@pytest.mark.parametrize(("embedding", "said"), EMBEDDINGS)
def test_a_value_of_several_kinds_has_one_sentence_without_the_names_of_kinds(
    tmp_path: Path, embedding: object, said: list[str]
) -> None:
    with pytest.raises(SystemFileError) as error:
        load_system(written(tmp_path, LEAST | {"index": {"embedding": embedding}}), tmp_path)
    models = "'all-MiniLM-L6-v2' or 'multilingual-e5-small'"
    assert str(error.value) == "shop.yaml: " + "; ".join(said).replace("{models}", models)


@pytest.mark.parametrize(
    ("corpus", "said"),
    [
        ({"folder": 3}, "corpus.folder: Input should be a path"),
        ({"folder": "x", "quarantine": 3}, "corpus.quarantine: Input should be a list"),
        ({"folder": "x", "colour": 1}, "corpus.colour: There is no such key"),
    ],
)
def test_a_mistake_is_told_without_the_words_of_python(
    tmp_path: Path, corpus: dict[str, object], said: str
) -> None:
    with pytest.raises(SystemFileError) as error:
        load_system(written(tmp_path, LEAST | {"corpus": corpus}), tmp_path)
    assert str(error.value) == f"shop.yaml: {said}"


def test_a_value_where_keys_belong_is_told_without_the_name_of_a_class(tmp_path: Path) -> None:
    with pytest.raises(SystemFileError, match=r"^shop\.yaml: corpus: Input should be a mapping of keys$"):
        load_system(written(tmp_path, LEAST | {"corpus": "handbook"}), tmp_path)


def test_a_model_has_one_price_from_a_day_on_in_a_tier(tmp_path: Path) -> None:
    price = {"model": "gpt-4o", "valid_from": date(2026, 1, 1), "input": 1, "output": 2}
    prices = [price, price | {"service_tier": "Batch"}, price | {"valid_from": date(2026, 7, 1)}]
    shop = {"name": "shop", "title": "Shop", "inference_log": {"folder": "log"}}
    system = load_system(written(tmp_path, shop | {"prices": prices}), tmp_path)
    assert [price.service_tier for price in system.prices] == [None, "batch", None]
    for again in ({"model": "GPT-4o"}, {"service_tier": "standard"}):
        with pytest.raises(SystemFileError, match="gpt-4o has 2 prices from 2026-01-01 on; keep one of them"):
            load_system(written(tmp_path, shop | {"prices": [*prices, price | again]}), tmp_path)


def test_the_name_must_be_the_files(tmp_path: Path) -> None:
    with pytest.raises(
        SystemFileError, match=r"desk\.yaml: name is 'shop', so the file must be shop\.yaml\."
    ):
        load_system(written(tmp_path, LEAST, "desk.yaml"), tmp_path)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "- name: shop",
        "name: [unclosed",
        "as_of: 2026-13-01",  # the parser of dates raises no YAMLError
        "as_of: 0001-01-01T00:00:00+14:00",
        "x: " + "[" * 3000,
        "\0",
    ],
)
def test_what_is_no_system_is_a_sentence_and_no_crash(tmp_path: Path, content: str) -> None:
    with pytest.raises(SystemFileError, match=r"^shop\.yaml"):
        load_system(written(tmp_path, content), tmp_path)


def test_bytes_and_folders_are_no_systems_either(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "desk.yaml").mkdir()
    systems, mistakes = load_systems(tmp_path, tmp_path)
    assert systems == {}
    assert {name: text.split(" cannot")[0] for name, text in mistakes.items()} == {
        "shop": "shop.yaml",
        "desk": "desk.yaml",
    }


def test_one_bad_file_does_not_stop_the_others(tmp_path: Path) -> None:
    written(tmp_path, LEAST)
    written(tmp_path, "as_of: 2026-13-01", "bad.yaml")
    systems, mistakes = load_systems(tmp_path, tmp_path)
    assert list(systems) == ["shop"]
    assert list(mistakes) == ["bad"]


def test_a_file_with_the_other_ending_is_not_passed_over(tmp_path: Path) -> None:
    written(tmp_path, LEAST, "shop.yml")
    systems, mistakes = load_systems(tmp_path, tmp_path)
    assert systems == {}
    assert "must be shop.yaml" in mistakes["shop"]


def test_no_folder_is_no_system(tmp_path: Path) -> None:
    assert load_systems(tmp_path / "missing", tmp_path) == ({}, {})


def test_relative_paths_start_at_the_root_and_absolute_ones_stay(tmp_path: Path) -> None:
    content = LEAST | {"corpus": {"folder": "c"}, "known_queries": "q.jsonl"}
    system = load_system(written(tmp_path, content), Path("/anywhere"))
    assert system.inference_log.folder == Path("/anywhere/logs")
    assert system.corpus is not None and system.corpus.folder == Path("/anywhere/c")
    assert system.known_queries == Path("/anywhere/q.jsonl")
    absolute = load_system(
        written(tmp_path, LEAST | {"inference_log": {"folder": "/logs"}}), Path("/anywhere")
    )
    assert absolute.inference_log.folder == Path("/logs")
    assert (absolute.corpus, absolute.known_queries) == (None, None)


@pytest.mark.parametrize(
    "text",
    ["2026-09-07T06:00:00", "2026-09-07T06:00:00Z", "2026-09-07T08:00:00+02:00", "2026-09-07 06:00:00"],
)
def test_the_end_of_a_story_is_in_utc_and_naive_means_utc(tmp_path: Path, text: str) -> None:
    system = load_system(written(tmp_path, yaml.safe_dump(LEAST) + f"as_of: {text}\n"), tmp_path)
    assert system.as_of == datetime(2026, 9, 7, 6, tzinfo=UTC)
    assert system.as_of.utcoffset() == timedelta(0)


def test_the_present_is_the_clock_until_a_story_ends_it() -> None:
    clock = datetime(2026, 12, 1, tzinfo=UTC)
    end = datetime(2026, 9, 7, tzinfo=UTC)
    assert System.model_validate(LEAST).now(clock) == clock
    assert System.model_validate(LEAST | {"as_of": end}).now(clock) == end


def test_a_system_does_not_change() -> None:
    system = System.model_validate(LEAST)
    with pytest.raises(ValidationError, match="frozen"):
        system.name = "other"


def test_the_sample_systems_load() -> None:
    systems, mistakes = load_systems(SAMPLES, SAMPLES.parent)
    assert mistakes == {}
    assert {name: system.profile for name, system in systems.items()} == {
        "handbook": "light",
        "support": "regulated",
    }
    for system in systems.values():
        assert system.as_of == datetime(2026, 9, 7, 6, tzinfo=UTC)
        assert system.corpus is not None and system.corpus.folder.is_dir()
        assert system.inference_log.folder.is_dir()
        assert system.known_queries is not None and system.known_queries.is_file()


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.dates(), st.datetimes()
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from([*System.model_fields, "other"]), VALUES, max_size=4))
def test_whatever_stands_in_a_file_is_a_system_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[str, object]
) -> None:
    file = tmp_path_factory.getbasetemp() / "shop.yaml"
    file.write_text(yaml.safe_dump(LEAST | changes), encoding="utf-8")
    try:
        assert load_system(file, Path("/")).name == "shop"
    except SystemFileError as error:
        assert str(error).startswith("shop.yaml")


@pytest.mark.parametrize(
    ("moment", "week"),
    [
        (date(2026, 6, 1), date(2026, 6, 1)),
        (date(2026, 6, 7), date(2026, 6, 1)),
        (date(2026, 6, 8), date(2026, 6, 8)),
        (date(2027, 1, 1), date(2026, 12, 28)),
        (datetime(2026, 6, 7, 23, 59, 59, tzinfo=UTC), date(2026, 6, 1)),
        (datetime(2026, 6, 8, tzinfo=UTC), date(2026, 6, 8)),
        (datetime(2026, 6, 8, 1, tzinfo=timezone(timedelta(hours=2))), date(2026, 6, 1)),
    ],
)
def test_monday(moment: date, week: date) -> None:
    assert monday(moment) == week


@given(st.dates(date(1900, 1, 1), date(9000, 1, 1)))
def test_a_monday_is_one_and_at_most_six_days_back(day: date) -> None:
    assert monday(day).isoweekday() == 1
    assert 0 <= (day - monday(day)).days <= 6
    assert monday(monday(day)) == monday(day)


@pytest.mark.parametrize(
    ("hours", "said"),
    [
        ({"time_zone": "Berlin"}, "There is no time zone 'Berlin'; write one like Europe/Berlin"),
        ({"closes": 9}, "closes lies after opens"),
        ({"closes": "9:00"}, "closes lies after opens"),
        ({"opens": 24}, "opens"),
    ],
)
def test_hours_that_cannot_be_are_refused(tmp_path: Path, hours: dict[str, object], said: str) -> None:
    with pytest.raises(SystemFileError, match=said):
        load_system(written(tmp_path, LEAST | {"business_hours": hours}), tmp_path)


@pytest.mark.parametrize("written_as", ["09:30", "9:30", '"9:30"', "09:30:00"])
def test_hours_are_read_as_people_write_them(tmp_path: Path, written_as: str) -> None:
    """YAML takes 9:30 for 570, as minutes of an angle."""
    hours = f"{{time_zone: Europe/Berlin, opens: {written_as}, closes: 18:00, holidays: [2026-12-25]}}"
    text = f"name: shop\ntitle: Shop\ninference_log: {{folder: l}}\nbusiness_hours: {hours}\n"
    (tmp_path / "shop.yaml").write_text(text)
    calendar = load_system(tmp_path / "shop.yaml", tmp_path).business_hours.calendar
    assert (calendar.opens, calendar.closes, calendar.day) == (time(9, 30), time(18), timedelta(hours=8.5))
    assert calendar.holidays == {date(2026, 12, 25)} and calendar.weekdays == {0, 1, 2, 3, 4}
