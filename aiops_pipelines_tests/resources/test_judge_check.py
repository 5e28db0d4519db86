"""What `aiops check` says of a judge, and which mistakes in the key are sentences."""

from collections.abc import Iterator
from typing import Any

import pytest

from aiops_pipelines.resources.judge_check import check_judge
from aiops_pipelines.systems import SystemFileError, load_system
from aiops_pipelines_tests.resources.fake_judge import FakeJudge, serving
from aiops_pipelines_tests.resources.judged_shop import settings

GOOD = {"kind": "openai_compatible", "base_url": "http://127.0.0.1:9/v1", "model": "m", "dated_name": "m-1"}


@pytest.fixture
def server() -> Iterator[tuple[FakeJudge, str]]:
    with serving() as running:
        running[0].model = "tiny"
        yield running


def said(url: str, **changes: Any) -> list[tuple[str, str]]:
    return [(check.tone, check.sentence) for check in check_judge(settings(url, **changes))]


def test_a_judge_that_can_be_reached_is_good_and_nothing_is_asked(server: tuple[FakeJudge, str]) -> None:
    assert said(server[1]) == [
        (
            "good",
            "The judge at 127.0.0.1 can be reached; it gets the questions, answers and texts that it judges.",
        )
    ]
    assert len(server[0]) == 0


@pytest.mark.parametrize(
    ("status", "tone", "words"),
    [
        (401, "warn", "does not take its key (401)"),
        (404, "good", "lists no models (404)"),
        (500, "warn", "answers 500"),
        (302, "warn", "answers 302"),
    ],
)
def test_what_the_server_answers_is_said(
    server: tuple[FakeJudge, str], status: int, tone: str, words: str
) -> None:
    server[0].statuses = [status]
    [found] = said(server[1])
    assert found[0] == tone and words in found[1]


def test_a_model_that_is_not_there_an_address_that_is_not_and_a_small_cap_are_said(
    server: tuple[FakeJudge, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    [(tone, sentence)] = said(server[1], model="huge")
    assert tone == "warn" and "does not list the model huge (it lists 1 model)" in sentence
    [(tone, sentence)] = said("http://127.0.0.1:9/v1")
    assert tone == "warn" and "cannot be reached (Connection refused); look at judge.base_url" in sentence
    assert "calls_per_week is 200; 160 go to frozen answers" in said(server[1], calls_per_week=200)[0][1]
    monkeypatch.delenv("NO_SUCH_JUDGE_KEY", raising=False)
    found = said(server[1], secrets={"api_key": "NO_SUCH_JUDGE_KEY"})
    assert "environment variable NO_SUCH_JUDGE_KEY, which is not set here" in found[0][1]
    monkeypatch.setenv("NO_SUCH_JUDGE_KEY", "sk-planted-5")
    found = said("http://judge.invalid/v1", secrets={"api_key": "NO_SUCH_JUDGE_KEY"})
    assert "are sent in clear; use https://" in found[0][1] and "sk-planted-5" not in str(found)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"base_url": "api.example.com/v1"}, "base_url is an address such as https://api.openai.com/v1"),
        ({"base_url": "https://me:secret@api.example.com/v1"}, "base_url holds a password"),
        ({"base_url": "https://api.example.com/v1?key=1"}, "without ? and #"),
        ({"base_url": "http://[/v1"}, "base_url is an address"),
        ({"base_url": "http://x:99999/v1"}, "base_url is an address"),
        ({"kind": "ollama"}, "judge.kind: Input should be 'openai_compatible'"),
        ({"api_key": "sk-1"}, "judge.api_key: There is no such key"),
        ({"secrets": {"api_key": "sk-1"}}, "secrets names the environment variable of api_key, in capitals"),
        ({"secrets": {"token": "T"}}, "token is no secret of a judge; there is api_key"),
        ({"parameters": {"api_key": "sk-1"}}, "parameters holds api_key; name the environment variable"),
        ({"parameters": {"proxy": [{"x-api-key": "sk-1"}]}}, "parameters holds x-api-key; name the"),
        (
            {"parameters": {"headers": {"Authorization": "Bearer sk-1"}}},
            "parameters holds Authorization; name",
        ),
        ({"parameters": {"messages": []}}, "parameters holds messages, which is set by the judge itself"),
        (
            {"monthly_budget_usd": 5},
            "monthly_budget_usd is counted by input_usd_per_million and output_usd_per_million",
        ),
        ({"dated_name": None}, "judge.dated_name: Input should be a valid string"),
        ({"sample_size": 401}, "judge.sample_size: Input should be less than or equal to 400"),
        ({"concurency": 2}, "did you mean concurrency?"),
    ],
)
def test_a_mistake_in_the_key_is_a_sentence(tmp_path: Any, change: dict[str, Any], words: str) -> None:
    import yaml

    file = tmp_path / "shop.yaml"
    content = {"name": "shop", "title": "t", "inference_log": {"folder": "log"}, "judge": GOOD | change}
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(SystemFileError) as refused:
        load_system(file, tmp_path)
    assert (
        words in str(refused.value)
        and "sk-1" not in str(refused.value)
        and "me:secret" not in str(refused.value)
    )
