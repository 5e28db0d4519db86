"""Work in a process of its own that is killed at a chosen moment."""

import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from aiops_pipelines.mendable import Mendable

MENDABLE = 3
SERVE = "from aiops_pipelines_tests.resources.dying import serve; serve()"
Run = Callable[..., int]
"""A function of a module and its arguments, which are texts or numbers, to the exit code."""


@contextmanager
def children() -> Iterator[Run]:
    """Run functions in forks of one process, which imports everything once: 1.8 s of CPU time.

    The code is 0, 3 for an error that people can mend, 1 for any other, and -9 of who is killed.
    """
    environment = {**os.environ, "POLARS_MAX_THREADS": "1"}
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        asked, answers = process.stdin, process.stdout
        assert asked and answers

        def run(do: Callable[..., object], *arguments: str | int) -> int:
            print(json.dumps([do.__module__, do.__name__, *arguments]), file=asked, flush=True)
            return int(answers.readline())

        yield run
        asked.close()


def serve() -> None:
    """Do what each line of standard input says in a fork, and print how it ended."""
    for line in sys.stdin:
        module, name, *arguments = json.loads(line)
        do = getattr(import_module(module), name)
        pid = os.fork()
        if not pid:
            os._exit(_code(do, arguments))
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def _code(do: Callable[..., object], arguments: list[Any]) -> int:
    os.dup2(2, 1)  # what is printed is no answer
    try:
        do(*arguments)
    except Mendable as error:
        print(error, file=sys.stderr, flush=True)
        return MENDABLE
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def dies_in(where: Any, name: str, after: int) -> None:
    """Kill this process, with no chance to clean up, when a function is called once more than `after` times."""
    calls, original = [0], getattr(where, name)

    def dying(*args: Any, **kwargs: Any) -> Any:
        calls[0] += 1
        if calls[0] > after:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)

    setattr(where, name, dying)
