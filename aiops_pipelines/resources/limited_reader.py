"""What the limited child process runs: it reads one document after another from its standard input.

A request is a line of JSON with the ending and the number of bytes, then those bytes; an answer is a line
with the number of bytes, then the text, or a line with the reason; both say the CPU time since the start.
"""

import json
import os
import resource
import sys
from typing import Any

from aiops_pipelines.resources.extraction import extracted
from aiops_pipelines.resources.unreadable import UnreadableFile


def serve(limits: dict[str, Any]) -> None:
    """Answer until the input ends."""
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a parser prints must not become an answer
    _limit(resource.RLIMIT_AS, limits["memory_bytes"])
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 0)
    while line := requests.readline():
        request = json.loads(line)
        data = requests.read(request["bytes"])
        spent = resource.getrusage(resource.RUSAGE_SELF)
        _limit(resource.RLIMIT_CPU, int(spent.ru_utime + spent.ru_stime) + 1 + limits["cpu_s"])
        head, text = _answer(request["ending"], data, limits["text_bytes"])
        usage = resource.getrusage(resource.RUSAGE_SELF)
        head["cpu_s"] = usage.ru_utime + usage.ru_stime
        answers.write(json.dumps(head).encode() + b"\n" + text)
        answers.flush()


def _answer(ending: str, data: bytes, most: int) -> tuple[dict[str, Any], bytes]:
    try:
        text = extracted(ending, data).encode("utf-8", "replace")
    except UnreadableFile as error:
        return {"refused": str(error)}, b""
    except ImportError as error:
        return {"missing": str(error)}, b""
    except MemoryError:
        return {"refused": "Reading it takes too much memory; split it, or save it anew."}, b""
    if len(text) > most:
        return {"refused": f"It holds more than {most // 2**20} MB of text; split it."}, b""
    return {"bytes": len(text)}, text


def _limit(what: int, most: int) -> None:
    _, hard = resource.getrlimit(what)
    resource.setrlimit(what, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


if __name__ == "__main__":
    serve(json.loads(sys.argv[1]))
