"""What keeps a system's own judge from judging, before it is asked anything: its key, its address, its model.

Nothing is paid for: the list of models is read, where the server has one.
"""

import json
import os
from collections.abc import Iterator
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, build_opener

from aiops_pipelines.monitoring.frozen_answers import frozen_answers
from aiops_pipelines.monitoring.judge_settings import API_KEY, JudgeSettings
from aiops_pipelines.monitoring.judging import CALLS
from aiops_pipelines.resources.checks import Check
from aiops_pipelines.resources.notifier import Stay
from aiops_pipelines.wording import count, inert, some

TIMEOUT_S = 5
HERE = ("localhost", "127.0.0.1", "::1")
UNMEASURED = "answers stay unmeasured"
MOST_BYTES = 4_000_000


def check_judge(judge: JudgeSettings) -> Iterator[Check]:
    """Yield what was found; a judge that cannot be asked leaves answers unmeasured, and no more."""
    variable = judge.secrets.get(API_KEY)
    if variable and not os.environ.get(variable):
        said = f"The judge needs the environment variable {variable}, which is not set here"
        yield Check("warn", f"{said}; set it where runs are made.")
    if variable and judge.base_url.startswith("http://") and judge.host not in HERE:
        said = "judge.base_url begins with http://, so its key and the answers are sent in clear"
        yield Check("warn", f"{said}; use https://.")
    frozen = len(frozen_answers()) * sum(CALLS.values())
    if judge.calls_per_week < 2 * frozen:
        said = f"judge.calls_per_week is {count(judge.calls_per_week)}; {count(frozen)} go to frozen answers"
        yield Check("warn", f"{said}, so few others can be judged.")
    yield _reached(judge, os.environ.get(variable or "", ""))


def _reached(judge: JudgeSettings, key: str) -> Check:
    where = f"The judge at {inert(judge.host)}"
    try:
        models = _models(judge, key)
    except HTTPError as error:
        error.close()
        if error.code in (401, 403):
            return Check("warn", f"{where} does not take its key ({error.code}); {UNMEASURED}.")
        if error.code in (404, 405, 501):
            said = f"{where} answers, and lists no models ({error.code}), so that of {inert(judge.model)}"
            return Check("good", f"{said} nothing is known; base_url ends where chat/completions begins.")
        return Check("warn", f"{where} answers {error.code}; {UNMEASURED}.")
    except (OSError, HTTPException, ValueError) as error:
        reason = error.reason if isinstance(error, URLError) else error
        why = getattr(reason, "strerror", None) or type(reason).__name__
        return Check("warn", f"{where} cannot be reached ({why}); look at judge.base_url, or {UNMEASURED}.")
    if models is not None and not {judge.model, judge.dated_name} & models:
        said = f"{where} does not list the model {inert(judge.model)} (it lists {some(len(models), 'model')})"
        return Check("warn", f"{said}; look at judge.model, or {UNMEASURED}.")
    return Check("good", f"{where} can be reached; it gets the questions, answers and texts that it judges.")


def _models(judge: JudgeSettings, key: str) -> set[str] | None:
    """Return the models that a server lists, or None if it says something else."""
    parts = urlsplit(judge.base_url)
    address = parts._replace(path=f"{parts.path.rstrip('/')}/models").geturl()
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    with build_opener(Stay).open(Request(address, headers=headers), timeout=TIMEOUT_S) as answer:
        said = answer.read(MOST_BYTES)
    try:
        return {str(one["id"]) for one in json.loads(said)["data"]}
    except (ValueError, LookupError, TypeError):
        return None
